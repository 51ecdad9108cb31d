package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kargo"
	"kargo/plan"
)

// record is the deployment that is under way.
type record struct {
	open        *kargo.Deployment // nil where none is
	removal     bool              // a person asked for a removal, and this is it
	lasting     error             // what of its error stays, see lasting
	hookFailure error             // of after hooks, until the deployment ends
	// again: the open deployment has ended before without a change, and goes on.
	again bool
	// ended is the deployment that ended last, if it changed nothing; otherwise nil.
	ended *kargo.Deployment
	// failures are what was logged of the changes that failed, since something changed.
	failures map[kargo.ObjectKey]string
}

func (r record) clone() record {
	if r.open != nil {
		open := *r.open
		open.Changes, open.Hooks, open.Stacks = slices.Clone(open.Changes), slices.Clone(open.Hooks), slices.Clone(open.Stacks)
		r.open = &open
	}
	return r
}

// begin opens a deployment, or goes on with the open one if the revision is
// the same: a removal takes several rounds and is one deployment. One that a person
// asked for does not go on with what was under way before.
func (r *Reconciler) begin(trigger string, next kargo.Plan) error {
	if open := r.record.open; open != nil && r.record.removal == r.selection.removing && open.Revision.ID() == next.Revision.ID() {
		open.Held = next.Held
		open.Err, open.Outcome = "", kargo.OutcomeRunning
		return nil
	}
	if open := r.record.open; open != nil {
		if err := r.supersede(*open); err != nil {
			return err
		}
	}
	if r.goesOn(trigger, next) {
		return r.reopen()
	}
	opened, err := r.parts.Store.Begin(kargo.Deployment{
		Entry: r.entry(next), Revision: next.Revision, Trigger: trigger, Started: time.Now(), Outcome: kargo.OutcomeRunning,
		PlanID: next.ID(), Changes: []kargo.Change{}, Held: next.Held, Stacks: r.verdicts(),
		Hooks: r.maskedRuns(r.view.workspace.Ran),
	})
	if err != nil {
		return err
	}
	r.record = record{open: &opened, removal: r.selection.removing}
	r.shown.plan = planText(next, opened.Started)
	r.report() // carrying it out may take long
	return nil
}

// goesOn reports whether a plan is the one of the deployment that has just ended without a
// change, and is made for the same reason: somebody's container still uses a network that
// is to be removed, say. It is tried again at each verification, for days maybe. That
// is one deployment, and people are told of it once.
func (r *Reconciler) goesOn(trigger string, next kargo.Plan) bool {
	ended := r.record.ended
	return ended != nil && ended.PlanID == next.ID() && ended.Trigger == trigger && !r.selection.removing
}

// reopen opens the deployment again that ended last.
func (r *Reconciler) reopen() error {
	opened := *r.record.ended
	opened.Outcome, opened.Finished, opened.Err = kargo.OutcomeRunning, time.Time{}, ""
	if err := r.parts.Store.Record(opened, r.memory.Memory); err != nil {
		return err
	}
	r.record.open, r.record.again = &opened, true
	return nil
}

// supersede ends the open deployment because a newer one begins. What of it had
// failed by then stays said.
func (r *Reconciler) supersede(open kargo.Deployment) error {
	open.Outcome, open.Finished = kargo.OutcomeSuperseded, time.Now()
	moved := stacksMovedBy(open)
	for _, name := range slices.Sorted(maps.Keys(moved)) {
		failed := r.memory.Rollouts[name].Failed
		if failed == nil || failed.Revision != open.Revision.ID() {
			continue
		}
		open.Outcome = kargo.OutcomeFailed
		open.Err = strings.TrimPrefix(open.Err+fmt.Sprintf("; stack %s failed: %s", name, failed.Reason), "; ")
	}
	open.Stacks = slices.Clone(open.Stacks)
	for i, stack := range open.Stacks {
		open.Stacks[i].Failure = r.memory.Rollouts[stack.Name].Failed
	}
	markVerdicts(&open)
	open.Phases = r.phases.total()
	if err := r.parts.Store.Record(open, r.memory.Memory); err != nil {
		return err
	}
	if open.Outcome == kargo.OutcomeFailed {
		r.notify(open)
	}
	r.record = record{}
	return nil
}

// stacksMovedBy returns the stacks that a deployment is about: those that its
// revision changes, and those that it changed in Swarm.
func stacksMovedBy(d kargo.Deployment) map[string]bool {
	moved := map[string]bool{}
	for _, stack := range d.Stacks {
		if stack.Verdict != kargo.VerdictUnchanged {
			moved[stack.Name] = true
		}
	}
	for _, change := range d.Changes {
		moved[change.Stack] = true
	}
	return moved
}

// markVerdicts gives the stacks of a deployment that has ended the verdicts that say what
// it changed in Swarm. Until then they say what its revision changes.
func markVerdicts(d *kargo.Deployment) {
	changed, held := map[string]bool{}, map[string]bool{}
	for _, change := range d.Changes {
		changed[change.Stack] = change.Stack != "" // else it is shared
	}
	for _, hold := range d.Held {
		held[hold.Stack] = held[hold.Stack] || hold.Until == kargo.UntilReleased || hold.Until == kargo.UntilApproved
	}
	for i := range d.Stacks {
		stack := &d.Stacks[i]
		switch {
		case changed[stack.Name] && stack.Verdict == kargo.VerdictUnchanged:
			stack.Verdict = kargo.VerdictCorrected
			if d.Kind == kargo.EntryRetry || d.Kind == kargo.EntryRollback || changedOtherwise(*d, stack.Name) {
				stack.Verdict = kargo.VerdictChanged // by Kargo itself, or it was held before
			}
		case changed[stack.Name], stack.Verdict == kargo.VerdictUnchanged:
		case held[stack.Name]:
			stack.Verdict = kargo.VerdictHeld
		case d.Outcome == kargo.OutcomeSucceeded, d.Outcome == kargo.OutcomeHeld:
			stack.Verdict = kargo.VerdictUnchanged // it ran already as the revision says
		}
		delete(changed, stack.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) { // their removal waited until now
		if changed[name] {
			d.Stacks = append(d.Stacks, kargo.StackResult{Name: name, Verdict: kargo.VerdictRemoved})
		}
	}
}

// changedOtherwise reports whether a deployment changed a service of a stack for another
// reason than to put right what somebody else did.
func changedOtherwise(d kargo.Deployment, stack string) bool {
	return slices.ContainsFunc(d.Changes, func(c kargo.Change) bool { return c.Stack == stack && c.Kind == kargo.KindService && !c.Repairs })
}

func (r *Reconciler) keepRecord() error {
	r.record.open.Phases = r.phases.total()
	return r.parts.Store.Record(*r.record.open, r.memory.Memory)
}

// putUnmovedInForce puts a new revision in force that changes nothing that runs.
func (r *Reconciler) putUnmovedInForce(_ context.Context, this *round) (goOn bool, err error) {
	if !r.work.fresh || !r.movesNothing() {
		return true, nil
	}
	if err := r.begin(this.trigger, kargo.Plan{Revision: r.view.revision()}); err != nil {
		return false, err
	}
	if err := r.finish(nil); err != nil {
		return false, err
	}
	r.noteRemaining(kargo.Plan{})
	r.work.fresh = false
	return false, nil
}

// movesNothing reports whether a new revision renders to what is in force
// already, and nothing is due in Swarm either: then there is no reason to ask it.
func (r *Reconciler) movesNothing() bool {
	// What is held may not be held any more, and must not be lost sight of.
	if r.work.look != lookNowhere || r.pace.unsettled() || r.record.open != nil || len(r.shown.pending.Held) > 0 {
		return false
	}
	return !slices.ContainsFunc(r.verdicts(), func(s kargo.StackResult) bool { return s.Verdict != kargo.VerdictUnchanged })
}

// verdicts compares the desired stacks with those in force, as far as they are
// selected.
func (r *Reconciler) verdicts() []kargo.StackResult {
	before := r.memory.Applied.Digests()
	maps.DeleteFunc(before, func(stack, _ string) bool { return !r.selection.has(stack) })
	return plan.Verdicts(before, r.view.stacks)
}

// putInForce notes what is in force now. Of the stacks that are not selected
// what was in force stays so.
func (r *Reconciler) putInForce(revision kargo.Revision, results []kargo.StackResult) {
	r.memory.Applied = r.selection.inForce(r.memory.Applied, revision, results, r.view.workspace.StackNames())
}

// inForce returns what is in force after a revision was carried out for the
// selected stacks. Order is that of STACKS.
func (s selection) inForce(before kargo.Applied, revision kargo.Revision, results []kargo.StackResult, order []string) kargo.Applied {
	next := before.Next(revision, results)
	if s.isAll() {
		return next
	}
	positions := before.Positions()
	for i, stack := range order {
		positions[stack] = i
	}
	for name, stack := range next.Stacks {
		stack.Position = positions[name]
		next.Stacks[name] = stack
	}
	for name, stack := range before.Stacks {
		if !s.has(name) {
			next.Stacks[name] = stack
		}
	}
	return next
}

// settle closes the open deployment once nothing is on its way any more, or
// asks for another look.
func (r *Reconciler) settle(ctx context.Context, next kargo.Plan) error {
	in := r.standIns()
	r.recovered(in)
	alive := slices.DeleteFunc(slices.Clone(in.Stacks), func(stack kargo.Stack) bool {
		_, stoodIn := in.Holds[stack.Name]
		return r.memory.Rollouts[stack.Name].Failed != nil && !stoodIn
	})
	r.pace.lookAgain(time.Now()) // unless all is decided, below
	decided, err := r.rollouts().prove(ctx, next)
	if err != nil || !decided || passing(next) || !plan.Settled(alive, plan.NewIndex(r.sight.cluster)) {
		return err
	}
	if r.record.open != nil {
		r.record.open.Held = next.Held
		if err := r.finish(r.failureOf(*r.record.open, in, next)); err != nil {
			return err
		}
	}
	r.pace.settled()
	r.interest.ignoreNothing()
	return nil
}

// lasting returns the part of an error that the next look does not correct. If
// Swarm could not be reached or had changed, that look shows what is still to
// be done.
func lasting(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var errs []error
		for _, part := range joined.Unwrap() {
			errs = append(errs, lasting(part))
		}
		return errors.Join(errs...)
	}
	switch kargo.FaultOf(err) {
	case kargo.Unavailable, kargo.Conflict:
		return nil
	case kargo.Invalid, kargo.Internal:
	}
	return err
}

// notAvailable returns what a plan wants for some stacks and cannot get, if
// there is anything.
func notAvailable(next kargo.Plan, moved map[string]bool) error {
	var errs []error
	for _, hold := range next.Held {
		if hold.Failed && moved[hold.Stack] {
			errs = append(errs, errors.New(hold.String()))
		}
	}
	return errors.Join(errs...)
}

// failureOf returns the failures of the stacks that a deployment changed.
// Failures of other stacks were reported by the deployment that changed those.
func (r *Reconciler) failureOf(open kargo.Deployment, in plan.StandIns, next kargo.Plan) error {
	moved := stacksMovedBy(open)
	return errors.Join(r.rollouts().degraded(in, moved), notAvailable(next, moved), r.failedHooks())
}

// degraded says which of some stacks did not come up, if any.
func (r rollouts) degraded(in plan.StandIns, moved map[string]bool) error {
	var errs []error
	index := plan.NewIndex(*r.cluster)
	for _, stack := range in.Stacks {
		if !moved[stack.Name] {
			continue
		}
		failed := r.memory.Rollouts[stack.Name].Failed
		health, words := plan.StackHealth(stack, index)
		_, stoodIn := in.Holds[stack.Name]
		switch {
		case failed != nil && stoodIn:
			errs = append(errs, fmt.Errorf("stack %s failed and was rolled back: %s", stack.Name, failed.Reason))
		case failed != nil:
			errs = append(errs, fmt.Errorf("stack %s failed: %s", stack.Name, failed.Reason))
		case health == kargo.HealthDegraded:
			errs = append(errs, fmt.Errorf("stack %s is degraded: %s", stack.Name, r.view.mask().Text(words)))
		}
	}
	return errors.Join(errs...)
}

// failedHooks returns the errors of after hooks.
func (r *Reconciler) failedHooks() error {
	if r.record.hookFailure == nil {
		return nil
	}
	return errors.New(r.view.mask().Text(kargo.Explain(r.record.hookFailure)))
}

// keptByPerson reports whether a deployment changed nothing because a person, or a
// freeze window, keeps what it would change, or because that waits for an approval.
func keptByPerson(d kargo.Deployment) bool {
	return len(d.Changes) == 0 && slices.ContainsFunc(d.Held, func(h kargo.Hold) bool {
		return h.Until == kargo.UntilApproved || h.Until == kargo.UntilReleased && h.Kind != ""
	})
}

// finish closes the open deployment with its outcome. It stays open where it
// cannot be recorded.
func (r *Reconciler) finish(failure error) error {
	ended := *r.record.clone().open
	ended.UnderWay, ended.Announced = nil, nil
	for i, stack := range ended.Stacks {
		ended.Stacks[i].Failure = r.memory.Rollouts[stack.Name].Failed
	}
	ended.Outcome, ended.Finished = kargo.OutcomeSucceeded, time.Now()
	if keptByPerson(ended) {
		ended.Outcome, failure = kargo.OutcomeHeld, nil // what runs badly is not of its making
	}
	if failure != nil {
		ended.Err = strings.TrimPrefix(ended.Err+"; "+failure.Error(), "; ")
	}
	if ended.Err != "" {
		ended.Outcome = kargo.OutcomeFailed
	}
	r.putInForce(ended.Revision, ended.Stacks)
	markVerdicts(&ended)
	ended.Phases = r.phases.total()
	if err := r.parts.Store.Record(ended, r.memory.Memory); err != nil {
		return err
	}
	same := r.record.again && len(ended.Changes) == 0 && ended.Outcome == r.record.ended.Outcome && ended.Err == r.record.ended.Err
	say := r.parts.Log.Info
	if same {
		say = r.parts.Log.Debug
	}
	say("deployment "+string(ended.Outcome), "number", ended.Number, "revision", ended.Revision.Short(),
		"stacks", stackLine(ended.Stacks), "changes", len(ended.Changes), "took", ended.Finished.Sub(ended.Started).Round(time.Millisecond))
	if !same {
		r.notify(ended)
	}
	r.record = record{failures: r.record.failures}
	if len(ended.Changes) == 0 && len(ended.Hooks) == 0 {
		r.record.ended = &ended
	}
	return nil
}
