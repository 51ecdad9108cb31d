package controller

import (
	"slices"
	"time"

	"kargo"
	"kargo/schedule"
)

// The rules of freeze windows:
//
//   - The operator's and the workspace's windows add up: the one that ends last counts.
//   - A window that has begun lasts until its end, whatever commits say meanwhile. So a
//     commit cannot end the window that holds it. What it says of windows counts for
//     those that begin after it.
//   - Only a person lifts one, with a reason; or the operator, who starts the controller
//     without it.
//   - Windows hold a controller. What a person does with a command, such as `kargo
//     apply`, a window of the workspace does not hold.

// windows returns the freeze windows that count: the operator's, and those of the
// desired revision.
func (r *Reconciler) windows() []schedule.Window {
	windows := r.parts.Behavior.Freeze
	if r.watches && r.view != nil {
		windows = append(slices.Clip(windows), r.view.freeze...)
	}
	return windows
}

// frozen returns the freeze window that ends last of those that cover a time, and its
// end; the zero time if there is none.
func (r *Reconciler) frozen(now time.Time) (window kargo.FreezeWindow, until time.Time) {
	for _, w := range r.windows() {
		if end := w.Covers(now); end.After(until) {
			window, until = w.FreezeWindow, end
		}
	}
	return window, until
}

// freeze ends the freeze window whose time has come, and begins one that covers this
// time, unless a person has lifted it.
func (r *Reconciler) freeze(now time.Time) error {
	if freeze := r.memory.Frozen; freeze != nil {
		why := ""
		switch {
		case !now.Before(freeze.Until):
			why = "its time has come"
		case freeze.Window.Source() == kargo.FreezeOfOperator && !r.isSet(freeze.Window):
			why = "the operator has removed the window"
		}
		if why != "" {
			if err := r.decide(func() error { return r.thaw(kargo.Person{}, why) }); err != nil {
				return err
			}
		}
	}
	window, until := r.frozen(now)
	isLonger := r.memory.Frozen == nil || until.After(r.memory.Frozen.Until)
	if until.After(now) && until.After(r.memory.FreezeLifted) && isLonger {
		freeze := kargo.Freeze{Window: window, Since: now, Until: until}
		return r.decide(func() error {
			r.memory.Frozen = &freeze
			return r.noteOrder(kargo.EntryFreeze, kargo.Person{}, freeze.String())
		})
	}
	return nil
}

// isSet reports whether the operator has set a window.
func (r *Reconciler) isSet(window kargo.FreezeWindow) bool {
	return slices.ContainsFunc(r.parts.Behavior.Freeze, func(w schedule.Window) bool { return w.FreezeWindow == window })
}

// thaw ends the freeze window that lasts now. If a person does it, no window that covers
// this time begins again before it has ended.
func (r *Reconciler) thaw(by kargo.Person, why string) error {
	ended := *r.memory.Frozen
	r.memory.Frozen = nil
	text := "no longer " + ended.String()
	if by != (kargo.Person{}) {
		r.memory.FreezeLifted = ended.Until
		if _, until := r.frozen(time.Now()); until.After(ended.Until) {
			r.memory.FreezeLifted = until
		}
		text = "lifted what was " + ended.String()
	}
	r.work.lookAt(lookEverywhere)
	return r.noteOrder(kargo.EntryThaw, by, text+"; "+why)
}

// freezeStatuses returns the windows that count, with when they next begin.
func (r *Reconciler) freezeStatuses(now time.Time) (windows []kargo.FreezeStatus) {
	for _, w := range r.windows() {
		windows = append(windows, kargo.FreezeStatus{FreezeWindow: w.FreezeWindow, Of: w.Source(), Next: w.Next(now)})
	}
	return windows
}
