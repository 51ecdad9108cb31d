package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"kargo"
	"kargo/lease"
)

// errLapsed ends what a controller writes that could not renew its lease in time.
var errLapsed = errors.New("the lease of the instance could not be renewed in time")

// errOutdated ends what a controller would write with what it remembers from before
// another one led.
var errOutdated = errors.New("another controller of the instance led until now; what it left is read first")

// fenced is a Swarm that is written to only while this controller holds the lease.
type fenced struct {
	Swarm
	keeper *keeper
}

// Apply stops before the next change when the lease may be another's.
func (f fenced) Apply(ctx context.Context, plan kargo.Plan, sending func([]kargo.Change), done func(kargo.Change, error)) error {
	if len(plan.Changes) == 0 {
		return nil
	}
	if !f.keeper.mayWrite() {
		return f.keeper.lapsed()
	}
	held, end := f.keeper.whileHeld(ctx)
	defer end()
	err := f.Swarm.Apply(held, ofEpoch(plan, f.keeper.epoch()), sending, done)
	f.keeper.noteLate()
	if err != nil && errors.Is(context.Cause(held), errLapsed) {
		return f.keeper.lapsed()
	}
	return err
}

// mayWrite reports whether this controller holds the lease for certain, and works with
// what the one before has left: it may have taken over in the middle of a round.
func (k *keeper) mayWrite() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alone() || !k.outdated && k.candidate.MayWrite(k.now())
}

// lateWrite is the trigger of the round for which a former leader asks that may have
// written late. The new one looks at everything.
const lateWrite = "a former leader may have written late"

// noteLate notes that what was sent may arrive late, if this controller may not write
// any more.
func (k *keeper) noteLate() {
	if k.mayWrite() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.role == lease.Standby { // it is told already that it stands by
		k.nudges = []string{lateWrite}
		k.wakeUp()
		return
	}
	k.late = true
}

// lapsed says why nothing may be written.
func (k *keeper) lapsed() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.outdated {
		return &kargo.Error{Fault: kargo.Unavailable, Err: errOutdated}
	}
	err := errLapsed
	if k.failure != nil {
		err = fmt.Errorf("%w: %w", errLapsed, k.failure)
	}
	return &kargo.Error{Fault: kargo.Unavailable, Err: err, Hint: "another controller of the instance may work by now; Kargo must be allowed to create and update configs"}
}

// left returns for how long this controller may write.
func (k *keeper) left() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.candidate.Until() - k.now()
}

// held is a context whose Err asks the clock: after a pause of the process no timer has
// run yet.
type held struct {
	context.Context
	keeper *keeper
	cancel context.CancelCauseFunc
}

// Err also ends the context when this controller may not write any more.
func (h held) Err() error {
	if err := h.Context.Err(); err != nil || h.keeper.mayWrite() {
		return err
	}
	h.cancel(errLapsed)
	return h.Context.Err()
}

// whileHeld returns a context that ends when this controller may not write any more.
func (k *keeper) whileHeld(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if k.alone() {
		return ctx, func() { cancel(nil) }
	}
	timer := time.NewTimer(k.left())
	go func() {
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			if !k.mayWrite() {
				cancel(errLapsed)
				return
			}
			timer.Reset(k.left())
		}
	}()
	return held{ctx, k, cancel}, func() { cancel(nil) }
}

// epoch is that of the lease; 0 if this controller is alone.
func (k *keeper) epoch() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.candidate.Seen().Epoch
}

// ofEpoch returns a plan whose objects say in which epoch they were written. The spec
// of no task changes.
func ofEpoch(plan kargo.Plan, epoch uint64) kargo.Plan {
	if epoch == 0 {
		return plan
	}
	with := func(labels map[string]string) map[string]string {
		marked := map[string]string{kargo.LabelEpoch: strconv.FormatUint(epoch, 10)}
		for key, value := range labels {
			if key != kargo.LabelEpoch {
				marked[key] = value
			}
		}
		return marked
	}
	plan.Changes = slices.Clone(plan.Changes)
	for i := range plan.Changes {
		switch change := &plan.Changes[i]; {
		case change.Service != nil:
			spec := *change.Service
			spec.Labels = with(spec.Labels)
			change.Service = &spec
		case change.Network != nil:
			network := *change.Network
			network.Labels = with(network.Labels)
			change.Network = &network
		case change.Config != nil:
			config := *change.Config
			config.Labels = with(config.Labels)
			change.Config = &config
		}
	}
	return plan
}
