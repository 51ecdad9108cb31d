package controller

import (
	"math/rand/v2"
	"strings"
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
	// samePush is how long after a new revision a webhook is taken for that push.
	samePush = 5 * time.Second
	// patience is how long a round waits for an answer of git that may change its
	// plan.
	patience = 5 * time.Second
	// eventRest lets the events of one cause arrive together.
	eventRest = 500 * time.Millisecond
	// watchRetry is the pause before a broken event stream is opened again; it
	// doubles up to slowestDocker while that fails.
	watchRetry = 2 * time.Second
	// Back-off after faults: exponential with jitter between these. Docker comes back
	// within seconds once it can, and is asked so often; a git host may limit how often
	// it is asked; and what others change in Swarm needs rest.
	firstRetry    = time.Second
	slowestRetry  = time.Minute
	slowestDocker = 15 * time.Second
	// A rendering that failed because of something outside the software is tried
	// again after firstTry, and then less and less often.
	firstTry   = time.Minute
	slowestTry = time.Hour
	// maxAttempts: a revision whose reading ended the process this often is
	// not read again.
	maxAttempts = 2
)

// distances between looks at a rollout; the last one stays. They grow, because
// a rollout that takes long changes slowly, and each look is a call. They do
// not grow beyond five seconds, because the events of what is on its way are
// ignored, and drift of it should be seen as soon as any other.
var distances = []time.Duration{1 * time.Second, 2 * time.Second, 2 * time.Second, 3 * time.Second, longestRest}

const longestRest = 5 * time.Second

// replicaPauses are the pauses before git is asked again for a push that it does not
// show yet: a replica of a git host may be behind the one that sent the webhook.
var replicaPauses = []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second}

// depth is how much of Swarm a round looks at.
type depth int

const (
	lookNowhere depth = iota
	lookMoving        // at the services that are being changed
	lookServices
	lookEverywhere
)

// work is what the next round has to do. A part of it is crossed off when its
// step has succeeded.
type work struct {
	restore bool   // read the revision that was in force when an earlier process ended
	git     bool   // ask for the newest revision
	reread  bool   // read the newest revision again if it was unsound
	values  bool   // read values that lie outside the repository again
	write   bool   // put the merged configuration on disk, if it is not as it should be
	fresh   bool   // carry out a revision that was accepted
	again   bool   // try again what Docker refused, and what was not available
	look    depth  // at Swarm, at least
	cause   string // what made the loop find the fresh revision
}

// everything marks all that a person who asks for a round expects.
func (w *work) everything() {
	w.git, w.look = true, lookEverywhere
	w.tryAgain()
}

// tryAgain marks all that may have failed, or was changed, for reasons outside the workspace.
func (w *work) tryAgain() {
	w.restore, w.reread, w.again, w.values, w.write = true, true, true, true, true
}

// unread is what of the work of reading failed in a round. A later one asks again.
type unread struct{ restore, git, reread, values bool }

// readAgain marks what could not be read.
func (w *work) readAgain(failed unread) {
	w.restore, w.values = w.restore || failed.restore, w.values || failed.values
	w.git, w.reread = w.git || failed.git, w.reread || failed.reread
}

// lookAt asks for a look of a depth at least.
func (w *work) lookAt(d depth) { w.look = max(w.look, d) }

// pace is when the next round is due.
type pace struct {
	poll     time.Time // git is asked
	git      time.Time // not before then, because it failed; zero if it did not
	verify   time.Time // everything is looked at
	rollout  time.Time // a rollout is looked at; zero if all has settled
	retry    time.Time // after a fault; zero if there was none
	push     time.Time // a push last made a round
	replica  time.Time // git is asked again for a push that it does not show yet; zero if it is not
	asked    int       // how often it was asked for that push
	news     time.Time // when git last showed something new
	looks    int       // looks at the present rollout
	failures int       // faults in a row
	gitFails int       // faults of git in a row
}

// unsettled reports whether a rollout or a removal is on its way.
func (p *pace) unsettled() bool { return !p.rollout.IsZero() }

// awaitPush plans to ask git again after a webhook, if git showed nothing new. Several
// webhooks of one push are no reason for that.
func (p *pace) awaitPush(now time.Time, trigger string, news bool) {
	p.replica = time.Time{}
	if news {
		p.news = now
	}
	if now.Sub(p.news) > samePush && strings.HasPrefix(trigger, WebhookTrigger) && p.asked < len(replicaPauses) {
		p.replica = now.Add(replicaPauses[p.asked])
		p.asked++
	}
}

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
	for _, at := range []time.Time{p.rollout, p.retry, p.git, p.replica} {
		if !at.IsZero() {
			next = earlier(next, at)
		}
	}
	return max(next.Sub(now), 0)
}

// untilDue returns how long no round is due.
func (r *Reconciler) untilDue(now time.Time) time.Duration {
	if r.source.awaited(now) {
		return r.source.asked.Add(patience).Sub(now)
	}
	wait := r.pace.until(now)
	if try := r.rollouts().nextTry(); try.After(now) { // one that is due was not reached
		wait = min(wait, try.Sub(now))
	}
	return wait
}

// expire marks as work what has become due by now, and names it.
func (r *Reconciler) expire(now time.Time) (trigger string) {
	trigger = "retry"
	if r.pace.unsettled() && !now.Before(r.pace.rollout) {
		r.work.lookAt(lookMoving)
		trigger = "rollout"
	}
	if try := r.rollouts().nextTry(); !try.IsZero() && !now.Before(try) {
		r.work.lookAt(lookServices)
	}
	if !now.Before(r.pace.verify) {
		trigger = "verify"
		r.work.tryAgain()
		r.work.lookAt(lookEverywhere)
	}
	if !now.Before(r.pace.poll) {
		r.work.git, trigger = true, "interval"
	}
	if replica := r.pace.replica; !replica.IsZero() && !now.Before(replica) {
		r.work.git, trigger, r.pace.replica = true, WebhookTrigger+", asked again", time.Time{}
	}
	return trigger
}

// rest plans the next round after one that has ended, and returns how long that
// takes. This is the one place where a fault becomes timing.
func (r *Reconciler) rest(now time.Time, ended round) time.Duration {
	p, behavior := &r.pace, r.parts.Behavior
	p.poll = nextPoll(p.poll, now, behavior.Poll)
	if p.verify.IsZero() || !now.Before(p.verify) {
		p.verify = now.Add(behavior.Verify)
	}
	if ended.waits { // what was due stays due
		return r.untilDue(now)
	}
	p.restFromGit(now, r.source)
	err := ended.err
	p.retry = time.Time{}
	switch {
	case err == nil:
		p.failures = 0
		return r.untilDue(now)
	case kargo.FaultOf(err) == kargo.Conflict:
		p.failures++
		p.retry = now.Add(backOff(p.failures, slowestRetry))
	case kargo.FaultOf(err) == kargo.Unavailable:
		p.failures++
		p.retry = now.Add(backOff(p.failures, slowestDocker))
	default: // a new commit or the next interval; a bug is not helped by haste
		p.failures = 0
	}
	p.putOff(now)
	return r.untilDue(now)
}

// restFromGit plans when git is asked again, after it failed. Git has a pace of
// its own: its outage delays nothing else, and nothing else delays its retry.
func (p *pace) restFromGit(now time.Time, s source) {
	failure := joined(s.failure, s.valuesFailure)
	switch {
	case !s.asked.IsZero(): // the answer says more
	case failure == nil || kargo.FaultOf(failure) == kargo.Invalid:
		p.git, p.gitFails = time.Time{}, 0
	case now.Before(p.git): // as planned
	case kargo.FaultOf(failure) == kargo.Unavailable:
		p.gitFails++
		p.git = now.Add(backOff(p.gitFails, slowestRetry))
	default:
		p.git = earlier(p.poll, p.verify)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// backOff returns an exponential pause with jitter in its upper half, so that
// many controllers do not come back at once.
func backOff(failures int, slowest time.Duration) time.Duration {
	limit := min(firstRetry<<min(failures-1, 10), slowest)
	return limit/2 + rand.N(limit/2+1)
}
