package plan

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// stackServices are the creations and updates of a stack's services, each
// after those it needs, and the images that should be asked for first.
func (m maker) stackServices(stack kargo.Stack) (changes []kargo.Change, holds []kargo.Hold, unresolved []string) {
	moving := map[string]bool{} // has a change or a hold
	for _, service := range needsFirst(stack.Services) {
		change, hold := m.service(stack, service)
		if change != nil && change.Unresolved != "" {
			unresolved = append(unresolved, change.Unresolved)
		}
		if change != nil && hold == nil {
			if reason := m.unmetNeed(service, moving); reason != "" {
				hold = &kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: service.Name, Reason: reason, Passing: true}
			}
		}
		switch {
		case hold != nil:
			holds = append(holds, *hold)
		case change != nil:
			changes = append(changes, *change)
		}
		moving[service.Name] = change != nil || hold != nil
	}
	return changes, holds, unresolved
}

// needsFirst sorts services so that each comes after those it needs, and keeps
// the order of names otherwise. Circles were refused when rendering.
func needsFirst(services []kargo.Service) []kargo.Service {
	byName := map[string]kargo.Service{}
	for _, service := range services {
		byName[service.Name] = service
	}
	sorted := make([]kargo.Service, 0, len(services))
	placed := map[string]bool{}
	var place func(service kargo.Service)
	place = func(service kargo.Service) {
		if placed[service.Name] {
			return
		}
		placed[service.Name] = true
		for _, need := range service.Needs {
			if needed, known := byName[need.Service]; known {
				place(needed)
			}
		}
		sorted = append(sorted, service)
	}
	for _, service := range services {
		place(service)
	}
	return sorted
}

// unmetNeed is the first condition on another service that does not hold yet,
// or "". That a service is started is a matter of order alone.
func (m maker) unmetNeed(service kargo.Service, moving map[string]bool) string {
	for _, need := range service.Needs {
		if need.Condition == kargo.NeedStarted {
			continue
		}
		live, exists := m.services[need.Service]
		if !exists || moving[need.Service] {
			return "waits for " + need.Service
		}
		if health, words := ServiceHealth(live, m.live.Tasks); health != kargo.HealthHealthy {
			return fmt.Sprintf("waits for %s, which is %s%s", need.Service, health, inBrackets(m.Mask.Text(words)))
		}
	}
	return ""
}

func inBrackets(words string) string {
	if words == "" {
		return ""
	}
	return " (" + words + ")"
}

// service compares one service. Where it answers a hold, that counts.
func (m maker) service(stack kargo.Stack, service kargo.Service) (*kargo.Change, *kargo.Hold) {
	spec := m.stamp(stack, service.Spec)
	change := kargo.Change{
		Action: kargo.Create, Kind: kargo.KindService, Stack: stack.Name, Name: service.Name,
		Reason: "new", Service: &spec, Digest: SpecDigest(spec),
	}
	live, exists := m.services[service.Name]
	if !exists {
		return m.missing(stack, service, change)
	}
	spec = m.withSameContent(spec, live.Spec, stack)
	spec = withIgnored(spec, live.Spec, stack.Options.Ignore)
	different := differences(live.Spec, spec, m.Mask)
	if len(different) == 0 {
		return m.renewCredential(stack, live, change.Digest), nil
	}
	change.Action, change.ID, change.Version = kargo.Update, live.ID, live.Version
	change.Reason = reasonOf(different)

	if was, is := modeName(live.Spec.Mode), modeName(spec.Mode); was != is {
		return m.otherMode(stack, live, was, is)
	}
	if hold := otherVolume(stack, live, spec); hold != nil {
		return nil, hold
	}
	reason := m.whyNot(live, change)
	if m.isDrift(live, change) {
		change.Drifted = live.Updated
		reason = m.leaveDrift(stack, change, different)
	}
	if reason == leaveSilently {
		return nil, nil
	}
	if reason != "" {
		return nil, &kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: service.Name, Reason: reason}
	}
	if carryOver(&spec, live) {
		return &change, m.choose(&change, stack, service)
	}
	return &change, nil
}

// missing is a service that does not exist: a new one, or one that somebody
// else removed.
func (m maker) missing(stack kargo.Stack, service kargo.Service, change kargo.Change) (*kargo.Change, *kargo.Hold) {
	if m.isDrift(kargo.LiveService{Name: service.Name}, change) {
		change.Reason = "somebody else removed it"
		switch stack.Options.Drift {
		case kargo.DriftOff:
			return nil, nil
		case kargo.DriftWarn:
			return nil, &kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: service.Name,
				Reason: fmt.Sprintf("%s, which is left as it is (%s_DRIFT=warn)", change.Reason, kargo.EnvName(stack.Name))}
		}
	}
	return &change, m.choose(&change, stack, service)
}

// reasonOf are the differences in one line.
func reasonOf(different []difference) string {
	texts := make([]string, 0, len(different))
	for _, d := range different {
		texts = append(texts, d.text)
	}
	return strings.Join(texts, "; ")
}

// stamp is the spec as it is sent: with the marks of ownership, and the
// revision that changes it.
func (m maker) stamp(stack kargo.Stack, spec swarm.ServiceSpec) swarm.ServiceSpec {
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[kargo.LabelInstance] = m.Instance
	labels[kargo.LabelStack] = stack.Name
	labels[kargo.LabelRevision] = string(m.Revision.ID())
	if stack.Options.Protect {
		labels[kargo.LabelProtect] = "true" // the variable is gone when the stack is
	}
	spec.Labels = labels
	return spec
}

// leaveSilently is a reason that nobody wants to read.
const leaveSilently = "\x00"

// isDrift tells a departure from what was sent, and had arrived, from a change
// that the workspace wants.
func (m maker) isDrift(live kargo.LiveService, change kargo.Change) bool {
	sent := m.Memory.Sent[live.Name]
	return sent.Digest == change.Digest && sent.Seen && !rolledBack(live.Update)
}

// leaveDrift is the reason for leaving drift as it is, with what to write to
// leave it for good; "" where it is to be put right.
func (m maker) leaveDrift(stack kargo.Stack, change kargo.Change, different []difference) string {
	variable := kargo.EnvName(stack.Name)
	snippet := fmt.Sprintf("; others have the say with %s_IGNORE=%q", variable, strings.Join(pointersTo(different), " "))
	switch stack.Options.Drift {
	case kargo.DriftOff:
		return leaveSilently
	case kargo.DriftWarn:
		return fmt.Sprintf("drift%s, left as it is (%s_DRIFT=warn): %s%s", since(change.Drifted), variable, change.Reason, snippet)
	}
	if reason := m.Memory.Drifts[change.Name].reason(m.Now); reason != "" {
		return reason + snippet
	}
	return ""
}

func since(when time.Time) string {
	if when.IsZero() {
		return ""
	}
	return " since " + when.UTC().Format(time.RFC3339)
}

// whyNot is the reason for holding an update that is wanted, or "".
func (m maker) whyNot(live kargo.LiveService, change kargo.Change) string {
	sent, known := m.Memory.Sent[live.Name]
	if !known || sent.Digest != change.Digest {
		return ""
	}
	if rolledBack(live.Update) {
		return "Swarm rolled this very change back: " + m.Mask.Text(cmp.Or(live.Update.Message, string(live.Update.State))) +
			"; waits for another revision, or `kargo retry`"
	}
	if !sent.Seen && sent.Reason == change.Reason {
		return "does not converge: Swarm took this very change and still differs: " + change.Reason
	}
	return ""
}

func rolledBack(update *swarm.UpdateStatus) bool {
	return update != nil && strings.HasPrefix(string(update.State), "rollback_")
}

func modeName(mode swarm.ServiceMode) string {
	switch {
	case mode.Global != nil:
		return "global"
	case mode.ReplicatedJob != nil:
		return "replicated-job"
	case mode.GlobalJob != nil:
		return "global-job"
	}
	return "replicated"
}
