package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

// Reconciler runs single rounds. It belongs to one goroutine.
//
// Its methods are the stages of a round, and what commands need. A stage works
// on values: the source, what was observed of Swarm, the renderings that are
// under way, the open deployment, the work that is due.
type Reconciler struct {
	parts    Parts
	board    *board
	interest *interest
	// notify takes a deployment that has ended, or another entry of the history. It does
	// not block.
	notify func(kargo.Deployment)

	memory    plan.Memory
	selection selection
	view      *view // what is in force, or about to be; nil until known
	source    source
	sight     sight
	record    record
	shown     shown
	work      work
	pace      pace
	asked     asked
	approval  approvals
	phases    *phases // of the rounds since the last deployment ended
	// watches: it works by itself, so that the workspace's freeze windows hold it.
	watches bool
	// supplanted reports whether another controller leads, or led until now.
	supplanted func() bool
	// compared are the comparisons of earlier plans; nil in an inspector.
	compared *plan.Comparisons
	onlyPlan string // the ID of the only plan that may be carried out next; "" for any
}

// NewReconciler makes a reconciler. It does nothing until it is called.
func NewReconciler(parts Parts) *Reconciler {
	phases := &phases{}
	parts = phases.counting(parts)
	r := &Reconciler{
		phases: phases, compared: &plan.Comparisons{},
		parts: parts, board: newBoard(parts), interest: &interest{}, notify: func(kargo.Deployment) {}, supplanted: func() bool { return false },
		memory: plan.Memory{Memory: parts.Memory, Session: plan.NewSession()},
		source: source{reader: newReader(parts), begun: begunIn(parts)}, sight: sight{parts: parts}, record: record{open: parts.Unfinished},
	}
	if r.memory.Sent == nil {
		r.memory.Sent = kargo.Sent{}
	}
	r.memory.Rollouts = past(r.memory.Rollouts, time.Now())
	if r.memory.Rollouts == nil {
		r.memory.Rollouts = map[string]kargo.Rollout{}
	}
	r.work.everything()
	return r
}

// round is what the stages of one round hand on.
type round struct {
	trigger string
	stage   string // the one that runs, or ended the round
	// err ended the round. Of it, disk is what the disk did not let Kargo do, and swarm the
	// rest.
	err, disk, swarm error
	// sourceErr is why the newest revision is not the desired one, if that was found
	// in this round. What is in force is kept in force all the same.
	sourceErr error
	// unwritten is why the merged configuration, or what else a new revision needs on the
	// disk, is not there.
	unwritten error
	failed    unread
	// unrestored says that the last good revision could not be restored, unless the head
	// could not be read for the same reason. It is nil if that was not tried.
	unrestored func(head error)
	// waits: the round ended because the source has not answered yet, or because another
	// controller has led meanwhile. What it was asked for is left to the next round.
	waits bool
	next  kargo.Plan
}

// stage is one step of a round. It reports whether the round goes on after it.
type stage struct {
	name string
	run  func(*Reconciler, context.Context, *round) (goOn bool, err error)
}

// planning are the stages of a round up to its plan, and stages all of them, in
// the order of the drawing in ARCHITECTURE.md. A stage that fails ends the
// round, and is tried again by the next one: what it has to do is crossed off
// when it has succeeded.
var (
	planning = []stage{
		{"read the newest revision", (*Reconciler).readNewest},
		{"write the merged configuration", (*Reconciler).write},
		{"follow tags", (*Reconciler).followTags},
		{"put in force what moves nothing", (*Reconciler).putUnmovedInForce},
		{"begin and end what is held for a time", func(r *Reconciler, _ context.Context, _ *round) (bool, error) {
			return true, r.decisions().endStops(time.Now())
		}},
		{"forget what was refused", (*Reconciler).forgetRefused},
		{"follow the renderings", (*Reconciler).followRenderings},
		{"look and plan", (*Reconciler).lookAndPlan},
	}
	stages = append(slices.Clone(planning), stage{"carry the plan out", (*Reconciler).carryOut})
)

// Round does what is due. Trigger says why it runs, for the history. If a step
// fails, Round still does what does not depend on that step. Its error has the
// worst fault that it met.
func (r *Reconciler) Round(ctx context.Context, trigger string) error {
	this := r.round(ctx, trigger)
	return joined(this.err, this.sourceErr)
}

func (r *Reconciler) round(ctx context.Context, trigger string) (this round) {
	defer func() {
		if !this.waits {
			r.asked = asked{} // what was asked for is done, or needs nothing
		}
		if r.record.open == nil && r.source.asked.IsZero() && r.source.arrived == nil {
			r.phases.begin()
		}
		if cause := recover(); cause != nil {
			this.err = errors.Join(this.err, kargo.Errorf(kargo.Internal, "panic in the stage %q: %v", this.stage, cause))
		}
		r.report()
	}()
	this.trigger = trigger
	err := r.runStages(ctx, &this, stages)
	this.disk = this.unwritten
	if isOfDisk(err) {
		this.disk = joined(err, this.unwritten)
	} else {
		this.swarm = BlameOutside(err)
	}
	this.disk, this.err = BlameOutside(this.disk), BlameOutside(joined(err, this.unwritten))
	return this
}

func (r *Reconciler) runStages(ctx context.Context, this *round, stages []stage) error {
	for _, stage := range stages {
		this.stage = stage.name
		if goOn, err := stage.run(r, ctx, this); err != nil || !goOn {
			return err
		}
	}
	return nil
}

// LookAgain is a Round that only observes Swarm, to see the effect of the last
// one.
func (r *Reconciler) LookAgain(ctx context.Context) error {
	r.work.lookAt(lookServices)
	return r.Round(ctx, "rollout")
}

// Read asks the source for its newest revision, and reads it where it is new.
// Nothing is carried out.
func (r *Reconciler) Read(ctx context.Context, trigger string) error {
	r.work.git, r.work.values, r.work.restore = true, false, false
	this := &round{trigger: trigger}
	_, err := r.readNewest(ctx, this)
	return joined(err, this.sourceErr)
}

// Select limits the next rounds to stacks that a person named. All others are
// neither changed nor removed, and what is remembered of them stays. Without
// names, rounds change no stack, only labels of nodes.
func (r *Reconciler) Select(stacks ...string) {
	r.selection = selection{only: append([]string{}, stacks...)}
	if r.view != nil && r.view.whole != nil {
		r.desire(*r.view.whole)
		r.work.write = true
		r.work.lookAt(lookEverywhere)
	}
}

// OnlyPlan lets the next round carry out the plan with that ID and no other. The
// error of a round with another plan is a Conflict, and nothing is changed.
func (r *Reconciler) OnlyPlan(id string) { r.onlyPlan = id }

// Remove limits the next rounds to the removal of stacks that a person named.
// It needs no revision to have been read.
func (r *Reconciler) Remove(stacks ...string) {
	r.selection = selection{only: append([]string{}, stacks...), removing: true}
	r.view = r.view.withoutStacks(r.memory.Applied.Revision)
	r.work.git, r.work.write = false, false
	r.work.lookAt(lookEverywhere)
}

// Retry lifts the quarantine of a stack, or of all if the name is empty, so that
// the next round sends its rendering again.
func (r *Reconciler) Retry(stack string) {
	delete(r.memory.Adopted, stack) // where there was nothing to take over, it is created now
	for name, rollout := range r.memory.Rollouts {
		if stack == "" || name == stack {
			rollout.Failed, rollout.Since = nil, time.Time{}
			r.memory.Rollouts[name] = rollout
		}
	}
	if r.view == nil {
		return
	}
	for _, wanted := range r.view.stacks {
		if stack == "" || wanted.Name == stack {
			for _, service := range wanted.Services {
				delete(r.memory.Sent, service.Name) // so that what Swarm rolled back is sent again
			}
		}
	}
}

// forget goes on as after the loss of the data directory: another controller has
// worked meanwhile, and what this one remembers may be older than what runs. What is
// desired is read from git anew. left is what the other controller left.
func (r *Reconciler) forget(left kargo.HandOver) {
	if open := r.record.open; open != nil {
		if err := r.supersede(*open); err != nil {
			r.parts.Log.Warn("a deployment was not closed", "number", open.Number, "error", err)
		}
	}
	r.memory = plan.Memory{Memory: takenOver(left, time.Now()), Session: plan.NewSession()}
	r.view, r.record, r.sight, r.shown = nil, record{}, sight{parts: r.parts}, shown{}
	r.source.head, r.source.problems, r.source.unsound, r.source.rewinds = kargo.Revision{}, nil, false, false
	r.source.left, r.source.begun, r.source.waiting = left.InForce, "", nil
	r.pace.settled()
	r.interest.ignoreNothing()
	r.work = work{}
	r.work.everything()
}

// Settled reports whether nothing was under way at the last look.
func (r *Reconciler) Settled() bool { return !r.pace.unsettled() }

// Status returns a copy of what is known now. It may be called from any
// goroutine.
func (r *Reconciler) Status() kargo.Status { return r.board.status() }

// Stacks returns the names of the stacks that were read, in the order of STACKS.
func (r *Reconciler) Stacks() []string {
	var names []string
	if r.view != nil && r.view.whole != nil {
		for _, stack := range r.view.whole.Stacks {
			names = append(names, stack.Name)
		}
	}
	return names
}

// KnownStacks returns the names of the stacks that are wanted or in force.
func (r *Reconciler) KnownStacks() []string {
	return append(r.Stacks(), slices.Sorted(maps.Keys(r.memory.Applied.Stacks))...)
}

// Failures returns the names of the stacks whose rendering has failed.
func (r *Reconciler) Failures() []string {
	var names []string
	for name, rollout := range r.memory.Rollouts {
		if rollout.Failed != nil {
			names = append(names, name)
		}
	}
	return names
}

// desire makes a revision the desired one.
func (r *Reconciler) desire(desired compile.Desired) {
	r.view = newView(desired, r.selection, r.memory.Resolved.Latest, r.view)
}

// joined joins two errors, and leaves one alone as it is.
func joined(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}
