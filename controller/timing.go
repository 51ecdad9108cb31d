package controller

import (
	"math/rand/v2"
	"time"

	"kargo"
)

// Schedule returns when something is due next. The schedules of package cron
// implement it.
type Schedule interface {
	Next(time.Time) time.Time
}

// Every is a Schedule with a fixed interval.
type Every time.Duration

// Next returns the time one interval after now.
func (e Every) Next(now time.Time) time.Time { return now.Add(time.Duration(e)) }

const (
	// longestLight is for how long looks at a rollout may be light ones: the
	// rest of the Swarm may change meanwhile, too.
	longestLight = 30 * time.Second
	// pushRest keeps the rounds of a burst of pushes apart.
	pushRest = 2 * time.Second
	// eventRest lets the events of one cause arrive together.
	eventRest = 500 * time.Millisecond
	// watchRetry is the pause before a broken event stream is opened again; it
	// doubles up to slowestRetry while that fails.
	watchRetry = 2 * time.Second
	// Back-off after faults: exponential with jitter between these.
	firstRetry   = time.Second
	slowestRetry = time.Minute
	// maxAttempts: a revision whose reading ended the process this often is
	// not read again.
	maxAttempts = 2
)

// distances between looks at a rollout; the last one stays. They grow, because
// a rollout that takes long changes slowly, and each look is a call. They do
// not grow beyond five seconds, because the events of what is on its way are
// ignored, and drift of it should be seen as soon as any other.
var distances = []time.Duration{1 * time.Second, 2 * time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}

// depth is how much of Swarm a round looks at.
type depth int

const (
	lookNowhere depth = iota
	lookServices
	lookEverywhere
)

// work is what the next round has to do. A part of it is crossed off when its
// step has succeeded.
type work struct {
	git    bool   // ask for the newest revision
	values bool   // read values that lie outside the repository again
	write  bool   // put the merged configuration on disk
	fresh  bool   // carry out a revision that was accepted
	again  bool   // try again what Docker refused, and what was not available
	look   depth  // at Swarm, at least
	cause  string // what made the loop find the fresh revision
}

// everything marks all that a person who asks for a round expects.
func (w *work) everything() { w.git, w.again, w.values = true, true, true; w.look = lookEverywhere }

// lookAt asks for a look of a depth at least.
func (w *work) lookAt(d depth) { w.look = max(w.look, d) }

// pace is when the next round is due.
type pace struct {
	poll     time.Time // git is asked
	verify   time.Time // everything is looked at
	rollout  time.Time // a rollout is looked at; zero if all has settled
	retry    time.Time // after a fault; zero if there was none
	push     time.Time // a push last made a round
	looks    int       // looks at the present rollout
	failures int       // faults in a row
}

// unsettled reports whether a rollout or a removal is on its way.
func (p *pace) unsettled() bool { return !p.rollout.IsZero() }

// settled notes that nothing is on its way any more.
func (p *pace) settled() { p.looks, p.rollout = 0, time.Time{} }

// lookAgain plans the next look at a rollout.
func (p *pace) lookAgain(now time.Time) {
	p.rollout = now.Add(distances[min(p.looks, len(distances)-1)])
	p.looks++
}

// lookAt plans the next look at a rollout for a time when it may be decided.
// The zero time leaves the plan as it is.
func (p *pace) lookAt(at time.Time) {
	if !at.IsZero() {
		p.rollout = at
	}
}

// putOff moves a look that was due when its round failed: to the time of the
// retry, if there is one. It must not be tried again at once, forever.
func (p *pace) putOff(now time.Time) {
	switch {
	case p.rollout.IsZero() || now.Before(p.rollout):
	case p.retry.IsZero():
		p.lookAgain(now)
	default:
		p.rollout = p.retry
	}
}

// until returns how long nothing is due.
func (p *pace) until(now time.Time) time.Duration {
	next := earlier(p.poll, p.verify)
	for _, at := range []time.Time{p.rollout, p.retry} {
		if !at.IsZero() {
			next = earlier(next, at)
		}
	}
	return max(next.Sub(now), 0)
}

// expire marks as work what has become due by now, and names it.
func (r *Reconciler) expire(now time.Time) (trigger string) {
	trigger = "retry"
	if r.pace.unsettled() && !now.Before(r.pace.rollout) {
		r.work.lookAt(lookServices)
		trigger = "rollout"
	}
	if !now.Before(r.pace.verify) {
		r.work.again, r.work.values, trigger = true, true, "verify"
		r.work.lookAt(lookEverywhere)
	}
	if !now.Before(r.pace.poll) {
		r.work.git, trigger = true, "interval"
	}
	return trigger
}

// rest plans the next round after one that ended with err, and returns how long
// that takes. This is the one place where a fault becomes timing.
func (r *Reconciler) rest(now time.Time, err error) time.Duration {
	p, behavior := &r.pace, r.parts.Behavior
	if !now.Before(p.poll) {
		p.poll = behavior.Poll.Next(now)
	}
	if p.verify.IsZero() || !now.Before(p.verify) {
		p.verify = now.Add(behavior.Verify)
	}
	p.retry = time.Time{}
	switch {
	case err == nil:
		p.failures = 0
		return p.until(now)
	case kargo.FaultOf(err) == kargo.Conflict:
		p.retry = now.Add(firstRetry)
	case kargo.FaultOf(err) == kargo.Unavailable:
		p.failures++
		p.retry = now.Add(backOff(p.failures))
	default: // a new commit or the next interval; a bug is not helped by haste
		p.failures = 0
	}
	p.putOff(now)
	return p.until(now)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// backOff is exponential, with full jitter above half, so that many
// controllers do not come back at once.
func backOff(failures int) time.Duration {
	limit := min(firstRetry<<min(failures-1, 10), slowestRetry)
	return limit/2 + rand.N(limit/2+1)
}
