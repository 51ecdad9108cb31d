package plan

import (
	"slices"
	"strings"

	"kargo"
)

// kept returns the rendering that a person had a stack go back to, with the options
// and needs that the stack has now; nil if there is none. unusable says why one that
// is wanted cannot be used.
func kept(stack kargo.Stack, memory Memory) (rendering *kargo.Stack, unusable string) {
	stop := memory.Stops[stack.Name]
	if !stop.WentBack() {
		return nil, ""
	}
	rendered, read := memory.Kept[stack.Name]
	rendered.Key = stack.Key
	switch {
	case !read:
		return nil, "it cannot be read"
	case rendered.Digest() != stop.Digest:
		return nil, "what was kept is another rendering"
	case rendered.Permitted != stack.Permitted:
		return nil, "it was permitted by another policy than today's"
	}
	rendered.Options, rendered.Needs = stack.Options, stack.Needs
	return &rendered, ""
}

// stopHold returns the hold of a stack that a person stopped.
func stopHold(name string, stop kargo.Stop) kargo.Hold {
	return kargo.Hold{Stack: name, Name: name, Until: kargo.UntilReleased, Reason: stop.String() + "; `kargo release " + name + "` ends it"}
}

// stopped returns the changes that nobody has stopped, and holds in the place of
// all others: of stacks that a person holds, or of everything while the controller
// is suspended or a freeze window lasts. A stack that went back is kept as it was then.
func (m maker) stopped(changes []kargo.Change) (allowed []kargo.Change, holds []kargo.Hold) {
	for _, change := range changes {
		stop, held := m.Memory.Stops[change.Stack]
		switch {
		case m.Memory.Suspended != nil:
			holds = append(holds, heldChange(change, m.Memory.Suspended.Suspended()))
		case m.Memory.Frozen != nil:
			holds = append(holds, heldChange(change, m.Memory.Frozen.String()))
		case held && change.Stack != "" && (!stop.WentBack() || m.unusableKept(change.Stack)):
			holds = append(holds, heldChange(change, stop.String()))
		default:
			allowed = append(allowed, change)
		}
	}
	return allowed, holds
}

// unusableKept reports whether the rendering that a stack went back to cannot be
// used: then nothing of the stack changes. That goes for one that is not wanted any
// more as well.
func (m maker) unusableKept(stack string) bool {
	at, wanted := m.stackAt[stack]
	return !wanted || !slices.ContainsFunc(m.desired[at:at+1], func(s kargo.Stack) bool { return s.Digest() == m.Memory.Stops[stack].Digest })
}

func heldChange(change kargo.Change, why string) kargo.Hold {
	would := string(change.Action) + "d: " + strings.Join(change.Words(), ", ")
	return kargo.Hold{Kind: change.Kind, Stack: change.Stack, Name: change.Name, Until: kargo.UntilReleased,
		Reason: why + "; it would be " + would, Because: why, Would: "would be " + would}
}
