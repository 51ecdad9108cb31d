package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kargo"
	"kargo/plan"
)

// Hold keeps a stack, or "all", from any change until it is released or the stop
// ends. The drift of a held stack is not corrected. The error is Invalid if there
// is no such stack.
func (l *Loop) Hold(ctx context.Context, stack string, stop kargo.Stop) error {
	return l.order(ctx, stop.By.Did("hold "+stack), func(d decisions) error { return d.hold(stack, stop) })
}

// Rollback has a stack, or "all", go back to a rendering that was kept, and stay
// there until it is released. The error is Invalid if no rendering fits. Of all stacks,
// those without an earlier rendering, and those that went back already, stay as they are.
func (l *Loop) Rollback(ctx context.Context, stack string, to kargo.BackTo, stop kargo.Stop) error {
	return l.order(ctx, stop.By.Did("rollback "+stack), func(d decisions) error { return d.rollback(stack, to, stop) })
}

// Release ends the stop of a stack, or of "all". The error is Invalid if there is
// none.
func (l *Loop) Release(ctx context.Context, stack string, by kargo.Person, why string) error {
	return l.order(ctx, by.Did("release "+stack), func(d decisions) error { return d.release(stack, by, why) })
}

// Suspend keeps everything from any change. The loop still looks, and tells what it
// would do.
func (l *Loop) Suspend(ctx context.Context, stop kargo.Stop) error {
	return l.order(ctx, stop.By.Did("suspend"), func(d decisions) error {
		stop.Since = time.Now()
		d.memory.Suspended = &stop
		return d.noteOrder(kargo.EntrySuspension, stop.By, stop.Suspended())
	})
}

// Resume ends Suspend, and lifts the freeze window that lasts now. For the latter it
// takes a reason. The error is Invalid if that is missing, or if there is neither.
func (l *Loop) Resume(ctx context.Context, by kargo.Person, why string) error {
	return l.order(ctx, by.Did("resume"), func(d decisions) error {
		switch {
		case d.memory.Suspended == nil && d.memory.Frozen == nil:
			return kargo.Errorf(kargo.Invalid, "the controller is neither suspended nor frozen")
		case d.memory.Frozen != nil && why == "":
			return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("the controller is %s", d.memory.Frozen), Hint: "to lift that, say why: --reason 'an incident'"}
		case d.memory.Frozen != nil:
			if err := d.thaw(by, why); err != nil || d.memory.Suspended == nil {
				return err
			}
		}
		return d.resume(by, why)
	})
}

// order has the goroutine of the rounds do what a person asks for, waits for it,
// and asks for a round.
func (l *Loop) order(ctx context.Context, trigger string, do func(decisions) error) error {
	reply := make(chan error, 1)
	err := l.between(ctx, func(r *Reconciler) {
		defer close(reply) // also if it panics
		d := r.decisions()
		reply <- d.decide(func() error { return do(d) })
	})
	if err != nil {
		return err
	}
	switch err, decided := <-reply; {
	case !decided:
		return kargo.Errorf(kargo.Internal, "a bug ended what was decided; the log has more")
	case err != nil:
		return err
	}
	l.Nudge(trigger)
	return nil
}

// between has the goroutine of the rounds do something between two rounds. It does not
// wait until that is done.
func (l *Loop) between(ctx context.Context, do func(*Reconciler)) error {
	if leader := l.keeper.leader(); leader != "" {
		return &kargo.Error{Fault: kargo.Conflict, Err: fmt.Errorf("this controller stands by: %s leads", leader), Hint: "ask the controller on " + leader}
	}
	select {
	case l.orders <- do:
		return nil
	case <-ctx.Done():
		return kargo.Errorf(kargo.Unavailable, "wait for the round under way: %w", ctx.Err())
	}
}

// decisions are what people decided, and what freeze windows hold: which stacks may not
// change, or went back, and until when. A decision counts from the next plan on.
type decisions struct {
	parts  Parts
	view   *view           // nil until a revision is known
	memory *plan.Memory    // what is decided is part of it
	known  func() []string // the stacks that are wanted or in force
	work   *work
	pace   *pace
	// watches: windows of the workspace hold, too.
	watches bool
	notify  func(kargo.Deployment)
}

func (r *Reconciler) decisions() decisions {
	return decisions{r.parts, r.view, &r.memory, r.KnownStacks, &r.work, &r.pace, r.watches, r.notify}
}

// decide changes what people decided, and takes it back if that cannot be recorded:
// a decision that is reported as failed must not be in force.
func (d decisions) decide(change func() error) error {
	stops, suspended, frozen, lifted := d.memory.Stops, d.memory.Suspended, d.memory.Frozen, d.memory.FreezeLifted
	err := change()
	if err != nil {
		d.memory.Stops, d.memory.Suspended, d.memory.Frozen, d.memory.FreezeLifted = stops, suspended, frozen, lifted
	}
	return err
}

// named returns the stacks that a person names: one that is known, or all.
func (d decisions) named(stack string) ([]string, error) {
	known := d.known()
	slices.Sort(known)
	known = slices.Compact(known)
	switch {
	case stack == kargo.AllStacks:
		return known, nil
	case slices.Contains(known, stack):
		return []string{stack}, nil
	}
	return nil, kargo.Errorf(kargo.Invalid, "there is no stack %q", stack)
}

func (d decisions) hold(stack string, stop kargo.Stop) error {
	names, err := d.named(stack)
	if err != nil {
		return err
	}
	stop.Since = time.Now()
	for _, name := range names {
		before := d.memory.Stops[name]
		stop.Digest, stop.Revision = before.Digest, before.Revision // one that went back stays there
		d.stop(name, stop)
	}
	return d.noteOrder(kargo.EntryHold, stop.By, stack+" "+stop.String())
}

func (d decisions) rollback(stack string, to kargo.BackTo, stop kargo.Stop) error {
	names, err := d.named(stack)
	if err != nil {
		return err
	}
	stop.Since = time.Now()
	targets, err := d.targets(stack, names, to)
	if err != nil {
		return err
	}
	for name, target := range targets {
		stop.Digest, stop.Revision = target.Digest, target.Revision
		d.stop(name, stop)
	}
	d.work.lookAt(lookEverywhere)
	return d.noteOrder(kargo.EntryRollback, stop.By, stack+" "+stop.String())
}

// targets returns the kept rendering of each stack that goes back.
func (d decisions) targets(stack string, names []string, to kargo.BackTo) (map[string]kargo.KeptRendering, error) {
	targets := map[string]kargo.KeptRendering{}
	var none error
	for _, name := range names {
		start := to.Start
		if to.Digests != nil {
			if start = to.Digests[name]; start == "" {
				none = kargo.Errorf(kargo.Invalid, "the deployment has no stack %q", name)
				continue
			}
		}
		target, err := d.target(name, start)
		switch {
		case err == nil:
			targets[name] = target
		case stack == kargo.AllStacks && start == "" && kargo.FaultOf(err) == kargo.Invalid:
			none = err
		default:
			return nil, err
		}
	}
	if len(targets) == 0 && none != nil {
		return nil, none
	}
	return targets, nil
}

// target returns the kept rendering of a stack that a person means.
func (d decisions) target(stack, to string) (kargo.KeptRendering, error) {
	all, err := d.parts.Store.Kept(stack)
	if err != nil {
		return kargo.KeptRendering{}, err
	}
	if stop := d.memory.Stops[stack]; stop.WentBack() && to == "" {
		return kargo.KeptRendering{}, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("stack %s is back already: it %s", stack, stop),
			Hint: "to go back further, name a deployment or a commit; to end it: kargo release " + stack}
	}
	runs := d.memory.Rollouts[stack].Digest
	if d.memory.Rollouts[stack].Failed != nil {
		runs = d.memory.Rollouts[stack].Good
	}
	var known []string
	for _, rendering := range all { // the newest first
		known = append(known, rendering.Revision.Short())
		fits := strings.HasPrefix(rendering.Digest, to) || strings.HasPrefix(string(rendering.Revision), to)
		if to == "" {
			fits = rendering.Digest != runs
		}
		if fits {
			return rendering, nil
		}
	}
	hint := "none is kept yet; a rendering is kept once it has come up and stayed up"
	if len(known) > 0 {
		hint = "kept are those of " + strings.Join(known, ", ")
	}
	what := "earlier rendering of stack " + stack
	if to != "" {
		what = "rendering " + to + " of stack " + stack
	}
	return kargo.KeptRendering{}, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no %s", what), Hint: hint}
}

// stop notes the stop of a stack. A rendering that is on its way is followed again
// when the stack is released.
func (d decisions) stop(stack string, stop kargo.Stop) {
	d.memory.Stops = maps.Clone(d.memory.Stops)
	if d.memory.Stops == nil {
		d.memory.Stops = map[string]kargo.Stop{}
	}
	d.memory.Stops[stack] = stop
	if rollout, known := d.memory.Rollouts[stack]; known && stop.WentBack() {
		rollout.Since = time.Time{}
		d.memory.Rollouts[stack] = rollout
	}
	d.forgetSent(stack)
}

// forgetSent forgets what was sent of a stack, so that a change back to it is sent
// again.
func (d decisions) forgetSent(stack string) {
	if d.view == nil {
		return
	}
	for _, wanted := range d.view.stacks {
		if wanted.Name == stack {
			for _, service := range wanted.Services {
				delete(d.memory.Sent, service.Name)
			}
		}
	}
}

func (d decisions) release(stack string, by kargo.Person, why string) error {
	released := d.stopped(stack)
	if len(released) == 0 {
		if _, err := d.named(stack); err != nil {
			return err
		}
		return kargo.Errorf(kargo.Invalid, "%s is not held", stack)
	}
	d.memory.Stops = maps.Clone(d.memory.Stops)
	for _, name := range released {
		delete(d.memory.Stops, name)
		d.forgetSent(name)
	}
	d.work.lookAt(lookEverywhere)
	text := strings.Join(released, ", ")
	if why != "" {
		text += ": " + why
	}
	return d.noteOrder(kargo.EntryRelease, by, text)
}

// stopped returns the stopped stacks that a person names: one, or all. The workspace may
// not have them any more.
func (d decisions) stopped(stack string) []string {
	if stack == kargo.AllStacks {
		return slices.Sorted(maps.Keys(d.memory.Stops))
	}
	if _, stopped := d.memory.Stops[stack]; stopped {
		return []string{stack}
	}
	return nil
}

func (d decisions) resume(by kargo.Person, why string) error {
	d.memory.Suspended = nil
	d.work.lookAt(lookEverywhere)
	return d.noteOrder(kargo.EntryResumption, by, why)
}

// endStops ends the stops whose time has come, begins and ends freeze windows, and has the
// loop look when the next one ends.
func (d decisions) endStops(now time.Time) error {
	var ends []time.Time
	for name, stop := range d.memory.Stops {
		if stop.Until.IsZero() {
			continue
		}
		if now.Before(stop.Until) {
			ends = append(ends, stop.Until)
			continue
		}
		if err := d.decide(func() error { return d.release(name, kargo.Person{}, "its time has come") }); err != nil {
			return err
		}
	}
	if suspended := d.memory.Suspended; suspended != nil && !suspended.Until.IsZero() {
		if now.Before(suspended.Until) {
			ends = append(ends, suspended.Until)
		} else if err := d.decide(func() error { return d.resume(kargo.Person{}, "its time has come") }); err != nil {
			return err
		}
	}
	if err := d.freeze(now); err != nil {
		return err
	}
	if d.memory.Frozen != nil {
		ends = append(ends, d.memory.Frozen.Until)
	}
	if len(ends) > 0 {
		d.pace.lookAt(slices.MinFunc(ends, time.Time.Compare))
	}
	return nil
}

// noteOrder records what a person decided, with what is remembered of it.
func (d decisions) noteOrder(kind kargo.EntryKind, by kargo.Person, text string) error {
	note, err := d.parts.Store.Begin(newNote(kind, d.memory.Applied.Revision, by, text))
	if err != nil {
		return err
	}
	d.parts.Log.Info(string(kind), "by", by.String(), "what", text)
	if err := d.parts.Store.Record(note, d.memory.Memory); err != nil {
		return err // and then it is taken back
	}
	d.notify(note)
	return nil
}

// readKept reads the renderings that stacks went back to.
func (d decisions) readKept() {
	d.memory.Kept = map[string]kargo.Stack{}
	for name, stop := range d.memory.Stops {
		if !stop.WentBack() {
			continue
		}
		kept, err := d.parts.Store.Rendering(name, stop.Digest)
		switch {
		case err != nil:
			d.parts.Log.Warn("cannot read the rendering that a stack went back to", "stack", name, "error", err)
		case kept != nil:
			d.memory.Kept[name] = *kept
		}
	}
}
