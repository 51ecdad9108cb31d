package plan

import (
	"fmt"

	"kargo"
)

// untilApproved turns every change of a stack that needs approval into a hold,
// which names the change. The first one says why.
func (m maker) untilApproved(stack kargo.Stack, p stackPlan) stackPlan {
	if stack.NeedsApproval == "" || m.approved {
		return p
	}
	why := ", but " + stack.NeedsApproval
	for _, change := range p.changes {
		p.holds = append(p.holds, kargo.Hold{
			Kind: change.Kind, Stack: change.Stack, Name: change.Name, Until: kargo.UntilApproved,
			Reason: fmt.Sprintf("%s (%s)%s", change.Action, change.Reason, why),
		})
		why = "; it waits for the same approval"
	}
	p.changes = nil
	return p
}

// unapprovedRemovals returns the stacks that need approval and have services to
// remove: by stack name, the reason why these stay.
func (m maker) unapprovedRemovals() map[string]string {
	held := map[string]string{}
	for _, service := range m.unwanted() {
		at, wanted := m.stackAt[service.stack]
		if !wanted {
			continue
		}
		stack := m.desired[at]
		switch {
		case stack.NeedsApproval == "":
		case service.namespace != stack.Namespace(): // the stack is new under its name, so its changes say why
			held[stack.Name] = "the services of " + service.namespace + " would be removed; this waits for the same approval"
		default:
			held[stack.Name] = "services would be removed, but " + stack.NeedsApproval
		}
	}
	return held
}
