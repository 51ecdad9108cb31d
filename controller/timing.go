package controller

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"kargo"
)

// Schedule is when something is due next; cron's schedules are of this kind.
type Schedule interface {
	Next(time.Time) time.Time
}

// Every is the Schedule of a fixed interval.
type Every time.Duration

// Next is one interval after now.
func (e Every) Next(now time.Time) time.Time { return now.Add(time.Duration(e)) }

const (
	// longestLight is for how long looks at a rollout may be light ones: the
	// rest of the Swarm may change meanwhile, too.
	longestLight = 30 * time.Second
	// pushRest keeps the rounds of a burst of pushes apart.
	pushRest = 2 * time.Second
	// eventRest lets the events of one cause arrive together.
	eventRest = 500 * time.Millisecond
	// watchRetry is the pause before a broken event stream is opened again.
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
// not listened to, and drift of it is to be seen as soon as any other.
var distances = []time.Duration{1 * time.Second, 2 * time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}

// due is what the next round has to do.
type due struct {
	git    bool   // ask for the head
	fresh  bool   // a new revision was accepted and not carried out yet
	cause  string // what made the loop find that revision
	write  bool   // the merged configuration is not on disk yet
	full   bool   // look at everything
	again  bool   // try again what Docker refused
	look   bool   // look at the services
	values bool   // read values anew that lie outside the repository

	unsettled bool // a rollout or a removal is on its way: look again soon
	looks     int  // looks at the present rollout

	push   time.Time // when a push last made a round
	poll   time.Time // when git is asked next
	verify time.Time // when everything is looked at next
	soon   time.Time // when the rollout is looked at next; zero if settled
}

func (d *due) everything() { d.git, d.full, d.again, d.values = true, true, true, true }

// expire marks what has become due by now, and names it.
func (d *due) expire(now time.Time) (trigger string) {
	trigger = "retry"
	if !d.soon.IsZero() && !now.Before(d.soon) {
		d.look, trigger = true, "rollout"
	}
	if !now.Before(d.verify) {
		d.full, d.again, d.values, trigger = true, true, true, "verify"
	}
	if !now.Before(d.poll) {
		d.git, trigger = true, "interval"
	}
	return trigger
}

// lookAgain plans the next look at a rollout.
func (d *due) lookAgain(now time.Time) {
	d.unsettled = true
	d.soon = now.Add(distances[min(d.looks, len(distances)-1)])
	d.looks++
}

// lookAt plans the next look at a rollout for a time when it may be decided.
// The zero time leaves the plan as it is.
func (d *due) lookAt(at time.Time) {
	if !at.IsZero() {
		d.soon = at
	}
}

// putOff moves a look that was due when its round failed: to the time of the
// retry, if there is one. It must not be tried again at once, for ever.
func (d *due) putOff(now, retry time.Time) {
	switch {
	case d.soon.IsZero() || now.Before(d.soon):
	case retry.IsZero():
		d.lookAgain(now)
	default:
		d.soon = retry
	}
}

func (d *due) settled() { d.unsettled, d.looks, d.soon = false, 0, time.Time{} }

// wait is how long the loop rests after a round that ended with err. This is
// the one place where a fault becomes timing.
func (c *Controller) wait(now time.Time, err error) time.Duration {
	if !now.Before(c.due.poll) {
		c.due.poll = c.Poll.Next(now)
	}
	if c.due.verify.IsZero() || !now.Before(c.due.verify) {
		c.due.verify = now.Add(c.Verify)
	}
	var retry time.Time
	switch fault := kargo.FaultOf(err); {
	case err == nil:
		c.failures = 0
	case fault == kargo.Conflict:
		retry = now.Add(firstRetry)
	case fault == kargo.Unavailable:
		c.failures++
		retry = now.Add(backOff(c.failures))
	case fault == kargo.Invalid, fault == kargo.Internal:
		// A new commit or the next interval; a bug is not helped by haste.
		c.failures = 0
	}
	if err != nil {
		c.due.putOff(now, retry)
	}
	until := earlier(c.due.poll, c.due.verify)
	for _, at := range []time.Time{c.due.soon, retry} {
		if !at.IsZero() {
			until = earlier(until, at)
		}
	}
	return max(until.Sub(now), 0)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// restAfterPush lets a push wait if there was another one just now, and answers
// the trigger of the round to come. A person who nudges meanwhile does not wait.
func (c *Controller) restAfterPush(ctx context.Context, trigger string) string {
	timer := time.NewTimer(time.Until(c.due.push.Add(pushRest)))
	defer timer.Stop()
	for strings.HasPrefix(trigger, WebhookTrigger) {
		select {
		case <-ctx.Done():
			return trigger
		case <-timer.C:
			c.due.push = time.Now()
			return trigger
		case trigger = <-c.nudges:
		}
	}
	return trigger
}

// backOff is exponential, with full jitter above half, so that many
// controllers do not come back at once.
func backOff(failures int) time.Duration {
	limit := min(firstRetry<<min(failures-1, 10), slowestRetry)
	return limit/2 + rand.N(limit/2+1)
}
