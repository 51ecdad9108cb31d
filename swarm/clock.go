package swarm

import (
	"net/http"
	"sync"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// clock turns times of Swarm's clock into times of this process's monotonic clock. So
// it does not matter if either clock is wrong, or is set forward or back by hours.
//
// It translates a time when it first sees it. At that moment the daemon's own time,
// which is in the header of every answer, says how long ago the time was. A clock that
// is set afterwards changes nothing: the same time of the same object keeps its
// translation.
type clock struct {
	mu sync.Mutex
	// began is when the process began, and zero what the daemon's clock showed then,
	// as far as the last answer tells.
	began, zero time.Time
	// known and before have the translations. Those that nobody asks for are
	// forgotten when known is full.
	known, before map[moment]time.Time
	// written is when each service was last written: its updates began after that.
	written map[string]time.Time
}

// moment is a time of an object, as Swarm wrote it.
type moment struct {
	object string
	at     int64 // Unix time in nanoseconds
}

const (
	// tolerance is a difference to the daemon's clock that counts as none: answers
	// show whole seconds, and clocks are not exact.
	tolerance = 3 * time.Second
	// mostMoments is when times that nobody asked for are forgotten.
	mostMoments = 100_000
)

// newClock returns a clock that takes the daemon's clock for equal to this process's.
func newClock() *clock {
	now := time.Now()
	return &clock{began: now, zero: now.Round(0), known: map[moment]time.Time{}, written: map[string]time.Time{}}
}

// heard takes the time that the daemon's clock showed in an answer. The daemon wrote it
// after the request was sent and before the answer was received, which may be long after
// that: only a time that lies outside shows that the clocks differ.
func (c *clock) heard(daemon, sent, received time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	earliest, latest := c.zero.Add(sent.Sub(c.began)), c.zero.Add(received.Sub(c.began))
	switch {
	case daemon.Before(earliest.Add(-tolerance)):
		c.zero = c.zero.Add(daemon.Sub(earliest))
	case daemon.After(latest.Add(tolerance)):
		c.zero = c.zero.Add(daemon.Sub(latest))
	}
}

// writes notes that a service is written now, by its id. Swarm forgets its last update.
func (c *clock) writes(service string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written[service] = now
}

func (c *clock) lastWrite(service string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written[service]
}

// local returns a time of an object as this process's clock shows it. No time is in
// the future, or before earliest.
func (c *clock) local(object string, at, earliest, now time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := moment{object, at.UnixNano()}
	translated, known := c.known[key]
	if known {
		return translated
	}
	if translated, known = c.before[key]; !known {
		translated = within(c.began.Add(at.Sub(c.zero)), earliest, now)
	}
	if len(c.known) >= mostMoments {
		c.known, c.before = map[moment]time.Time{}, c.known
	}
	c.known[key] = translated
	return translated
}

// within returns a time, or the limit that it is beyond.
func within(at, earliest, latest time.Time) time.Time {
	switch {
	case at.After(latest):
		return latest
	case at.Before(earliest):
		return earliest
	}
	return at
}

// task translates the times of a task. The second one is by the clock of its node.
func (c *clock) task(task kargo.Task, now time.Time) kargo.Task {
	task.Time = c.local(task.ID, task.Time, time.Time{}, now)
	task.StateAt = c.local(task.ID+" "+task.State, task.StateAt, task.Time, now)
	return task
}

// update translates the start of an update.
func (c *clock) update(service string, update *swarm.UpdateStatus, now time.Time) *swarm.UpdateStatus {
	if update == nil || update.StartedAt == nil {
		return update
	}
	translated := *update
	started := c.local(service, *update.StartedAt, c.lastWrite(service), now)
	translated.StartedAt = &started
	return &translated
}

// listening is a connection to the daemon whose answers set the clock.
type listening struct {
	http.RoundTripper
	clock *clock
}

// RoundTrip sends a request, and takes the time from the header of the answer.
func (l listening) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := time.Now()
	response, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		l.clock.heard(date, sent, time.Now())
	}
	return response, nil
}
