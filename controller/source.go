package controller

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"kargo"
	"kargo/compile"
)

// source reads revisions, and is what is known of the newest one.
type source struct {
	parts    Parts
	head     kargo.Revision // sound or not
	problems kargo.Problems // of the head
	unsound  bool           // the head could not be fetched, or has problems
	fetched  time.Time      // when git last answered
	// unrestorable: reading the last good revision ended Kargo too often.
	unrestorable bool
	// ended is a reading that has ended where that could not be recorded.
	ended string
}

// attempt notes that a reading begins, and returns how often it has begun
// without ending.
func (s *source) attempt(reading string) (int, error) {
	if s.ended != "" {
		if err := s.survived(s.ended); err != nil {
			return 0, err
		}
	}
	return s.parts.Store.Attempt(reading)
}

// survived notes that a reading has ended. Where that cannot be recorded it is
// done before the next one: what this process survived must not count against a
// revision.
func (s *source) survived(reading string) error {
	s.ended = reading
	err := s.parts.Store.Survived(reading)
	if err == nil {
		s.ended = ""
	}
	return err
}

// readNewest asks git for the newest revision, where that is due, and reads it,
// where it is new. Whatever goes wrong, the last good revision stays in force,
// and the round goes on with it.
func (r *Reconciler) readNewest(ctx context.Context, this *round) (goOn bool, err error) {
	before := r.view
	if r.view == nil {
		if err := r.restore(ctx); err != nil {
			return false, err
		}
	}
	if r.work.git {
		this.sourceErr = r.readHead(ctx, this.trigger)
		r.report() // looking at Swarm may take long
	}
	if r.view == nil {
		return false, nil
	}
	if r.view != before {
		r.work.values = false // they were just read
	}
	return true, nil
}

// readHead asks the source for its newest revision, and reads it where it is
// new. Its error is what is wrong with the head, as long as it is the head.
func (r *Reconciler) readHead(ctx context.Context, trigger string) error {
	head, err := measured(r.parts, "git", func() (kargo.RevisionID, error) { return r.parts.Source.Head(ctx) })
	if err != nil {
		return fmt.Errorf("list refs: %w", err)
	}
	r.source.fetched = time.Now()
	// A head that could not be fetched, or is unsound, is tried again: that need
	// not be the commit's doing. A key may be there by now that opens its files.
	if head != r.source.head.ID() || r.work.again && r.source.unsound {
		if err := r.advance(ctx, head, trigger); err != nil {
			return err
		}
	}
	r.work.git = false
	if err := r.source.problems.Err(); err != nil {
		return fmt.Errorf("revision %s is refused, %s: %w", r.source.head.Short(), r.inForce(), err)
	}
	return nil
}

func (r *Reconciler) inForce() string {
	if r.view == nil {
		return "nothing is in force"
	}
	return r.view.revision().Short() + " stays in force"
}

// restore reads the revision that was in force when an earlier process ended,
// so that its drift is corrected even if git is away or the head is unsound.
func (r *Reconciler) restore(ctx context.Context) error {
	inForce := r.memory.Applied.Revision
	if inForce.ID() == "" || r.source.unrestorable {
		return nil
	}
	// A newer program may fail to read what an older one read: then the head
	// must still have its turn.
	attempted := "restore " + string(inForce.ID())
	attempt, err := r.source.attempt(attempted)
	if err != nil {
		return err
	}
	if attempt > maxAttempts {
		r.source.unrestorable = true
		r.parts.Log.Error("reading the last good revision ended Kargo; it is left alone", "revision", inForce.Short(), "times", attempt-1)
		return nil
	}
	desired, err := r.source.read(ctx, inForce.ID(), r.view)
	if err == nil {
		err = desired.Problems.Err()
	}
	if err != nil {
		r.parts.Log.Warn("cannot restore the last good revision", "revision", inForce.Short(), "error", err)
		return r.source.survived(attempted)
	}
	r.desire(desired)
	return r.source.survived(attempted)
}

// advance reads a new head. If it is sound it becomes what is desired. The head
// moves last: where anything fails before, the next round tries it again.
func (r *Reconciler) advance(ctx context.Context, id kargo.RevisionID, trigger string) error {
	attempted := string(id)
	attempt, err := r.source.attempt(attempted)
	if err != nil {
		return err
	}
	if attempt > maxAttempts {
		r.source.note(id.Revision(), kargo.Problems{{Message: fmt.Sprintf("reading this revision ended Kargo %d times; it is left alone", attempt-1),
			Hint: "push another commit, and please report this one"}})
		r.source.unsound = false // it is not tried again, whatever a person asks for
		return nil
	}
	desired, err := r.source.readTried(ctx, id, r.memory.Applied.Revision.ID(), r.view)
	if err != nil && kargo.FaultOf(err) != kargo.Invalid {
		return errors.Join(err, r.source.survived(attempted))
	}
	if err != nil { // the tree itself is unsound
		desired = compile.Desired{Workspace: kargo.Workspace{Revision: id.Revision()}, Problems: problemsOf(err)}
	}
	if desired.Problems.Err() == nil {
		if err := r.rollouts().keepWhatRan(); err != nil {
			return errors.Join(err, r.source.survived(attempted))
		}
		r.accept(desired, trigger)
	}
	r.source.note(desired.Workspace.Revision, desired.Problems)
	return r.source.survived(attempted)
}

func (s *source) note(head kargo.Revision, problems kargo.Problems) {
	s.head, s.problems, s.unsound = head, problems, problems.Err() != nil
}

// readTried reads a revision once it was read elsewhere without harm. InForce is
// the revision in force, which that must not lose.
func (s *source) readTried(ctx context.Context, id, inForce kargo.RevisionID, known *view) (compile.Desired, error) {
	if try := s.parts.Effects.Try; try != nil {
		_, err := measured(s.parts, "try", func() (struct{}, error) {
			var protect []kargo.RevisionID
			if inForce != "" {
				protect = append(protect, inForce)
			}
			return struct{}{}, try(ctx, id, protect...)
		})
		if err != nil {
			return compile.Desired{}, err
		}
	}
	return s.read(ctx, id, known)
}

// read reads a revision. Where its files say the same as those that were read
// before, which are known, it is not rendered: rendering is pure.
func (s *source) read(ctx context.Context, id kargo.RevisionID, known *view) (compile.Desired, error) {
	tree, err := s.fetch(ctx, id)
	if err != nil {
		return compile.Desired{}, err
	}
	if known != nil && known.whole != nil && known.whole.UnchangedIn(tree) {
		return known.whole.At(tree.Revision), nil
	}
	return s.compile(ctx, tree)
}

func (s *source) fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error) {
	tree, err := measured(s.parts, "fetch", func() (kargo.Tree, error) { return s.parts.Source.Fetch(ctx, id) })
	if err != nil {
		return kargo.Tree{}, fmt.Errorf("fetch %s: %w", id.Short(), err)
	}
	return tree, nil
}

func (s *source) compile(ctx context.Context, tree kargo.Tree) (compile.Desired, error) {
	return measured(s.parts, "render", func() (compile.Desired, error) { return s.parts.Compiler.Compile(ctx, tree) })
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
	inForce := r.memory.Applied.Revision
	// After a restart the head is most often what is in force already.
	r.work.fresh = r.selection.isAll() && !revision.Same(inForce)
	r.work.write, r.work.cause = true, trigger
	// However many unsound heads follow: a restart needs what is in force.
	r.parts.Source.Protect(inForce.ID(), revision.ID())
}

// problemsOf returns what an error says of the workspace.
func problemsOf(err error) kargo.Problems {
	var problems kargo.Problems
	if errors.As(err, &problems) {
		return problems
	}
	var fault *kargo.Error
	if errors.As(err, &fault) {
		return kargo.Problems{{Where: fault.Where, Message: fault.Err.Error(), Hint: kargo.HintOf(fault)}}.Printable()
	}
	return kargo.Problems{{Message: err.Error()}}
}

// valuesChanged is the trigger of a round that other values outside the
// repository make.
const valuesChanged = "values outside the repository changed"

// readValues reads what is in force again where some of its values lie outside
// the repository: these change without a commit. Where it fails, what is in
// force stays so.
func (r *Reconciler) readValues(ctx context.Context, this *round) (goOn bool, err error) {
	if !r.work.values || r.work.fresh || !r.selection.isAll() {
		return true, nil
	}
	changed, err := r.valuesChanged(ctx)
	if changed {
		this.trigger = valuesChanged
	}
	this.sourceErr = joined(this.sourceErr, err)
	return true, nil
}

func (r *Reconciler) valuesChanged(ctx context.Context) (bool, error) {
	if !r.view.workspace.External {
		r.work.values = false
		return false, nil
	}
	in := r.view.revision()
	tree, err := r.source.fetch(ctx, in.ID())
	if err != nil {
		return false, err
	}
	desired, err := r.source.compile(ctx, tree)
	if err != nil {
		return false, fmt.Errorf("read values outside the repository, those of before stay in force: %w", err)
	}
	if err := desired.Problems.Err(); err != nil {
		r.work.values = false
		return false, fmt.Errorf("values outside the repository are refused, those of before stay in force: %w", err)
	}
	if sameStacks(r.view.whole.Stacks, desired.Stacks) {
		r.work.values = false
		return false, nil
	}
	r.parts.Log.Info(valuesChanged, "revision", in.Short())
	if err := r.rollouts().keepWhatRan(); err != nil {
		return false, err
	}
	r.desire(desired)
	r.work.values = false
	r.work.lookAt(lookEverywhere)
	return true, nil
}

// sameStacks reports whether two lists of stacks are the same software.
func sameStacks(a, b []kargo.Stack) bool {
	return slices.EqualFunc(a, b, func(a, b kargo.Stack) bool { return a.Name == b.Name && a.Digest() == b.Digest() })
}

// write puts the merged configuration on disk.
func (r *Reconciler) write(context.Context, *round) (goOn bool, err error) {
	if !r.work.write {
		return true, nil
	}
	if write := r.parts.Effects.Write; write != nil {
		if err := write(r.view.workspace); err != nil {
			return false, fmt.Errorf("write merged configuration: %w", err)
		}
	}
	r.work.write = false
	return true, nil
}
