package plan

import "kargo"

// decision is what the plan decides on one object: exactly one of a change, a
// hold, unchanged and skipped. The functions below make one.
type decision struct {
	outcome outcome
	change  *kargo.Change // where the outcome is change
	hold    *kargo.Hold   // where the outcome is hold
	why     string        // for readers of the code and of a debugger, where it is skipped
}

type outcome int

const (
	// outcomeSkipped: nothing is done to the object, and the plan does not show it.
	outcomeSkipped outcome = iota
	// outcomeUnchanged: the object is as it should be.
	outcomeUnchanged
	// outcomeHold: a change is wanted, but not now.
	outcomeHold
	// outcomeChange: the object is to be changed now.
	outcomeChange
)

func toChange(c kargo.Change) decision { return decision{outcome: outcomeChange, change: &c} }

func toHold(h kargo.Hold) decision { return decision{outcome: outcomeHold, hold: &h} }

func asItShouldBe() decision { return decision{outcome: outcomeUnchanged} }

func skipped(why string) decision { return decision{outcome: outcomeSkipped, why: why} }

// decisions are the decisions on several objects, in order.
type decisions []decision

func (all decisions) changes() []kargo.Change {
	var changes []kargo.Change
	for _, d := range all {
		if d.outcome == outcomeChange {
			changes = append(changes, *d.change)
		}
	}
	return changes
}

func (all decisions) holds() []kargo.Hold {
	var holds []kargo.Hold
	for _, d := range all {
		if d.outcome == outcomeHold {
			holds = append(holds, *d.hold)
		}
	}
	return holds
}
