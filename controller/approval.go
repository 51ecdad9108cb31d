package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kargo"
)

// approval is the wish of a person that a plan be carried out with what it holds until
// somebody approves it. The next round decides whether that is still its plan. Git is not
// asked before: a commit that nobody has seen would make the plan another one.
type approval struct {
	ctx   context.Context // of the person who waits for the reply
	seen  kargo.PlanText
	by    kargo.Person
	reply chan error
	other bool // the plan of the round was another one
}

// approvals has the approval that the next round decides on, if there is one.
type approvals struct{ waiting *approval }

// leave leaves an approval to the next round. One that waits already was not decided on.
func (a *approvals) leave(next *approval) {
	a.answer(errNotPlanned)
	a.waiting = next
}

// answer tells the person who waits what became of the approval.
func (a *approvals) answer(err error) {
	if a.waiting != nil {
		a.waiting.reply <- err
		a.waiting = nil
	}
}

var errNotPlanned = &kargo.Error{Fault: kargo.Unavailable, Err: errors.New("nothing was approved: no plan could be made"), Hint: "see `kargo status`, and approve the plan that it shows then"}

// trigger returns why the next round runs: "" if nothing waits for it.
func (a *approvals) trigger() string {
	if a.waiting == nil {
		return ""
	}
	return a.waiting.by.Did("approve")
}

// approve decides on the approval that waits, and plans again if that lifts anything.
func (r *Reconciler) approve(ctx context.Context, next kargo.Plan) (kargo.Plan, error) {
	wish := r.approval.waiting
	if wish == nil {
		return next, nil
	}
	if wish.other = next.ID() != wish.seen.ID || wish.ctx.Err() != nil; wish.other {
		return next, nil // the end of the round says which plan waits then
	}
	if stop := r.stoppedBy(); stop != "" {
		r.approval.answer(&kargo.Error{Fault: kargo.Conflict, Err: fmt.Errorf("nothing was approved: the controller is %s", stop),
			Hint: "an approval fits one plan only: `kargo resume`, then approve the plan that `kargo status` shows"})
		return next, nil
	}
	note := newNote(kargo.EntryApproval, r.memory.Applied.Revision, wish.by, withReason("plan "+wish.seen.ID, wish.by))
	note.PlanID = wish.seen.ID
	err := approve(r.parts.Store, wish.seen.ID, note)
	r.approval.answer(err)
	if err != nil {
		return next, nil
	}
	if next, err = r.planResolved(ctx); err == nil {
		r.warn(ctx, &next)
	}
	return next, err
}

// stoppedBy says what keeps everything from changing, if anything does.
func (r *Reconciler) stoppedBy() string {
	switch {
	case r.memory.Suspended != nil:
		return r.memory.Suspended.Suspended()
	case r.memory.Frozen != nil:
		return r.memory.Frozen.String()
	}
	return ""
}

// approve stores what a person approved, and notes it in the history.
func approve(store Store, approved string, note kargo.Deployment) error {
	if err := store.Approve(approved, note.By.String(), time.Now()); err != nil {
		return err
	}
	_, err := store.Begin(note)
	if err != nil { // what is reported as failed must not be in force
		err = errors.Join(err, store.Approve("", note.By.String(), time.Now()))
	}
	return err
}

// withReason returns what a person approved, with the reason that was given.
func withReason(what string, by kargo.Person) string {
	if by.Why != "" {
		what += ": " + by.Why
	}
	return what
}

// refuseApproval ends what nobody decided on in a round: the plan was another one, or there
// was none.
func (r *Reconciler) refuseApproval(err error) {
	wish := r.approval.waiting
	switch {
	case wish == nil:
	case err != nil && !wish.other:
		r.approval.answer(&kargo.Error{Fault: kargo.FaultOf(err), Err: fmt.Errorf("nothing was approved: no plan could be made: %w", err), Hint: errNotPlanned.Hint})
	default:
		r.approval.answer(notPending(wish.seen.ID, wish.seen, r.shown.pending))
	}
}

// notPending says that a plan is not the one that waits now. seen is what is known of it.
func notPending(plan string, seen, pending kargo.PlanText) error {
	text := "plan " + plan + " is not the pending one"
	if waited := untilApproved(seen); len(waited) > 0 {
		text += " any more, so nothing of it was approved: " + strings.Join(waited, "; ")
	}
	hint := "nothing waits for an approval now"
	if waits := untilApproved(pending); len(waits) > 0 {
		hint = fmt.Sprintf("an approval fits one plan only; now it is %s, in which this waits: %s. If that is meant: kargo approve %s", pending.ID, strings.Join(waits, "; "), pending.ID)
	}
	return &kargo.Error{Fault: kargo.Conflict, Err: errors.New(text), Hint: hint}
}

// untilApproved returns the holds of a plan that wait for a person, as lines.
func untilApproved(plan kargo.PlanText) []string {
	var lines []string
	for _, hold := range plan.Held {
		if hold.Until == kargo.UntilApproved {
			lines = append(lines, hold.String())
		}
	}
	return lines
}
