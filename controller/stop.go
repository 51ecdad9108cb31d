package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kargo"
)

// everyStack is the name by which a person means all stacks.
const everyStack = "all"

// Hold keeps a stack, or "all", from any change until it is released or the stop
// ends. The drift of a held stack is not corrected. The error is Invalid if there
// is no such stack.
func (l *Loop) Hold(ctx context.Context, stack string, stop kargo.Stop) error {
	return l.order(ctx, stop.By.Did("hold "+stack), func(r *Reconciler) error { return r.hold(stack, stop) })
}

// Rollback has a stack, or "all", go back to a rendering that was kept, and stay
// there until it is released. To is the start of a digest or of a commit; "" means
// the rendering before the one that runs. The error is Invalid if none fits.
func (l *Loop) Rollback(ctx context.Context, stack, to string, stop kargo.Stop) error {
	return l.order(ctx, stop.By.Did("rollback "+stack), func(r *Reconciler) error { return r.rollback(stack, to, stop) })
}

// Release ends the stop of a stack, or of "all". The error is Invalid if there is
// none.
func (l *Loop) Release(ctx context.Context, stack string, by kargo.Person, why string) error {
	return l.order(ctx, by.Did("release "+stack), func(r *Reconciler) error { return r.release(stack, by, why) })
}

// Suspend keeps everything from any change. The loop still looks, and tells what it
// would do.
func (l *Loop) Suspend(ctx context.Context, stop kargo.Stop) error {
	return l.order(ctx, stop.By.Did("suspend"), func(r *Reconciler) error {
		stop.Since = time.Now()
		r.memory.Suspended = &stop
		return r.noteOrder(kargo.EntrySuspension, stop.By, stop.Suspended())
	})
}

// Resume ends Suspend, and lifts the freeze window that lasts now. For the latter it
// takes a reason. The error is Invalid if that is missing, or if there is neither.
func (l *Loop) Resume(ctx context.Context, by kargo.Person, why string) error {
	return l.order(ctx, by.Did("resume"), func(r *Reconciler) error {
		switch {
		case r.memory.Suspended == nil && r.memory.Frozen == nil:
			return kargo.Errorf(kargo.Invalid, "the controller is neither suspended nor frozen")
		case r.memory.Frozen != nil && why == "":
			return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("the controller is %s", r.memory.Frozen), Hint: "to lift that, say why: --reason 'an incident'"}
		case r.memory.Frozen != nil:
			if err := r.thaw(by, why); err != nil || r.memory.Suspended == nil {
				return err
			}
		}
		return r.resume(by, why)
	})
}

// order has the goroutine of the rounds do what a person asks for, waits for it,
// and asks for a round.
func (l *Loop) order(ctx context.Context, trigger string, do func(*Reconciler) error) error {
	if leader := l.keeper.leader(); leader != "" {
		return &kargo.Error{Fault: kargo.Conflict, Err: fmt.Errorf("this controller stands by: %s leads", leader), Hint: "ask the controller on " + leader}
	}
	reply := make(chan error, 1)
	select {
	case l.orders <- func(r *Reconciler) { reply <- r.decide(func() error { return do(r) }) }:
	case <-ctx.Done():
		return kargo.Errorf(kargo.Unavailable, "wait for the round under way: %w", ctx.Err())
	}
	if err := <-reply; err != nil {
		return err
	}
	l.Nudge(trigger)
	return nil
}

// decide changes what people decided, and takes it back if that cannot be recorded:
// a decision that is reported as failed must not be in force.
func (r *Reconciler) decide(change func() error) error {
	stops, suspended, frozen, lifted := r.memory.Stops, r.memory.Suspended, r.memory.Frozen, r.memory.FreezeLifted
	err := change()
	if err != nil {
		r.memory.Stops, r.memory.Suspended, r.memory.Frozen, r.memory.FreezeLifted = stops, suspended, frozen, lifted
	}
	return err
}

// named returns the stacks that a person names: one that is known, or all.
func (r *Reconciler) named(stack string) ([]string, error) {
	known := r.KnownStacks()
	slices.Sort(known)
	known = slices.Compact(known)
	switch {
	case stack == everyStack:
		return known, nil
	case slices.Contains(known, stack):
		return []string{stack}, nil
	}
	return nil, kargo.Errorf(kargo.Invalid, "there is no stack %q", stack)
}

func (r *Reconciler) hold(stack string, stop kargo.Stop) error {
	names, err := r.named(stack)
	if err != nil {
		return err
	}
	stop.Since = time.Now()
	for _, name := range names {
		before := r.memory.Stops[name]
		stop.Digest, stop.Revision = before.Digest, before.Revision // one that went back stays there
		r.stop(name, stop)
	}
	return r.noteOrder(kargo.EntryHold, stop.By, stack+" "+stop.String())
}

func (r *Reconciler) rollback(stack, to string, stop kargo.Stop) error {
	names, err := r.named(stack)
	if err != nil {
		return err
	}
	stop.Since = time.Now()
	targets := map[string]kargo.KeptRendering{}
	for _, name := range names {
		target, err := r.target(name, to)
		if err != nil {
			return err
		}
		targets[name] = target
	}
	for name, target := range targets {
		stop.Digest, stop.Revision = target.Digest, target.Revision
		r.stop(name, stop)
	}
	r.work.lookAt(lookEverywhere)
	return r.noteOrder(kargo.EntryRollback, stop.By, stack+" "+stop.String())
}

// target returns the kept rendering of a stack that a person means.
func (r *Reconciler) target(stack, to string) (kargo.KeptRendering, error) {
	all, err := r.parts.Store.Kept(stack)
	if err != nil {
		return kargo.KeptRendering{}, err
	}
	runs := r.memory.Rollouts[stack].Digest
	if stop := r.memory.Stops[stack]; stop.WentBack() {
		runs = stop.Digest
	} else if failed := r.memory.Rollouts[stack].Failed; failed != nil {
		runs = r.memory.Rollouts[stack].Good
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
func (r *Reconciler) stop(stack string, stop kargo.Stop) {
	r.memory.Stops = maps.Clone(r.memory.Stops)
	if r.memory.Stops == nil {
		r.memory.Stops = map[string]kargo.Stop{}
	}
	r.memory.Stops[stack] = stop
	if rollout, known := r.memory.Rollouts[stack]; known && stop.WentBack() {
		rollout.Since = time.Time{}
		r.memory.Rollouts[stack] = rollout
	}
	r.forgetSent(stack)
}

// forgetSent forgets what was sent of a stack, so that a change back to it is sent
// again.
func (r *Reconciler) forgetSent(stack string) {
	if r.view == nil {
		return
	}
	for _, wanted := range r.view.stacks {
		if wanted.Name == stack {
			for _, service := range wanted.Services {
				delete(r.memory.Sent, service.Name)
			}
		}
	}
}

func (r *Reconciler) release(stack string, by kargo.Person, why string) error {
	released := r.stopped(stack)
	if len(released) == 0 {
		if _, err := r.named(stack); err != nil {
			return err
		}
		return kargo.Errorf(kargo.Invalid, "%s is not held", stack)
	}
	r.memory.Stops = maps.Clone(r.memory.Stops)
	for _, name := range released {
		delete(r.memory.Stops, name)
		r.forgetSent(name)
	}
	r.work.lookAt(lookEverywhere)
	text := strings.Join(released, ", ")
	if why != "" {
		text += ": " + why
	}
	return r.noteOrder(kargo.EntryRelease, by, text)
}

// stopped returns the stopped stacks that a person names: one, or all. The workspace may
// not have them any more.
func (r *Reconciler) stopped(stack string) []string {
	if stack == everyStack {
		return slices.Sorted(maps.Keys(r.memory.Stops))
	}
	if _, stopped := r.memory.Stops[stack]; stopped {
		return []string{stack}
	}
	return nil
}

func (r *Reconciler) resume(by kargo.Person, why string) error {
	r.memory.Suspended = nil
	r.work.lookAt(lookEverywhere)
	return r.noteOrder(kargo.EntryResumption, by, why)
}

// endStops ends the stops whose time has come, begins and ends freeze windows, and has the
// loop look when the next one ends.
func (r *Reconciler) endStops(now time.Time) error {
	var ends []time.Time
	for name, stop := range r.memory.Stops {
		if stop.Until.IsZero() {
			continue
		}
		if now.Before(stop.Until) {
			ends = append(ends, stop.Until)
			continue
		}
		if err := r.decide(func() error { return r.release(name, kargo.Person{}, "its time has come") }); err != nil {
			return err
		}
	}
	if suspended := r.memory.Suspended; suspended != nil && !suspended.Until.IsZero() {
		if now.Before(suspended.Until) {
			ends = append(ends, suspended.Until)
		} else if err := r.decide(func() error { return r.resume(kargo.Person{}, "its time has come") }); err != nil {
			return err
		}
	}
	if err := r.freeze(now); err != nil {
		return err
	}
	if r.memory.Frozen != nil {
		ends = append(ends, r.memory.Frozen.Until)
	}
	if len(ends) > 0 {
		r.pace.lookAt(slices.MinFunc(ends, time.Time.Compare))
	}
	return nil
}

// noteOrder records what a person decided, with what is remembered of it.
func (r *Reconciler) noteOrder(kind kargo.EntryKind, by kargo.Person, text string) error {
	note, err := r.parts.Store.Begin(newNote(kind, r.memory.Applied.Revision, by, text))
	if err != nil {
		return err
	}
	r.parts.Log.Info(string(kind), "by", by.String(), "what", text)
	return r.parts.Store.Record(note, r.memory.Memory)
}

// readKept reads the renderings that stacks went back to.
func (r *Reconciler) readKept() {
	r.memory.Kept = map[string]kargo.Stack{}
	for name, stop := range r.memory.Stops {
		if !stop.WentBack() {
			continue
		}
		kept, err := r.parts.Store.Rendering(name, stop.Digest)
		switch {
		case err != nil:
			r.parts.Log.Warn("cannot read the rendering that a stack went back to", "stack", name, "error", err)
		case kept != nil:
			r.memory.Kept[name] = *kept
		}
	}
}
