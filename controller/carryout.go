package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kargo"
)

// maxConflicts is how often one round plans anew because Swarm moved on under
// it; after that the loop rests for a moment.
const maxConflicts = 3

// carryOut carries the plan out, and a new one where Swarm moved on meanwhile. A plan that
// was made from older knowledge than another controller's is dropped, and nothing is recorded.
func (r *Reconciler) carryOut(ctx context.Context, this *round) (goOn bool, err error) {
	if r.supplanted() {
		this.waits = true
		return false, nil
	}
	if wanted := r.onlyPlan; wanted != "" {
		if id := this.next.ID(); id != wanted {
			return false, &kargo.Error{Fault: kargo.Conflict, Err: fmt.Errorf("the plan is %s now, not %s; nothing was changed", id, wanted),
				Hint: "look at `kargo plan` again"}
		}
		r.onlyPlan = ""
	}
	after := lookNowhere
	for attempt := 1; ; attempt++ {
		after, err = r.carryOutOnce(ctx, this.trigger, this.next)
		if kargo.FaultOf(err) != kargo.Conflict || attempt == maxConflicts {
			break
		}
		if !errors.As(err, new(*kargo.InUseError)) { // that was said as the change failed
			r.parts.Log.Info("swarm moved on, planning again", "error", err)
		}
		r.work.lookAt(lookEverywhere)
		if this.next, err = r.look(ctx); err != nil {
			return false, err
		}
	}
	if err == nil || kargo.FaultOf(err) == kargo.Invalid {
		r.work.fresh, r.work.look = false, after
	} else {
		r.work.lookAt(lookEverywhere)
	}
	return false, err
}

// carryOutOnce does what a plan says and records it; an empty plan may still
// bring an open deployment to its end. It returns which look should follow.
func (r *Reconciler) carryOutOnce(ctx context.Context, trigger string, next kargo.Plan) (after depth, err error) {
	r.resolveUnderWay(next)
	if next.Empty() && !r.work.fresh {
		return lookNowhere, r.finishRound(ctx, next)
	}
	if err := r.begin(trigger, next); err != nil {
		return lookNowhere, err
	}
	failed, err := r.apply(ctx, next)
	if err != nil {
		r.record.open.Err = r.view.mask().Text(kargo.Explain(err))
	}
	if err == nil || kargo.FaultOf(err) == kargo.Invalid {
		r.putInForce(next.Revision, r.record.open.Stacks)
	}
	if next.Empty() {
		return lookNowhere, r.finishRound(ctx, next)
	}
	remaining := next
	remaining.Changes = failed
	r.noteRemaining(remaining)
	r.pace.lookAgain(time.Now())
	switch {
	case next.Count("", kargo.KindService) == len(next.Changes):
	case r.watches && err == nil && len(failed) == 0 && onlyCreates(next):
		after = lookServices // what else was created is known, and events tell what became of it
	default:
		after = lookEverywhere // what the services alone do not show must be read again
	}
	r.record.open.Outcome = kargo.OutcomeProgressing
	return after, errors.Join(err, r.keepRecord())
}

// onlyCreates reports whether a plan only creates and updates services, and creates
// networks, configs and secrets for them.
func onlyCreates(next kargo.Plan) bool {
	return !slices.ContainsFunc(next.Changes, func(change kargo.Change) bool {
		return change.Action != kargo.Create && (change.Kind != kargo.KindService || change.Action != kargo.Update)
	})
}

// finishRound ends a round with nothing to change: what was sent has arrived,
// and rollouts may be decided.
func (r *Reconciler) finishRound(ctx context.Context, next kargo.Plan) error {
	if open := r.record.open; open != nil {
		open.Err = ""
		if r.record.lasting != nil {
			open.Err = r.view.mask().Text(kargo.Explain(r.record.lasting))
		}
	}
	r.markSeen(next)
	r.rollouts().startClocks(nil, next)
	r.runAfter(ctx, next)
	err := r.settle(ctx, next)
	r.noteRemaining(next)
	return err
}

// apply sends the plan to Swarm. It returns the changes that failed.
func (r *Reconciler) apply(ctx context.Context, next kargo.Plan) (failed []kargo.Change, err error) {
	for _, change := range next.Changes {
		r.interest.ignore(change)
	}
	sent := map[string]bool{}
	var made []kargo.Change
	defer func() {
		r.rollouts().startClocks(sent, next)
		r.sight.add(made)
	}()
	r.record.lasting = nil
	going := underWay{r: r}
	_, err = measured(r.parts, "apply", func() (struct{}, error) {
		return struct{}{}, r.parts.Swarm.Apply(ctx, next, going.sending, func(change kargo.Change, err error) {
			if err != nil {
				failed = append(failed, change)
				r.noteFailed(change, err)
				going.answered(change, r.noteUnderWay)
				return
			}
			sent[change.Stack] = true
			made = append(made, change)
			remembered := r.noteSent(change)
			going.answered(change, func(following *kargo.Change) { r.noteMade(change, remembered, following) })
		})
	})
	going.end()
	r.record.open.UnderWay = nil
	for _, hold := range next.Held {
		r.parts.Log.Info(hold.String())
	}
	for _, warning := range next.Warnings {
		r.parts.Log.Warn(warning.String())
	}
	return failed, err
}

// underWay are the changes that were sent and are not answered yet. What became of a change
// is recorded together with the change that is under way then: one entry of the history,
// before that one is sent.
type underWay struct {
	r     *Reconciler
	group []kargo.Change // the rest of what was sent last
	// record records what became of the last change of a group; nil if that is done.
	record func(following *kargo.Change)
}

// sending notes the changes that are sent next. Several of them are creations, and are
// announced. An update or a removal is recorded by itself: what is remembered of it
// cannot be told from what there is.
func (u *underWay) sending(group []kargo.Change) {
	if len(group) > 1 {
		if err := u.r.parts.Store.Announce(u.r.record.open.Number, group); err != nil {
			u.r.parts.Log.Error("changes not announced", "first", group[0].String(), "error", err)
		}
	}
	record := u.record
	if record == nil {
		record = u.r.noteUnderWay
	}
	record(&group[0])
	u.group, u.record = group, nil
}

// answered notes that it is known what became of a change, and has it recorded.
func (u *underWay) answered(change kargo.Change, record func(following *kargo.Change)) {
	// Changes before it were left out: a change of their stack failed.
	u.group = u.group[1+slices.IndexFunc(u.group, func(c kargo.Change) bool { return c.Key() == change.Key() }):]
	if len(u.group) == 0 {
		u.record = record
		return
	}
	record(&u.group[0])
}

// end records what became of the last change.
func (u *underWay) end() {
	if u.record != nil {
		u.record(nil)
	}
}

// noteFailed notes a change that failed. If Docker refuses what a rendering asks for,
// the rendering has failed, and says so itself.
func (r *Reconciler) noteFailed(change kargo.Change, err error) {
	words := r.view.mask().Text(kargo.Explain(err))
	say := r.parts.Log.Error
	if r.record.failures[change.Key()] == words {
		say = r.parts.Log.Debug // as at the attempt before
	}
	say("change failed", "change", change.String(), "error", words)
	if r.record.failures == nil {
		r.record.failures = map[kargo.ObjectKey]string{}
	}
	r.record.failures[change.Key()] = words
	r.memory.NoteFailure(change, err)
	if !r.rollouts().refused(change, err) {
		r.record.lasting = joined(r.record.lasting, lasting(err))
	}
}

// noteSent notes a change that was made. It returns what is remembered of its service.
func (r *Reconciler) noteSent(change kargo.Change) (remembered *kargo.SentSpec) {
	if words := change.Words(); len(change.Fields) > 0 {
		r.parts.Log.Info(change.String(), "words", strings.Join(words, "; "))
	} else {
		r.parts.Log.Info(change.String())
	}
	open := r.record.open
	open.Changes = append(open.Changes, change.ForPeople())
	r.remember(change)
	if sent, known := r.memory.Sent[change.Name]; known {
		remembered = &sent
	}
	return remembered
}

// noteMade records a change that was made, and the one that is under way now. It is
// recorded at once: the process may be killed before the next change.
func (r *Reconciler) noteMade(change kargo.Change, remembered *kargo.SentSpec, following *kargo.Change) {
	r.record.open.UnderWay = following
	if err := r.parts.Store.Made(r.record.open.Number, change, remembered, following); err != nil {
		r.parts.Log.Error("change not recorded", "change", change.String(), "error", err)
	}
}

// noteUnderWay notes the change that is sent now, if there is one.
func (r *Reconciler) noteUnderWay(change *kargo.Change) {
	r.record.open.UnderWay = change
	if change == nil {
		return
	}
	if err := r.parts.Store.Sending(r.record.open.Number, *change); err != nil {
		r.parts.Log.Error("change not recorded", "change", change.String(), "error", err)
	}
}

// resolveUnderWay notes which of the changes were made that were under way or announced
// when an earlier process ended.
func (r *Reconciler) resolveUnderWay(next kargo.Plan) {
	open := r.record.open
	if open == nil || open.Revision.ID() != next.Revision.ID() {
		return
	}
	left := open.Announced
	if under := open.UnderWay; under != nil && !slices.ContainsFunc(left, func(c kargo.Change) bool { return c.Key() == under.Key() }) {
		left = append([]kargo.Change{*under}, left...)
	}
	open.UnderWay, open.Announced = nil, nil
	for _, change := range left {
		if r.wasMade(change, next) {
			r.noteMade(change, r.noteSent(change), nil)
		}
	}
}

// wasMade decides whether a change was made that may have been sent: the plan does not want
// it again. What was created must be there, too: if anything holds a stack, the plan says
// nothing of the stack's other changes.
func (r *Reconciler) wasMade(change kargo.Change, next kargo.Plan) bool {
	again := slices.ContainsFunc(next.Changes, func(c kargo.Change) bool { return c.Key() == change.Key() })
	held := slices.ContainsFunc(next.Held, func(h kargo.Hold) bool { return h.Kind == change.Kind && h.Name == change.Name })
	return !again && !held && (change.Action != kargo.Create || r.sight.has(change.Key()))
}

// remember keeps what was sent: the one thing that Swarm cannot tell.
func (r *Reconciler) remember(change kargo.Change) {
	if change.Kind != kargo.KindService {
		return
	}
	sent := r.memory.Sent
	if change.Action == kargo.Remove {
		delete(sent, change.Name)
		return
	}
	before := sent[change.Name]
	after := kargo.SentSpec{Digest: change.Digest, Reason: change.Reason, Credential: before.Credential}
	if change.Renews {
		after = before
	}
	if credential, known := r.parts.credentialOf(change); known {
		after.Credential = credential
	}
	sent[change.Name] = after
	if change.Renews {
		return
	}
	if before.Digest != change.Digest {
		delete(r.memory.Drifts, change.Name) // another spec, another count
	} else if before.Seen {
		r.memory.Drifts[change.Name] = r.memory.Drifts[change.Name].Corrected(time.Now())
	}
}

// markSeen notes which of the sent specs arrived: the same difference seen
// again is drift from now on. Credentials that services go with now are taken for
// what they were sent with, where that is not known, as after the data directory
// was lost.
func (r *Reconciler) markSeen(next kargo.Plan) {
	for name, credential := range r.sight.credentials() {
		if sent := r.memory.Sent[name]; sent.Credential == "" {
			sent.Credential = credential.Digest
			r.memory.Sent[name] = sent
		}
	}
	for _, name := range next.Unchanged {
		if sent, known := r.memory.Sent[name]; known && !sent.Seen {
			sent.Seen = true
			r.memory.Sent[name] = sent
		}
	}
}

// runAfter runs the after hooks of renderings that were sent whole: once each,
// whatever is corrected later. It takes no longer than the hooks may take.
func (r *Reconciler) runAfter(ctx context.Context, next kargo.Plan) {
	after := r.parts.Effects.After
	if after == nil {
		return
	}
	waiting := stacksOf(next)
	for _, stack := range r.view.stacks {
		rollout := r.memory.Rollouts[stack.Name]
		if !rollout.AfterDue || rollout.Failed != nil || waiting[stack.Name] {
			continue
		}
		runs, err := after(ctx, r.view.workspace, stack.Name)
		rollout.AfterDue = false
		r.memory.Rollouts[stack.Name] = rollout
		if r.record.open != nil {
			r.record.open.Hooks = append(r.record.open.Hooks, r.maskedRuns(runs)...)
		}
		if err != nil {
			r.parts.Log.Error("after hook failed", "stack", stack.Name, "error", r.view.mask().Text(kargo.Explain(err)))
			r.record.hookFailure = errors.Join(r.record.hookFailure, err)
		}
	}
}

// maskedRuns returns runs of hooks as they may be shown and stored.
func (r *Reconciler) maskedRuns(runs []kargo.HookRun) []kargo.HookRun {
	mask := r.view.mask()
	var shown []kargo.HookRun
	for _, run := range runs {
		if r.selection.has(run.Stack) {
			run.Output, run.Err = mask.Text(run.Output), mask.Text(run.Err)
			shown = append(shown, run)
		}
	}
	return shown
}
