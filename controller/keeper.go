package controller

import (
	"cmp"
	"context"
	"encoding/json"
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
	// Aside returns what lies beside the lease, and WriteAside writes it if it still has
	// the version that was read. Otherwise the error is a Conflict.
	Aside(ctx context.Context, instance string) (kargo.Aside, error)
	WriteAside(ctx context.Context, instance string, written kargo.Aside) error
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
	shared   shared   // what the next leader must know
	aside    string   // what lies aside, as far as is known
	renewed  string   // all that was shared when the lease was renewed last
	service  string   // that this controller runs in
	placed   bool     // whether service is known
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
	shared, err := sharedOf(handOver)
	if err != nil {
		k.parts.Log.Error("cannot share what the next controller must know", "error", err)
		return
	}
	k.mu.Lock()
	changed := k.shared.urgent != shared.urgent && !k.outdated
	if !k.outdated { // otherwise what another controller left was not read yet
		k.shared = shared
	}
	k.mu.Unlock()
	if changed {
		k.wakeUp()
	}
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
	leads := due && k.role == lease.Leader && !foreign
	if leads {
		write.Shared, write.Aside = k.toShare()
	}
	all := k.shared.all
	asked := !due && len(k.nudges) > 0
	if asked {
		write = seen
		write.Nudge, write.Trigger = write.Nudge+1, k.nudges[0]
	}
	sent := k.now()
	k.mu.Unlock()
	left := write.Shared
	if due && !leads && write.Aside != "" { // before it is too late to leave it to another one
		if left, err = k.readAside(ctx, write); err != nil {
			k.settle(false, "")
			return err
		}
	}
	if due || asked {
		written, err := l.Leases.WriteLease(ctx, instance, write)
		if err != nil {
			k.settle(false, "")
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
	k.settle(foreign, left)
	if leads {
		k.putAside(ctx, all)
	}
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
// before, and left is what the one before has left.
func (k *keeper) settle(foreign bool, left string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	role := k.candidate.Role()
	if tookOver := foreign && role == lease.Leader; role == k.role && !tookOver {
		return
	}
	holder := k.candidate.Seen()
	switch role {
	case lease.Leader:
		k.late = false // nobody wrote meanwhile
		k.outdated, k.answered = foreign, holder.Nudge
		k.shared, k.aside = shared{all: left, least: holder.Shared}, ""
		if left != holder.Shared {
			k.aside = left
		}
		k.renewed = k.aside
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
	if all := k.shared.all; all != "" {
		if err := json.Unmarshal([]byte(all), &left); err != nil {
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

// release gives the lease up when the controller ends, so that another one takes over
// at once. ctx bounds it.
func (k *keeper) release(ctx context.Context) {
	k.mu.Lock()
	write, held := k.candidate.Release()
	write.Shared, write.Aside = k.shared.all, "" // nobody has to look for it
	k.mu.Unlock()
	if k.alone() || !held {
		return
	}
	if _, err := k.parts.Leadership.Leases.WriteLease(ctx, k.parts.Behavior.Instance, write); err != nil {
		k.parts.Log.Debug("the lease was not given up", "error", err)
	}
}
