package plan

import (
	"fmt"

	"kargo"
)

// StandIns is what should run while some desired renderings cannot run.
type StandIns struct {
	// Stacks are the stacks that should run, in the order of the desired ones.
	// Each is the desired rendering or the last good one.
	Stacks []kargo.Stack
	// Holds says, by stack name, why the last good rendering is in Stacks.
	Holds map[string]kargo.Hold
	// Frozen says, by stack name, why a stack is not changed: its desired
	// rendering failed, and no good one runs in its place.
	Frozen map[string]string
	// Unusable says, by stack name, why a last good rendering that is needed
	// cannot be used.
	Unusable map[string]string
}

// StandIn returns what should run: the desired stacks, with the last good
// rendering of each stack whose desired one failed or wants an image that is
// not available. memory.Good must have the renderings that NeedGood names, as
// far as they can be read. A stack without one is frozen.
func StandIn(desired []kargo.Stack, memory Memory) StandIns {
	s := StandIns{
		Stacks: make([]kargo.Stack, 0, len(desired)), Holds: map[string]kargo.Hold{}, Frozen: map[string]string{}, Unusable: map[string]string{},
	}
	for _, stack := range desired {
		stack.Options.Adopt = stack.Options.Adopt || memory.Adopted[stack.Name]
		s.Stacks = append(s.Stacks, s.choose(stack, memory))
	}
	return s
}

// choose returns the rendering of a stack that should run, and notes the reason.
func (s StandIns) choose(stack kargo.Stack, memory Memory) kargo.Stack {
	if stop := memory.Stops[stack.Name]; stop.WentBack() {
		rendering, unusable := kept(stack, memory)
		if rendering != nil {
			s.Holds[stack.Name] = stopHold(stack.Name, stop)
			return *rendering
		}
		s.Unusable[stack.Name] = unusable
	}
	hold, out := notToRun(stack, memory)
	if !out {
		return stack
	}
	if wantsGood(stack, hold) {
		good, unusable := lastGood(stack, memory)
		switch {
		case unusable != "":
			s.Unusable[stack.Name] = unusable
		case good != nil:
			if !hold.Failed {
				hold.Reason += fmt.Sprintf("; the one of %s runs instead until %s, or `kargo retry %s`",
					memory.Rollouts[stack.Name].GoodRevision.Short(), triedAgain(memory.Rollouts[stack.Name].Failed), stack.Name)
			}
			s.Holds[stack.Name] = hold
			return *good
		}
	}
	if !hold.Failed { // of an image that is not available the plan itself says so
		s.Frozen[stack.Name] = fmt.Sprintf("%s; nothing is done until %s, or `kargo retry %s`", hold.Reason, triedAgain(memory.Rollouts[stack.Name].Failed), stack.Name)
	}
	return stack
}

// triedAgain returns when a failed rendering is sent again.
func triedAgain(failed *kargo.Failure) string {
	switch {
	case failed.Cause == kargo.CauseNode:
		return "a node changes"
	case !failed.Again.IsZero():
		return failed.Again.UTC().Format("15:04:05 MST")
	}
	return "the workspace changes"
}

// liftedBy returns what lifts the hold of a failed rendering.
func liftedBy(failed *kargo.Failure) kargo.Until {
	switch {
	case failed.Cause == kargo.CauseNode:
		return kargo.UntilOutside
	case !failed.Again.IsZero():
		return kargo.UntilTime
	}
	return kargo.UntilRevision
}

// NeedGood returns the names of the stacks whose last good rendering StandIn
// needs, in the order of desired.
func NeedGood(desired []kargo.Stack, memory Memory) []string {
	var names []string
	for _, stack := range desired {
		if hold, out := notToRun(stack, memory); out && wantsGood(stack, hold) && hasGood(memory.Rollouts[stack.Name]) {
			names = append(names, stack.Name)
		}
	}
	return names
}

// notToRun returns why the desired rendering of a stack must not run: it
// failed, or it wants an image that is not available.
func notToRun(stack kargo.Stack, memory Memory) (hold kargo.Hold, out bool) {
	if failed := memory.Rollouts[stack.Name].Failed; failed != nil && stack.Options.OnFailure != kargo.FailureContinue {
		return kargo.Hold{Stack: stack.Name, Name: stack.Name, Until: liftedBy(failed), Reason: fmt.Sprintf("the rendering of %s failed: %s",
			failed.Revision.Short(), failed.Reason)}, true
	}
	hold, out = memory.Absent[stack.Name]
	return hold, out
}

// wantsGood reports whether the last good rendering takes the place of one that
// must not run.
func wantsGood(stack kargo.Stack, hold kargo.Hold) bool {
	return hold.Failed || stack.Options.OnFailure == kargo.FailureRollback
}

// hasGood reports whether a good rendering other than the newest is remembered.
func hasGood(rollout kargo.Rollout) bool {
	return rollout.Good != "" && rollout.Good != rollout.Digest
}

// lastGood returns the last good rendering of a stack, with the options and
// needs that the stack has now; nil where there is none. unusable says why one
// that is remembered cannot be used.
func lastGood(stack kargo.Stack, memory Memory) (rendering *kargo.Stack, unusable string) {
	rollout := memory.Rollouts[stack.Name]
	if !hasGood(rollout) {
		return nil, ""
	}
	good, read := memory.Good[stack.Name]
	good.Key = stack.Key
	switch {
	case !read:
		return nil, "it cannot be read"
	case good.Digest() != rollout.Good:
		return nil, "what was kept is another rendering"
	case good.Permitted != stack.Permitted:
		return nil, "it was permitted by another policy than today's"
	}
	good.Options, good.Needs = stack.Options, stack.Needs
	return &good, ""
}
