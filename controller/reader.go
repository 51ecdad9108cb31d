package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kargo"
	"kargo/compile"
)

// subject is what a question to the source is about.
type subject int

const (
	theNewest   subject = iota // the newest revision
	theRestored                // the revision that an earlier process worked on
	theValues                  // the values of a revision that lie outside the repository
)

// question is what a round wants to know of the source. It is a value: the
// reader needs nothing else of the rounds.
type question struct {
	about   subject
	trigger string // of the round that asked
	// head is the revision that was read last as the newest one. It is read again
	// only if again is set.
	head  kargo.RevisionID
	again bool
	// applied is the revision in force, which must stay available.
	applied kargo.RevisionID
	// restore is the revision that is read if the question is about theRestored.
	restore kargo.RevisionID
	known   *view // what was read before; nil if nothing was
	// inForce is what a new revision must come after, if that is checked; "" if
	// nothing is known to be in force. approved is what a person approved last.
	inForce  kargo.RevisionID
	approved string
}

// reading is the answer to a question.
type reading struct {
	question
	revision kargo.RevisionID // that was read or is known; "" if git did not answer
	answered time.Time        // when git answered
	// desired is what was read. It is nil if the revision is known already, if it is
	// left alone, or if there was an error.
	desired *compile.Desired
	// commits are those that the revision adds to the one in force; earlier reports
	// that there may be more.
	commits []kargo.Commit
	earlier bool
	// attempts is how often the reading has ended the process, if that was too often:
	// the revision is left alone.
	attempts int
	// rewinds: the revision does not come after the one in force, and waits for a
	// person.
	rewinds bool
	err     error
}

// reader answers questions to the source: everything that takes as long as git
// takes. It is used by one goroutine at a time. In a Loop this is a goroutine of
// its own: the rounds go on while git is silent.
type reader struct {
	parts     Parts
	questions chan question // holds one
	readings  chan reading  // holds one
	// ended is a reading that has ended where that could not be recorded.
	ended string
	// began is told when a reading begins, and the zero time when it has ended. It is
	// nil if nobody wants to know.
	began func(time.Time)
}

func newReader(parts Parts) *reader {
	parts.Compiler.KeepRenderings()
	return &reader{parts: parts, questions: make(chan question, 1), readings: make(chan reading, 1)}
}

// run answers questions until ctx ends.
func (s *reader) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case asked := <-s.questions:
			s.readings <- s.readInTime(ctx, asked)
		}
	}
}

// readInTime answers one question by the deadline of a round.
func (s *reader) readInTime(ctx context.Context, asked question) reading {
	if s.began != nil {
		s.began(time.Now())
		defer s.began(time.Time{})
	}
	limited, cancel := context.WithTimeout(ctx, kargo.RoundTime)
	defer cancel()
	got := s.read(limited, asked)
	if got.err != nil && limited.Err() != nil {
		got.err = kargo.Errorf(kargo.Unavailable, "reading was stopped after %s, its deadline: %v", kargo.RoundTime, got.err)
	}
	return got
}

// read answers one question. A panic is an error of the reading, and counts as
// an attempt that did not end.
func (s *reader) read(ctx context.Context, asked question) (got reading) {
	got.question = asked
	defer func() {
		if cause := recover(); cause != nil {
			got.desired, got.err = nil, kargo.Errorf(kargo.Internal, "panic while a revision was read: %v", cause)
		}
	}()
	switch asked.about {
	case theNewest:
		s.readNewest(ctx, &got)
	case theRestored:
		got.revision = asked.restore
		s.attempt(ctx, &got, "restore "+string(asked.restore), s.readRevision)
	case theValues:
		got.revision = asked.known.revision().ID()
		s.readValues(ctx, &got)
	}
	return got
}

// readNewest asks for the newest revision, and reads it if it is new, or if it is
// to be read again: a revision need not be the cause why it was not read. A key
// that opens its files may be there by now.
func (s *reader) readNewest(ctx context.Context, got *reading) {
	head, err := measured(s.parts, "git", func() (kargo.RevisionID, error) { return s.parts.Source.Head(ctx) })
	if err != nil {
		got.err = fmt.Errorf("list refs: %w", err)
		return
	}
	got.revision, got.answered = head, time.Now()
	if head != got.head || got.again {
		s.attempt(ctx, got, string(head), s.readTried)
	}
	if got.desired != nil && got.desired.Problems.Err() == nil {
		s.readCommits(ctx, got)
	}
}

// readCommits reads which commits the head adds to what is in force. They are for
// people: if they cannot be read, only the head is known.
func (s *reader) readCommits(ctx context.Context, got *reading) {
	commits, complete, err := s.parts.Source.Commits(ctx, got.applied, got.revision)
	if err != nil {
		s.parts.Log.Debug("cannot read the commits of a revision", "revision", got.revision.Short(), "error", err)
	}
	got.commits, got.earlier = commits, !complete || err != nil
}

// attempt reads a revision unless that has ended the process too often.
func (s *reader) attempt(ctx context.Context, got *reading, name string, read func(context.Context, *reading) (compile.Desired, error)) {
	attempt, err := s.begin(name)
	if err != nil {
		got.err = err
		return
	}
	if attempt > maxAttempts {
		got.attempts = attempt - 1
		return
	}
	desired, err := read(ctx, got)
	switch {
	case err == nil:
		got.desired = &desired
	case kargo.FaultOf(err) == kargo.Invalid: // the tree itself is unsound
		got.desired = &compile.Desired{Workspace: kargo.Workspace{Revision: got.revision.Revision()}, Problems: problemsOf(err)}
	default:
		got.err = err
	}
	if err := s.end(name); err != nil {
		s.parts.Log.Warn("cannot record that a revision was read", "revision", got.revision.Short(), "error", err)
	}
}

// begin notes that a reading begins, and returns how often it has begun without
// ending.
func (s *reader) begin(name string) (attempt int, err error) {
	if s.ended != "" {
		if err := s.end(s.ended); err != nil {
			return 0, err
		}
	}
	return s.parts.Store.Attempt(name)
}

// end notes that a reading has ended. If that cannot be recorded it is done
// before the next one: what this process survived must not count against a
// revision.
func (s *reader) end(name string) error {
	s.ended = name
	err := s.parts.Store.Survived(name)
	if err == nil {
		s.ended = ""
	}
	return err
}

// readTried reads a revision once it was read elsewhere without harm. One that this
// process has read already needs no trial.
func (s *reader) readTried(ctx context.Context, got *reading) (compile.Desired, error) {
	try := s.parts.Effects.Try
	if known := got.known; try == nil || known != nil && known.whole != nil && known.whole.Workspace.Revision.ID() == got.revision {
		return s.readRevision(ctx, got)
	}
	trial := Trial{Revision: got.revision}
	if got.applied != "" {
		trial.Protect = append(trial.Protect, got.applied)
	}
	var tree *kargo.Tree
	var same *compile.Desired
	trial.Fetched = func(ctx context.Context) (compileIt bool, known []compile.Known, err error) {
		here, err := s.fetchNext(ctx, got)
		if err != nil {
			return false, nil, err
		}
		tree = &here
		if same = sameIn(got, here); same != nil {
			return false, nil, nil
		}
		return true, s.parts.Compiler.Known(), nil
	}
	_, err := measured(s.parts, "try", func() (struct{}, error) { return struct{}{}, try(ctx, trial) })
	switch {
	case err != nil:
		return compile.Desired{}, err
	case same != nil:
		return *same, nil
	case tree == nil: // the trial ended before it had fetched the revision
		return s.readRevision(ctx, got)
	}
	return s.compile(ctx, *tree)
}

// readRevision reads a revision.
func (s *reader) readRevision(ctx context.Context, got *reading) (compile.Desired, error) {
	tree, err := s.fetchNext(ctx, got)
	if err != nil {
		return compile.Desired{}, err
	}
	if same := sameIn(got, tree); same != nil {
		return *same, nil
	}
	return s.compile(ctx, tree)
}

// sameIn returns what is known already if the files of a tree say the same as those
// that it was read from, and nil otherwise. Then the tree need not be rendered:
// rendering is pure.
func sameIn(got *reading, tree kargo.Tree) *compile.Desired {
	known := got.known
	if known == nil || known.whole == nil || !known.whole.UnchangedIn(tree) {
		return nil
	}
	same := known.whole.At(tree.Revision)
	return &same
}

// readValues reads the files of a known revision again, for the values that they
// refer to outside the repository.
func (s *reader) readValues(ctx context.Context, got *reading) {
	tree, err := s.fetchNext(ctx, got)
	if err != nil {
		got.err = err
		return
	}
	desired, err := s.compile(ctx, tree)
	if err != nil {
		got.err = fmt.Errorf("read values outside the repository, those of before stay in force: %w", err)
		return
	}
	got.desired = &desired
}

func (s *reader) fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error) {
	tree, err := measured(s.parts, "fetch", func() (kargo.Tree, error) { return s.parts.Source.Fetch(ctx, id) })
	if err != nil {
		return kargo.Tree{}, fmt.Errorf("fetch %s: %w", id.Short(), err)
	}
	return tree, nil
}

// fetchNext fetches the revision that is to be in force. What was fetched must come
// after what is in force, or be approved. The check is about what was fetched: a ref
// may move on meanwhile.
func (s *reader) fetchNext(ctx context.Context, got *reading) (kargo.Tree, error) {
	tree, err := s.fetch(ctx, got.revision)
	if err != nil {
		return kargo.Tree{}, err
	}
	fetched := tree.Revision.ID()
	if string(fetched) == got.approved {
		return tree, nil
	}
	if err := s.parts.Source.CheckAfter(ctx, got.inForce, fetched); err != nil {
		got.rewinds = kargo.FaultOf(err) == kargo.Invalid
		return kargo.Tree{}, err
	}
	return tree, nil
}

func (s *reader) compile(ctx context.Context, tree kargo.Tree) (compile.Desired, error) {
	return measured(s.parts, "render", func() (compile.Desired, error) { return s.parts.Compiler.Compile(ctx, tree) })
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
