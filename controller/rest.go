package controller

import "kargo"

// rest is what a plan would still do or holds, found by stack and by name. Make it once
// for all stacks: to search a plan for each stack takes time that grows with the square
// of their number, because a plan for all of them is long itself.
type rest struct {
	stacks, changes map[string]bool         // stacks and objects that have changes
	byStack, byName map[string][]kargo.Hold // in the order of the plan
	failed          map[string]bool         // stacks with a hold that wants what is not available
	warnings        map[string][]string     // the texts, by service
}

func restOf(p kargo.Plan) rest {
	r := rest{
		stacks: map[string]bool{}, changes: map[string]bool{}, failed: map[string]bool{},
		byStack: map[string][]kargo.Hold{}, byName: map[string][]kargo.Hold{}, warnings: map[string][]string{},
	}
	for _, change := range p.Changes {
		r.stacks[change.Stack], r.changes[change.Name] = true, true
	}
	for _, hold := range p.Held {
		r.byStack[hold.Stack] = append(r.byStack[hold.Stack], hold)
		r.byName[hold.Name] = append(r.byName[hold.Name], hold)
		if hold.Failed {
			r.failed[hold.Stack] = true
		}
	}
	for _, warning := range p.Warnings {
		r.warnings[warning.Service] = append(r.warnings[warning.Service], warning.Text)
	}
	return r
}

// inSync reports whether nothing is to be done with a stack.
func (r rest) inSync(stack string) bool { return !r.stacks[stack] && len(r.byStack[stack]) == 0 }

// heldOperation returns what keeps a stack from changing, or "".
func (r rest) heldOperation(stack string) (held kargo.Operation) {
	for _, hold := range r.byStack[stack] {
		if held != kargo.OperationHeld {
			held = holdOperation(hold)
		}
	}
	return held
}

// waitsFor returns the reason why a stack must wait, if that reason ends by itself.
func (r rest) waitsFor(stack string) string {
	for _, hold := range r.byStack[stack] {
		if hold.Kind == "" && hold.Until == kargo.UntilSettled {
			return hold.Reason
		}
	}
	return ""
}

// whyHeld returns why a stack as a whole is held, or "".
func (r rest) whyHeld(stack string) string {
	for _, hold := range r.byStack[stack] {
		if hold.Kind == "" {
			return hold.Reason
		}
	}
	return ""
}
