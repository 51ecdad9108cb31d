package plan

import (
	"fmt"

	"kargo"
)

// untilApproved holds every change of a stack that needs approval, and says
// what it would be.
func (m maker) untilApproved(stack kargo.Stack, p stackPlan) stackPlan {
	if stack.NeedsApproval == "" || m.approved {
		return p
	}
	for _, change := range p.changes {
		p.holds = append(p.holds, kargo.Hold{
			Kind: change.Kind, Stack: change.Stack, Name: change.Name, Until: kargo.UntilApproved,
			Reason: fmt.Sprintf("%s (%s), but %s", change.Action, change.Reason, stack.NeedsApproval),
		})
	}
	p.changes = nil
	return p
}

// unapprovedRemovals names the stacks that need approval and run services that
// are wanted no longer.
func (m maker) unapprovedRemovals() map[string]string {
	held := map[string]string{}
	for _, stack := range m.desired {
		if stack.NeedsApproval == "" {
			continue
		}
		for _, service := range m.live.Services {
			if m.owns(service.Spec.Labels) && service.Spec.Labels[kargo.LabelStack] == stack.Name && !m.wanted[service.Name] {
				held[stack.Name] = "services would be removed, but " + stack.NeedsApproval
			}
		}
	}
	return held
}
