package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kargo"
	"kargo/compile"
)

// pull asks git for the head, where that is due, and reads it, where it is
// new. Whatever goes wrong, the last good revision stays in force.
func (c *Controller) pull(ctx context.Context, trigger string) error {
	if c.desired == nil {
		if err := c.restore(ctx); err != nil {
			return err
		}
	}
	if !c.due.git {
		return nil
	}
	return c.Read(ctx, trigger)
}

// Read asks the source for its head, and reads it, where it is new. Nothing is
// carried out.
func (c *Controller) Read(ctx context.Context, trigger string) error {
	head, err := measured(c, "git", func() (kargo.RevisionID, error) { return c.Source.Head(ctx) })
	if err != nil {
		return fmt.Errorf("list refs: %w", err)
	}
	c.publish(func(s *kargo.Status) { s.LastFetched = time.Now() })
	if head == c.head.ID() && !c.lookAgainAtHead() {
		c.due.git = false
		return c.headProblems()
	}
	if err := c.advance(ctx, head, trigger); err != nil {
		return err
	}
	c.due.git = false
	return c.headProblems()
}

// lookAgainAtHead tells that a head that could not be fetched, or is unsound,
// is to be tried again: that need not be the commit's doing. A key may be
// allowed by now that signed it, or be there that opens its files.
func (c *Controller) lookAgainAtHead() bool {
	return c.due.again && c.unsound
}

// headProblems repeats what is wrong with the head as long as it is the head.
func (c *Controller) headProblems() error {
	if err := c.Status().Problems.Err(); err != nil {
		return fmt.Errorf("revision %s is refused, %s: %w", c.head.Short(), c.inForce(), err)
	}
	return nil
}

func (c *Controller) inForce() string {
	if c.desired == nil {
		return "nothing is in force"
	}
	return c.desired.Workspace.Revision.Short() + " stays in force"
}

// restore reads the revision that was in force when an earlier process ended,
// so that its drift is corrected even if git is away or the head is unsound.
func (c *Controller) restore(ctx context.Context) error {
	id := c.memory.Applied.Revision.ID()
	if id == "" || c.unrestorable {
		return nil
	}
	// A newer program may stumble over what an older one read: then the head
	// must still have its turn.
	attempt, err := c.Attempts.Attempt("restore " + string(id))
	if err != nil {
		return err
	}
	if attempt > maxAttempts {
		c.unrestorable = true
		c.Log.Error("reading the last good revision ended Kargo; it is left alone", "revision", c.memory.Applied.Revision.Short(), "times", attempt-1)
		return nil
	}
	desired, err := c.read(ctx, id)
	if err == nil {
		err = desired.Problems.Err()
	}
	if err != nil {
		c.Log.Warn("cannot restore the last good revision", "revision", c.memory.Applied.Revision.Short(), "error", err)
		return c.Attempts.Survived()
	}
	c.desire(desired)
	return c.Attempts.Survived()
}

// desire makes a revision the desired one.
func (c *Controller) desire(desired compile.Desired) {
	whole := desired
	c.whole, desired.Stacks = &whole, c.narrowed(desired.Stacks)
	c.desired, c.rendered = &desired, desired.Stacks
	c.desired.Stacks = compile.WithTags(c.rendered, c.memory.Resolved.Latest)
}

// advance reads a new head. If it is sound it becomes what is desired.
func (c *Controller) advance(ctx context.Context, id kargo.RevisionID, trigger string) error {
	attempt, err := c.Attempts.Attempt(string(id))
	if err != nil {
		return err
	}
	c.unsound = false
	if attempt > maxAttempts {
		c.head = id.Revision()
		problems := kargo.Problems{{Message: fmt.Sprintf("reading this revision ended Kargo %d times; it is left alone", attempt-1),
			Hint: "push another commit, and please report this one"}}
		c.publish(func(s *kargo.Status) { s.Head, s.Problems = c.head, problems })
		return nil
	}
	desired, err := c.readTried(ctx, id)
	if err != nil && kargo.FaultOf(err) != kargo.Invalid {
		return errors.Join(err, c.Attempts.Survived())
	}
	if err != nil { // the tree itself is unsound
		desired = compile.Desired{Workspace: kargo.Workspace{Revision: id.Revision()}, Problems: problemsOf(err)}
	}
	c.head, c.unsound = desired.Workspace.Revision, desired.Problems.Err() != nil
	c.publish(func(s *kargo.Status) { s.Head, s.Problems = c.head, desired.Problems })
	if desired.Problems.Err() == nil {
		if err := c.keepWhatRan(); err != nil {
			return err
		}
		c.accept(desired, trigger)
	}
	return c.Attempts.Survived()
}

// readTried reads a revision once it was read elsewhere without harm.
func (c *Controller) readTried(ctx context.Context, id kargo.RevisionID) (compile.Desired, error) {
	if c.Try != nil {
		_, err := measured(c, "try", func() (struct{}, error) {
			var protect []kargo.RevisionID
			if inForce := c.memory.Applied.Revision.ID(); inForce != "" {
				protect = append(protect, inForce)
			}
			return struct{}{}, c.Try(ctx, id, protect...)
		})
		if err != nil {
			return compile.Desired{}, err
		}
	}
	return c.read(ctx, id)
}

// accept makes a sound revision the desired one.
func (c *Controller) accept(desired compile.Desired, trigger string) {
	for _, problem := range desired.Problems {
		c.Log.Warn("workspace", "problem", problem.String())
	}
	revision := desired.Workspace.Revision
	c.Log.Info("new revision", "revision", revision.String())
	if revision.Rewrote != "" {
		rewritten := fmt.Sprintf("history was rewritten: %s is no ancestor", kargo.RevisionID(revision.Rewrote).Short())
		c.Log.Warn(rewritten, "revision", revision.Short())
		trigger += ", " + rewritten
	}
	c.due.full = c.due.full || c.relabelled(desired)
	c.desire(desired)
	c.due.write, c.due.cause = true, trigger
	// However many unsound heads follow: a restart needs what is in force.
	c.Source.Protect(c.memory.Applied.Revision.ID(), revision.ID())
	// After a restart the head is most often what is in force already.
	inForce := c.memory.Applied.Revision
	c.due.fresh = c.only == nil && !revision.Same(inForce)
}

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

func (c *Controller) read(ctx context.Context, id kargo.RevisionID) (compile.Desired, error) {
	tree, err := c.fetch(ctx, id)
	if err != nil {
		return compile.Desired{}, fmt.Errorf("fetch %s: %w", id.Short(), err)
	}
	if c.desired != nil && c.desired.UnchangedIn(tree) {
		same := c.desired.At(tree.Revision)
		same.Stacks = c.rendered
		return same, nil
	}
	return measured(c, "render", func() (compile.Desired, error) { return c.Compiler.Compile(ctx, tree) })
}

func (c *Controller) fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error) {
	return measured(c, "fetch", func() (kargo.Tree, error) { return c.Source.Fetch(ctx, id) })
}
