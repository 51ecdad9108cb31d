package controller

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

// tagsWritten is the trigger of the round after a commit of Kargo's own.
const tagsWritten = "newer images"

// follower keeps the policies of images, beside the loop: registries may take
// their time, and no round waits for one. The loop hands it what is in force.
type follower struct {
	parts Parts
	board *board
	nudge func(trigger string)

	mu     sync.Mutex
	next   *following    // not looked at yet
	handed chan struct{} // holds one

	// The rest belongs to the goroutine of run.
	now    following
	tags   map[string]answer            // by image
	states map[string]kargo.ImageStatus // by variable
	wrote  string                       // the commit upon which was written last
}

// following is what the loop hands over: a revision, and what to do about it.
type following struct {
	desired compile.Desired
	mask    kargo.Mask
	atHead  bool // no newer commit is known
	ask     bool // the registries, though they were asked before
}

func (f following) revision() kargo.RevisionID { return f.desired.Workspace.Revision.ID() }

// answer is what a registry said of one image.
type answer struct {
	tags  []string // those of the last time that it had an answer
	asked time.Time
	err   error
}

func newFollower(parts Parts, board *board, nudge func(string)) *follower {
	return &follower{parts: parts, board: board, nudge: nudge,
		handed: make(chan struct{}, 1), tags: map[string]answer{}, states: map[string]kargo.ImageStatus{}}
}

// following returns what is in force after a round, for the follower; false
// while nothing is. Ask says that somebody wants the registries asked.
func (r *Reconciler) following(ask bool) (following, bool) {
	if r.parts.Tags.Registry == nil || r.view == nil || r.view.whole == nil {
		return following{}, false
	}
	return following{
		desired: *r.view.whole, mask: r.view.mask(), ask: ask,
		atHead: r.source.head.ID() == r.view.revision().ID() && !r.source.unsound,
	}, true
}

// hand passes to the follower what is in force.
func (f *follower) hand(next following) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next != nil {
		next.ask = next.ask || f.next.ask
	}
	f.next = &next
	select {
	case f.handed <- struct{}{}:
	default:
	}
}

// run looks whenever something is handed over, and asks the registries now and
// then.
func (f *follower) run(ctx context.Context) {
	if f.parts.Tags.Registry == nil {
		return
	}
	interval := f.parts.Tags.Interval
	due := time.NewTimer(interval)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.handed:
			if !f.take() {
				continue
			}
		case <-due.C:
			f.now.ask = true
		}
		if f.now.ask {
			due.Reset(interval)
		}
		f.look(ctx)
	}
}

// take takes what was handed over. It reports whether that is any news.
func (f *follower) take() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		return false
	}
	before := f.now
	f.now, f.next = *f.next, nil
	return f.now.ask || before.revision() == "" || before.atHead != f.now.atHead ||
		before.revision() != f.now.revision()
}

// look brings what is known of each rule up to date, and writes what is to be
// written.
func (f *follower) look(ctx context.Context) {
	states := make([]kargo.ImageStatus, 0, len(f.now.desired.Workspace.Images))
	asked := map[string]bool{} // in this look
	for _, rule := range f.now.desired.Workspace.Images {
		if _, known := f.tags[rule.Image]; !known || f.now.ask && !asked[rule.Image] {
			f.askFor(ctx, rule.Image)
			asked[rule.Image] = true
		}
		states = append(states, f.state(rule))
	}
	f.now.ask = false
	if ctx.Err() != nil {
		return
	}
	f.write(ctx, states)
	clear(f.states)
	for _, state := range states {
		f.states[state.Variable] = state
	}
	f.board.change(func(s *kargo.Status) { s.Images = states })
}

func (f *follower) askFor(ctx context.Context, image string) {
	found := f.tags[image]
	tags, err := measured(f.parts, "tags", func() ([]string, error) { return f.parts.Tags.Registry.Tags(ctx, image) })
	found.err = err
	if err == nil {
		found.tags, found.asked = tags, time.Now()
	}
	f.tags[image] = found
}

// state returns what is known about one rule. If a registry cannot be reached,
// what was known stays.
func (f *follower) state(rule kargo.ImageRule) kargo.ImageStatus {
	current := f.now.desired.Workspace.Env[rule.Variable]
	known, before := f.tags[rule.Image], f.states[rule.Variable]
	state := kargo.ImageStatus{ImageRule: rule, Current: f.now.mask.Value(rule.Variable, current), Asked: known.asked}
	if known.err != nil {
		state.Error = f.now.mask.Text(kargo.Explain(known.err))
	}
	if known.asked.IsZero() {
		return state
	}
	newest, behind, err := plan.NewestTag(rule, current, known.tags)
	if err != nil {
		state.Error = kargo.Explain(err)
		return state
	}
	state.Newest, state.Behind = newest, behind
	if before.Newest == newest {
		state.Commit, state.Branch = before.Commit, before.Branch
	}
	if behind && before.Behind {
		state.Since = before.Since
	} else if behind {
		state.Since = time.Now()
		f.parts.Log.Info("a newer image is there", "variable", rule.Variable, "image", rule.Image, "current", state.Current, "newest", newest)
	}
	return state
}

// write commits what policies want written, all of it at once. A commit is
// never made twice upon another one: the next round brings what was written.
func (f *follower) write(ctx context.Context, states []kargo.ImageStatus) {
	revision := f.now.desired.Workspace.Revision
	if f.wrote == revision.Commit {
		return
	}
	edits, raised := map[string][]byte{}, []*kargo.ImageStatus{}
	for i := range states {
		state := &states[i]
		if !state.Write || !state.Behind {
			continue
		}
		if !f.now.atHead {
			state.Error = "the newest commit is refused; nothing is written upon it"
			continue
		}
		if err := f.now.desired.Rewrite(edits, state.Variable, state.Newest); err != nil {
			state.Error = f.now.mask.Text(kargo.Explain(err))
			continue
		}
		raised = append(raised, state)
	}
	if len(raised) == 0 {
		return
	}
	commit, branch, err := f.commit(ctx, kargo.Edit{Base: revision.Commit, Files: edits, Message: raiseMessage(raised)})
	for _, state := range raised {
		if err != nil {
			state.Error = f.now.mask.Text(kargo.Explain(err))
			continue
		}
		state.Commit, state.Branch = commit, branch
	}
	switch {
	case err == nil:
		f.wrote = revision.Commit
		f.parts.Log.Info("newer images written to the repository", "commit", commit, "branch", branch, "what", raiseSubject(raised))
		f.nudge(tagsWritten)
	case kargo.FaultOf(err) == kargo.Conflict: // the next round reads what came in between
		f.parts.Log.Debug("newer images not written yet", "error", err)
		f.nudge(tagsWritten)
	default:
		f.parts.Log.Warn("newer images cannot be written to the repository", "error", f.now.mask.Text(kargo.Explain(err)))
	}
}

func (f *follower) commit(ctx context.Context, edit kargo.Edit) (commit, branch string, err error) {
	_, err = measured(f.parts, "commit", func() (struct{}, error) {
		commit, branch, err = f.parts.Tags.Committer.Commit(ctx, edit)
		return struct{}{}, err
	})
	return commit, branch, err
}

// raiseSubject returns a subject such as "Raise REDIS_TAG from 7.0 to 7.2".
func raiseSubject(raised []*kargo.ImageStatus) string {
	if len(raised) == 1 {
		return fmt.Sprintf("Raise %s from %s to %s", raised[0].Variable, raised[0].Current, raised[0].Newest)
	}
	var parts []string
	for _, state := range raised {
		parts = append(parts, state.Variable+" to "+state.Newest)
	}
	const longest = 72
	if subject := "Raise " + strings.Join(parts, ", "); len(subject) <= longest {
		return subject
	}
	return fmt.Sprintf("Raise the tags of %d images", len(raised))
}

// raiseMessage returns the subject and the reason.
func raiseMessage(raised []*kargo.ImageStatus) string {
	var text strings.Builder
	text.WriteString(raiseSubject(raised) + "\n\n")
	for _, state := range raised {
		fmt.Fprintf(&text, "%s: %s -> %s, the newest tag of %s that fits %s\n(%s).\n",
			state.Variable, state.Current, state.Newest, state.Image, state.Range(), state.Where)
	}
	return text.String()
}
