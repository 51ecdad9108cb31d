package plan

import (
	"slices"
	"strings"

	"kargo"
)

// permitted returns the last step of every plan: it holds the changes that the
// operator does not permit. What is judged is what would be sent, however it
// came about. One refused change holds all of its stack, except for removals.
func (m maker) permitted(changes []kargo.Change) (now []kargo.Change, holds []kargo.Hold) {
	if m.Refuses == nil {
		return changes, nil
	}
	var allowed []kargo.Change
	refused := map[string]bool{}
	for _, change := range changes {
		if reasons := m.refusals(change); len(reasons) > 0 {
			refused[change.Stack] = change.Stack != ""
			holds = append(holds, kargo.Hold{
				Kind: change.Kind, Stack: change.Stack, Name: change.Name, Until: kargo.UntilRevision,
				Reason: m.Mask.Text(strings.Join(reasons, "; ")),
			})
		} else {
			allowed = append(allowed, change)
		}
	}
	now = slices.DeleteFunc(allowed, func(change kargo.Change) bool {
		return refused[change.Stack] && change.Action != kargo.Remove
	})
	return now, holds
}

// refusals returns why a change must not be made.
func (m maker) refusals(change kargo.Change) []string {
	if m.Refuses == nil || change.Action == kargo.Remove {
		return nil
	}
	var stack kargo.Stack
	if at, wanted := m.stackAt[change.Stack]; wanted {
		stack = m.desired[at]
	}
	return m.Refuses(stack, change)
}
