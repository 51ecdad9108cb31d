package controller

import (
	"time"

	"kargo"
)

// Window is a time that comes again, in which nothing may change.
type Window struct {
	// Begins says when it begins, Lasts for how long.
	Begins Schedule
	Lasts  time.Duration
	// Words are the operator's, for people.
	Words string
}

// covers returns when a window ends that has begun and is not over at a time; the zero
// time if there is none.
func (w Window) covers(now time.Time) (until time.Time) {
	for begin := w.Begins.Next(now.Add(-w.Lasts)); !begin.IsZero() && !begin.After(now); begin = w.Begins.Next(begin) {
		if end := begin.Add(w.Lasts); end.After(now) {
			until = end
		}
	}
	return until
}

// frozen returns the freeze window that ends last of those that cover a time.
func (r *Reconciler) frozen(now time.Time) (until time.Time, words string) {
	for _, window := range r.parts.Behavior.Freeze {
		if end := window.covers(now); end.After(until) {
			until, words = end, window.Words
		}
	}
	return until, words
}

// freeze suspends everything while a freeze window lasts, unless it is suspended or a
// person has lifted this window.
func (r *Reconciler) freeze(now time.Time) error {
	until, words := r.frozen(now)
	if until.IsZero() || r.memory.Suspended != nil || !until.After(r.memory.FreezeLifted) {
		return nil
	}
	return r.decide(func() error {
		stop := kargo.Stop{Why: "freeze window " + words, Since: now, Until: until}
		r.memory.Suspended = &stop
		return r.noteOrder(kargo.EntrySuspension, kargo.Person{}, stop.Suspended())
	})
}
