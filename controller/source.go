package controller

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"kargo"
	"kargo/compile"
)

// source is what the rounds know of the newest revision, and of the question
// about it that has no answer yet.
type source struct {
	head     kargo.Revision // sound or not
	problems kargo.Problems // of the head
	unsound  bool           // the head could not be fetched, or has problems
	rewinds  bool           // the head does not come after what is in force, and waits for a person
	// left is what was in force when another controller of the instance led.
	left    kargo.RevisionID
	fetched time.Time // when git last answered
	// commits are those that the head adds to what is in force; earlier reports
	// that there may be more.
	commits []kargo.Commit
	earlier bool
	failure error // why the newest revision could not be read the last time; nil if it was
	// valuesFailure is why values outside the repository are those of before; nil if
	// they are not.
	valuesFailure error
	// unrestorable: reading the last good revision ended Kargo too often.
	unrestorable bool
	// begun is the revision of which an earlier process had carried out a part when it
	// ended; "" if there is none, or if it cannot be read.
	begun kargo.RevisionID

	reader *reader
	// ahead: the reader answers beside the rounds. Otherwise the round that asks
	// waits for it, however long it takes.
	ahead   bool
	asked   time.Time // when the question was asked that has no answer yet; zero if there is none
	arrived *reading  // an answer that no round has taken yet
	// waiting is a sound head that the disk has no room for yet; nil if there is none.
	waiting *reading
}

// awaited reports whether a round should wait for the answer that is missing:
// most often it comes at once, and the plan is about what it says. Git that is
// slow, or was out of reach, keeps no round waiting.
func (s source) awaited(now time.Time) bool {
	return !s.asked.IsZero() && s.failure == nil && now.Before(s.asked.Add(patience))
}

// readNewest asks git for the newest revision, where that is due, and takes what
// was read. Whatever goes wrong, the last good revision stays in force, and the
// round goes on with it.
func (r *Reconciler) readNewest(ctx context.Context, this *round) (goOn bool, err error) {
	s := &r.source
	r.takeWaiting(this)
	if got := s.arrived; got != nil {
		s.arrived = nil
		if got.inForce == r.mustFollow() {
			r.take(*got, this)
		} else { // another controller led meanwhile: the answer is about a past state
			s.asked, r.work.git, r.work.reread = time.Time{}, true, true
		}
	}
	for s.asked.IsZero() {
		next, due := r.nextQuestion(this.trigger)
		if !due {
			break
		}
		s.asked = time.Now()
		if s.ahead {
			s.reader.questions <- next
			break
		}
		r.take(s.reader.read(ctx, next), this)
	}
	r.work.readAgain(this.failed)
	r.report() // looking at Swarm may take long
	this.waits = s.awaited(time.Now())
	return r.view != nil && !this.waits, nil
}

// nextQuestion returns what is to be asked now, and crosses it off the work. It
// returns false if nothing is.
func (r *Reconciler) nextQuestion(trigger string) (next question, due bool) {
	next = question{
		trigger: trigger, head: r.source.head.ID(), again: r.work.reread && r.source.unsound,
		applied: r.memory.Applied.Revision.ID(), known: r.view, inForce: r.mustFollow(),
	}
	switch w := &r.work; {
	case w.restore && r.view == nil && r.toRestore() != "":
		next.about, next.restore, w.restore = theRestored, r.toRestore(), false
	case w.git && !time.Now().Before(r.pace.git):
		next.about, w.git, w.reread, r.pace.git = theNewest, false, false, time.Time{}
	case w.values && !time.Now().Before(r.pace.git) && !w.fresh && r.view != nil && r.selection.isAll():
		next.about, w.values = theValues, false
		return next, r.view.workspace.External
	default:
		return next, false
	}
	var err error
	if next.approved, err = r.parts.Store.Approved(time.Now()); err != nil {
		r.parts.Log.Warn("cannot read what was approved", "error", err)
	}
	return next, true
}

// toRestore returns the revision that a new process goes on with until git answers; "" if
// there is none. What was begun goes on: it is not undone because git is slow.
func (r *Reconciler) toRestore() kargo.RevisionID {
	if r.source.begun != "" || r.source.unrestorable {
		return r.source.begun
	}
	return r.memory.Applied.Revision.ID()
}

// begunIn returns the revision of a deployment that an earlier process left in the
// middle, before the revision was in force; "" if there is none.
func begunIn(parts Parts) kargo.RevisionID {
	open := parts.Unfinished
	if open == nil || open.Kind != "" && open.Kind != kargo.EntryUpdate || open.Revision.Same(parts.Memory.Applied.Revision) {
		return ""
	}
	return open.Revision.ID()
}

// mustFollow returns the revision that a new one must come after: what was accepted
// last, or was in force before this process or this controller began.
func (r *Reconciler) mustFollow() kargo.RevisionID {
	if r.view != nil && r.view.whole != nil {
		return r.view.revision().ID()
	}
	return cmp.Or(r.memory.Applied.Revision.ID(), r.source.left)
}

// take makes use of what was read.
func (r *Reconciler) take(got reading, this *round) {
	r.source.asked = time.Time{}
	switch got.about {
	case theRestored:
		r.takeRestored(got, this)
	case theNewest:
		r.source.failure = BlameOutside(r.takeNewest(got, this))
		if this.unrestored != nil {
			this.unrestored(r.source.failure)
		}
		this.failed.git = r.source.failure != nil
		this.failed.reread = this.failed.git && got.again
		this.sourceErr = r.sourceErr()
	case theValues:
		r.source.valuesFailure = BlameOutside(r.takeValues(got, this))
		this.sourceErr = r.sourceErr()
	}
}

// takeRestored goes on with the revision that was in force when an earlier process
// ended, or that it had begun to carry out. So its drift is corrected even if git is
// away or the head is unsound. A newer program may fail to read what an older one read:
// then the head must still have its turn.
func (r *Reconciler) takeRestored(got reading, this *round) {
	if got.restore == r.source.begun {
		r.takeBegun(got)
		return
	}
	inForce := got.revision.Short()
	switch {
	case got.attempts > 0:
		r.source.unrestorable = true
		r.parts.Log.Error("reading the last good revision ended Kargo; it is left alone", "revision", inForce, "times", got.attempts)
		return
	case got.err != nil:
		this.failed.restore = true
		warn := func(head error) {
			if head == nil || head.Error() != got.err.Error() { // otherwise the round says it
				r.parts.Log.Warn("cannot restore the last good revision", "revision", inForce, "error", got.err)
			}
		}
		if r.source.ahead { // the head comes with another round
			warn(nil)
		} else {
			this.unrestored = warn
		}
		return
	}
	if err := got.desired.Problems.Err(); err != nil {
		r.parts.Log.Warn("cannot restore the last good revision", "revision", inForce, "error", err)
		return
	}
	r.desire(*got.desired)
	r.work.values, r.source.valuesFailure = false, nil // they were just read
}

// takeBegun goes on with a deployment that an earlier process left in the middle. Where
// that cannot be, what was in force before is restored.
func (r *Reconciler) takeBegun(got reading) {
	r.source.begun = ""
	err := got.err
	switch {
	case got.attempts > 0:
		err = fmt.Errorf("reading it ended Kargo %d times", got.attempts)
	case err == nil:
		err = got.desired.Problems.Err()
	}
	if open := r.record.open; err != nil || open == nil || !isAbout(*open, got.desired.Stacks) {
		r.work.restore = true
		r.parts.Log.Warn("cannot go on with the deployment that was begun", "revision", got.revision.Short(), "error", err)
		return
	}
	r.parts.Log.Info("the deployment that was begun goes on", "revision", got.revision.Short())
	r.desire(*got.desired)
	r.work.values, r.source.valuesFailure = false, nil // they were just read
	r.work.fresh, r.work.write, r.work.cause = r.selection.isAll(), true, r.record.open.Trigger
}

// isAbout reports whether a deployment is about all of some stacks. One of stacks that a
// person selected is not.
func isAbout(deployment kargo.Deployment, stacks []kargo.Stack) bool {
	return !slices.ContainsFunc(stacks, func(stack kargo.Stack) bool {
		return !slices.ContainsFunc(deployment.Stacks, func(result kargo.StackResult) bool { return result.Name == stack.Name })
	})
}

// takeNewest makes a new head the desired revision, if it is sound. The head moves
// last: where anything fails before, it is read again. Its error is what is wrong
// with the head, as long as it is the head.
func (r *Reconciler) takeNewest(got reading, this *round) error {
	s := &r.source
	if !got.answered.IsZero() {
		s.fetched = got.answered
	}
	switch {
	case got.err != nil:
		return got.err
	}
	r.pace.awaitPush(time.Now(), got.trigger, got.revision != got.head)
	if got.attempts > 0 || got.desired != nil {
		s.waiting = nil // it is not the head any more
	}
	switch {
	case got.attempts > 0:
		s.note(got.revision.Revision(), kargo.Problems{{Message: fmt.Sprintf("reading this revision ended Kargo %d times; it is left alone", got.attempts),
			Hint: "push another commit, and please report this one"}})
		s.unsound = false // it is not tried again, whatever a person asks for
	case got.desired != nil:
		if got.desired.Problems.Err() == nil {
			r.adopt(got, this)
		} else if err := r.noteRefusal(got.desired.Workspace.Revision, got.desired.Problems, got.trigger); err != nil {
			return err
		}
		s.note(got.desired.Workspace.Revision, got.desired.Problems)
	}
	if got.attempts > 0 || got.desired != nil {
		s.rewinds = got.rewinds
	}
	return nil
}

// takeWaiting adopts a head that waits for the disk, if there is room by now.
func (r *Reconciler) takeWaiting(this *round) {
	got := r.source.waiting
	switch {
	case got == nil:
	case got.inForce == r.mustFollow():
		r.adopt(*got, this)
	default: // the answer is about a past state
		r.source.waiting, r.source.head, r.work.git = nil, kargo.Revision{}, true
	}
}

// adopt makes a sound head the desired revision, as soon as what must be on the disk before
// it is carried out is there. Until then it waits, and what is in force stays so.
func (r *Reconciler) adopt(got reading, this *round) {
	s, ws := &r.source, got.desired.Workspace
	write := r.work.write || r.view == nil || !sameFiles(r.view.workspace, ws)
	err := r.makeReady(ws, write)
	if err != nil {
		s.waiting, this.unwritten = &got, err
		return
	}
	s.waiting, s.commits, s.earlier = nil, got.commits, got.earlier
	r.accept(*got.desired, got.trigger)
	r.work.write = write && !r.watches
}

// makeReady puts on the disk what a new revision needs there: the last good renderings, of
// which one may stand in for its own; a freeze by the windows of before, because a commit
// ends none that holds it; and, where rounds follow by themselves, its files.
func (r *Reconciler) makeReady(ws kargo.Workspace, write bool) error {
	if err := r.rollouts().keepWhatRan(); err != nil {
		return err
	}
	if err := r.decisions().freeze(time.Now()); err != nil || !write || !r.watches {
		return err
	}
	return r.putOnDisk(ws)
}

// sourceErr is why what is desired is not what the source says now: the newest
// revision or a value could not be read, or is refused.
func (r *Reconciler) sourceErr() error {
	err := r.source.failure
	if problems := r.source.problems.Err(); err == nil && problems != nil {
		err = fmt.Errorf("revision %s is refused, %s: %w", r.source.head.Short(), r.inForce(), problems)
	}
	return joined(err, r.source.valuesFailure)
}

func (r *Reconciler) inForce() string {
	if r.view == nil {
		return "nothing is in force"
	}
	return r.view.revision().Short() + " stays in force"
}

func (s *source) note(head kargo.Revision, problems kargo.Problems) {
	s.head, s.problems, s.unsound = head, problems, problems.Err() != nil
}

// accept makes a sound revision the desired one.
func (r *Reconciler) accept(desired compile.Desired, trigger string) {
	for _, problem := range desired.Problems {
		r.parts.Log.Warn("workspace", "problem", problem.String())
	}
	revision := desired.Workspace.Revision
	r.parts.Log.Info("new revision", "revision", revision.String())
	if revision.Rewrote != "" {
		rewritten := fmt.Sprintf("history was rewritten: %s is no ancestor", kargo.RevisionID(revision.Rewrote).Short())
		r.parts.Log.Warn(rewritten, "revision", revision.Short())
		trigger += ", " + rewritten
	}
	if r.view != nil && !reflect.DeepEqual(r.view.labels, desired.Labels) {
		r.work.lookAt(lookEverywhere) // the stacks alone do not show other labels of nodes
	}
	r.desire(desired)
	r.work.values, r.source.valuesFailure = false, nil // they were just read
	inForce := r.memory.Applied.Revision
	// After a restart the head is most often what is in force already.
	r.work.fresh = r.selection.isAll() && !revision.Same(inForce)
	r.work.cause = trigger
	// However many unsound heads follow: a restart needs what is in force.
	r.parts.Source.Protect(inForce.ID(), revision.ID())
}

// valuesChanged is the trigger of a round that other values outside the
// repository make.
const valuesChanged = "values outside the repository changed"

// takeValues goes on with what is in force where some of its values lie outside
// the repository: these change without a commit. Where it fails, what is in force
// stays so.
func (r *Reconciler) takeValues(got reading, this *round) error {
	switch {
	case r.view.revision().ID() != got.revision:
		return nil // a newer revision was read meanwhile, with its values
	case got.err != nil:
		this.failed.values = true
		return got.err
	}
	if err := got.desired.Problems.Err(); err != nil {
		return fmt.Errorf("values outside the repository are refused, those of before stay in force: %w", err)
	}
	if sameStacks(r.view.whole.Stacks, got.desired.Stacks) {
		return nil
	}
	r.parts.Log.Info(valuesChanged, "revision", got.revision.Short())
	if err := r.rollouts().keepWhatRan(); err != nil {
		this.failed.values = true
		return err
	}
	this.trigger = valuesChanged
	r.desire(*got.desired)
	r.work.lookAt(lookEverywhere)
	return nil
}

// sameStacks reports whether two lists of stacks are the same software.
func sameStacks(a, b []kargo.Stack) bool {
	return slices.EqualFunc(a, b, func(a, b kargo.Stack) bool { return a.Name == b.Name && a.Digest() == b.Digest() })
}

// sameFiles reports whether a workspace has the very files of another one: its revision
// changes none that was read, so that it was not merged again.
func sameFiles(a, b kargo.Workspace) bool {
	return a.Root == b.Root && reflect.ValueOf(a.Files).UnsafePointer() == reflect.ValueOf(b.Files).UnsafePointer()
}

// write mends what somebody has changed in the merged configuration on disk, and puts there
// that of a revision whose files are not there yet. Where that fails, drift is corrected all
// the same. A new revision waits, because its services may bind the files.
func (r *Reconciler) write(_ context.Context, this *round) (goOn bool, err error) {
	if !r.work.write || r.view == nil || r.view.whole == nil {
		return true, nil
	}
	if err := r.putOnDisk(r.view.workspace); err != nil {
		this.unwritten = err
		return !r.work.fresh, nil
	}
	r.work.write = false
	return true, nil
}

// putOnDisk puts a merged configuration on disk.
func (r *Reconciler) putOnDisk(ws kargo.Workspace) error {
	write := r.parts.Effects.Write
	if write == nil {
		return nil
	}
	_, err := measured(r.parts, "write", func() (struct{}, error) { return struct{}{}, write(ws) })
	if err != nil {
		return fmt.Errorf("write merged configuration: %w", err)
	}
	return nil
}
