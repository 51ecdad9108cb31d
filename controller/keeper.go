package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"kargo"
	"kargo/lease"
)

// Leases is where the lease of the instance is kept.
type Leases interface {
	Lease(ctx context.Context, instance string) (kargo.Lease, error)
	// WriteLease writes the lease if it still has the version that was read. Otherwise
	// the error is a Conflict.
	WriteLease(ctx context.Context, instance string, written kargo.Lease) (kargo.Lease, error)
}

// Leadership says whether a Loop shares its instance with other controllers. The zero
// value means that it is alone, and asks nobody.
type Leadership struct {
	Leases Leases
	// ID identifies the controller; it stays the same over restarts. Name is its name for
	// people.
	ID, Name string
	// Service returns the service of the Swarm that the controller runs in, or "". It is
	// nil if the controller runs in no container.
	Service func(context.Context) (string, error)
}

// leaseTime is how long a call about the lease may take.
const leaseTime = 5 * time.Second

// errLapsed ends what a controller writes that could not renew its lease in time.
var errLapsed = errors.New("the lease of the instance could not be renewed in time")

// errOutdated ends what a controller would write with what it remembers from before
// another one led.
var errOutdated = errors.New("another controller of the instance led until now; what it left is read first")

// keeper keeps the lease, or watches the controller that has it. It may be used from
// any goroutine. Without Leases it leads.
type keeper struct {
	parts   Parts
	began   time.Time     // its clock is the process's monotonic one
	changed chan struct{} // holds one: the role has changed
	tried   chan struct{} // closed when the lease was asked for once
	wake    chan struct{} // holds one: there is something to write

	mu        sync.Mutex
	candidate *lease.Candidate
	role      lease.Role
	// outdated: another controller led since this one remembers anything.
	outdated bool
	// late: what this controller sent may have reached Swarm after another one began.
	late     bool
	failure  error    // why the lease was not kept the last time; nil if it was
	nudges   []string // for the leader, not written yet
	answered uint64   // nudges of standbys that a round was run for
	shared   string   // what the next leader must know
	service  string   // that this controller runs in
	placed   bool     // whether service is known
	urgent   string   // the part of it that is written at once
}

func newKeeper(parts Parts) *keeper {
	l := parts.Leadership
	return &keeper{
		parts: parts, began: time.Now(), changed: make(chan struct{}, 1), tried: make(chan struct{}), wake: make(chan struct{}, 1),
		candidate: lease.NewCandidate(l.ID, l.Name),
	}
}

func (k *keeper) now() time.Duration { return time.Since(k.began) }

func (k *keeper) alone() bool { return k.parts.Leadership.Leases == nil }

// run keeps or watches the lease until ctx ends. nudge asks for a round that a standby
// was asked for.
func (k *keeper) run(ctx context.Context, nudge func(trigger string)) {
	if k.alone() {
		return
	}
	var tried sync.Once
	for ctx.Err() == nil {
		err := k.step(ctx, nudge)
		if err != nil && ctx.Err() == nil {
			k.parts.Log.Debug("the lease was not kept", "error", err)
		}
		k.mu.Lock()
		k.failure = err
		k.mu.Unlock()
		tried.Do(func() { close(k.tried) })
		pause := lease.Watch
		if k.leads() && k.mayWrite() && !k.hasNudges() {
			pause = lease.Renew
		}
		k.pause(ctx, pause)
	}
}

// pause waits, but not if there is something to write.
func (k *keeper) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-k.wake:
	}
}

func (k *keeper) wakeUp() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// share has the lease say what the next leader must know. What people decided, and
// what is under way, is written at once. The revision in force waits for the next
// renewal, so that it costs no call.
func (k *keeper) share(handOver kargo.HandOver) {
	text, err := asText(handOver)
	if err != nil {
		k.parts.Log.Error("cannot share what the next controller must know", "error", err)
		return
	}
	handOver.InForce = ""
	urgent, err := asText(handOver)
	if err != nil {
		k.parts.Log.Error("cannot share what the next controller must know", "error", err)
		return
	}
	k.mu.Lock()
	changed := k.urgent != urgent && !k.outdated
	if !k.outdated { // otherwise what another controller left was not read yet
		k.shared, k.urgent = text, urgent
	}
	k.mu.Unlock()
	if changed {
		k.wakeUp()
	}
}

// asText returns what is handed over as JSON, "" if it is nothing.
func asText(handOver kargo.HandOver) (string, error) {
	data, err := json.Marshal(handOver)
	if string(data) == "{}" {
		return "", err
	}
	return string(data), err
}

// step reads the lease, and writes it where that is due.
func (k *keeper) step(ctx context.Context, nudge func(trigger string)) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	k.findService(ctx)
	l, instance := k.parts.Leadership, k.parts.Behavior.Instance
	seen, err := l.Leases.Lease(ctx, instance)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.candidate.Observe(seen, k.now())
	foreign := k.candidate.Foreign()
	write, due := k.candidate.Next(k.now())
	if due {
		write.Service = k.service
	}
	if due && k.role == lease.Leader {
		write.Shared = k.shared
	}
	asked := !due && len(k.nudges) > 0
	if asked {
		write = seen
		write.Nudge, write.Trigger = write.Nudge+1, k.nudges[0]
	}
	sent := k.now()
	k.mu.Unlock()
	if due || asked {
		written, err := l.Leases.WriteLease(ctx, instance, write)
		if err != nil {
			k.settle(false)
			return err
		}
		k.mu.Lock()
		if asked {
			k.nudges = nil
		} else {
			k.candidate.Wrote(written, sent, k.now())
		}
		k.mu.Unlock()
	}
	k.settle(foreign)
	k.passOn(seen, nudge)
	return nil
}

// findService asks, until it knows, which service this controller runs in.
func (k *keeper) findService(ctx context.Context) {
	if k.placed || k.parts.Leadership.Service == nil {
		return
	}
	service, err := k.parts.Leadership.Service(ctx)
	if err != nil {
		k.parts.Log.Debug("cannot look for the service of this controller", "error", err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.service, k.placed = service, true
}

// settle notes the role that the lease gives. foreign says that another controller led
// before.
func (k *keeper) settle(foreign bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	role := k.candidate.Role()
	if role == k.role {
		return
	}
	holder := k.candidate.Seen()
	switch role {
	case lease.Leader:
		k.late = false // nobody wrote meanwhile
		k.outdated, k.answered, k.shared = foreign, holder.Nudge, holder.Shared
		k.parts.Log.Info("this controller leads", "epoch", holder.Epoch, "instance", k.parts.Behavior.Instance)
	case lease.Standby:
		if k.late {
			k.late, k.nudges = false, []string{lateWrite}
		}
		k.parts.Log.Info("this controller stands by", "leader", holder.Name, "instance", k.parts.Behavior.Instance)
	case lease.Unknown:
	}
	k.role = role
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// passOn runs a round that a standby was asked for.
func (k *keeper) passOn(seen kargo.Lease, nudge func(trigger string)) {
	k.mu.Lock()
	fresh := k.role == lease.Leader && seen.Nudge > k.answered
	if fresh {
		k.answered = seen.Nudge
	}
	k.mu.Unlock()
	if fresh {
		nudge(seen.Trigger)
	}
}

// leads reports whether rounds are run. While nothing is known of the lease they are,
// but write nothing.
func (k *keeper) leads() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.alone() || k.role != lease.Standby
}

// takeOutdated reports, once, whether another controller led before this one.
// It returns what that controller left.
func (k *keeper) takeOutdated() (left kargo.HandOver, outdated bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.outdated || k.role != lease.Leader {
		return left, false
	}
	k.outdated = false
	if k.shared != "" {
		if err := json.Unmarshal([]byte(k.shared), &left); err != nil {
			k.parts.Log.Error("cannot read what the controller before had stopped", "error", err)
		}
	}
	return left, true
}

// supplanted reports whether another controller leads, or led until now and left what was
// not read yet. A round that has begun before ends then, and the next one begins at once.
func (k *keeper) supplanted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.outdated || k.role == lease.Standby
}

// awaitFirstTry waits until the lease was asked for once, so that the first round knows what
// another controller has left. A Docker that does not answer delays it for some seconds.
func (k *keeper) awaitFirstTry(ctx context.Context) {
	if k.alone() {
		return
	}
	select {
	case <-k.tried:
	case <-ctx.Done():
	}
}

// leader returns the name of the controller that leads in place of this one, or "".
func (k *keeper) leader() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.role != lease.Standby {
		return ""
	}
	return cmp.Or(k.candidate.Seen().Name, "another controller")
}

// ask has the leader run a round.
func (k *keeper) ask(trigger string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nudges = []string{trigger} // a burst is one
	k.wakeUp()
}

func (k *keeper) hasNudges() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.nudges) > 0
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

// release gives the lease up when the controller ends, so that another one takes over
// at once. ctx bounds it.
func (k *keeper) release(ctx context.Context) {
	k.mu.Lock()
	write, held := k.candidate.Release()
	write.Shared = k.shared
	k.mu.Unlock()
	if k.alone() || !held {
		return
	}
	if _, err := k.parts.Leadership.Leases.WriteLease(ctx, k.parts.Behavior.Instance, write); err != nil {
		k.parts.Log.Debug("the lease was not given up", "error", err)
	}
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
