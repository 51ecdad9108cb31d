package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kargo"
)

// Governor limits how many stacks may be removed without approval. The removal of
// every stack is always held. So is the removal of more than Stacks stacks that
// are also more than Percent of all that run.
type Governor struct {
	Stacks, Percent int
}

// DefaultGovernor allows the removal of two stacks, or of a fifth of all.
var DefaultGovernor = Governor{Stacks: 2, Percent: 20}

// heldRemovals returns the stacks that must not be removed without approval, by
// name, with the reason. A typing error must not empty a cluster.
func (m maker) heldRemovals() map[string]string {
	if m.approved || m.Only != nil {
		return nil
	}
	held := m.tooManyRemovals()
	for _, service := range m.unwanted() { // others may be those of another stack of the workspace now
		if _, wanted := m.stackAt[service.stack]; service.protected && !wanted {
			held[service.stack] = "its removal waits for approval: the stack is protected"
		}
	}
	maps.Copy(held, m.unapprovedRemovals())
	if stack, reason := m.ownRemoval(); reason != "" {
		held[stack] = reason
	}
	maps.Copy(held, m.renamedAway)
	return held
}

// tooManyRemovals returns the stacks that are held because too many would be removed, by
// name, with the reason. A stack that was held before stays so: where another workspace took
// the place of this one, its stacks run by now, and too few would leave.
func (m maker) tooManyRemovals() map[string]string {
	live, gone, held := map[string]bool{}, map[string]bool{}, map[string]string{}
	for _, service := range m.owned {
		live[service.stack] = true
	}
	for _, service := range m.unwanted() {
		if _, wanted := m.stackAt[service.stack]; !wanted {
			gone[service.stack] = true
		}
	}
	for _, stack := range m.Memory.TooMany {
		if gone[stack] {
			held[stack] = "its removal waits for approval: too many stacks left the workspace with it"
		}
	}
	if reason := m.tooMany(len(gone), len(live)); reason != "" {
		for stack := range gone {
			held[stack] = reason
		}
	}
	return held
}

// tooMany returns the reason for holding the removal of so many stacks, or "".
func (m maker) tooMany(gone, live int) string {
	limit := DefaultGovernor
	if m.Governor != nil {
		limit = *m.Governor
	}
	switch {
	case gone == 0:
		return ""
	case gone == live:
		return "its removal waits for approval: no stack that runs would be left"
	case gone > limit.Stacks && gone*100 > live*limit.Percent:
		return fmt.Sprintf("its removal waits for approval: %d of %d stacks would be removed", gone, live)
	}
	return ""
}

func governorHolds(held map[string]string) []kargo.Hold {
	var holds []kargo.Hold
	for stack, reason := range held {
		holds = append(holds, kargo.Hold{Stack: stack, Name: stack, Reason: reason, Until: kargo.UntilApproved})
	}
	sortHolds(holds)
	return holds
}

func sortHolds(holds []kargo.Hold) {
	slices.SortFunc(holds, func(a, b kargo.Hold) int { return strings.Compare(a.String(), b.String()) })
}
