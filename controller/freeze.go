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
//     without it. One that began by a clock that was ahead ends when the clock is right.
//   - Windows hold a controller. What a person does with a command, such as `kargo
//     apply`, a window of the workspace does not hold.

// windows returns the freeze windows that count: the operator's, and those of the
// desired revision.
func (d decisions) windows() []schedule.Window {
	windows := d.parts.Behavior.Freeze
	if d.watches && d.view != nil {
		windows = append(slices.Clip(windows), d.view.freeze...)
	}
	return windows
}

// frozen returns the freeze window that ends last of those that cover a time, and its
// end; the zero time if there is none.
func (d decisions) frozen(now time.Time) (window kargo.FreezeWindow, until time.Time) {
	for _, w := range d.windows() {
		if end := w.Covers(now); end.After(until) {
			window, until = w.FreezeWindow, end
		}
	}
	return window, until
}

// freeze ends the freeze window whose time has come, and begins one that covers this
// time, unless a person has lifted it.
func (d decisions) freeze(now time.Time) error {
	if freeze := d.memory.Frozen; freeze != nil {
		why := ""
		switch {
		case !now.Before(freeze.Until):
			why = "its time has come"
		case freeze.Window.Source() == kargo.FreezeOfOperator && !d.isSet(freeze.Window):
			why = "the operator has removed the window"
		case d.clockWasAhead(*freeze, now):
			why = "the clock was set back to before it"
		}
		if why != "" {
			if err := d.decide(func() error { return d.thaw(kargo.Person{}, why) }); err != nil {
				return err
			}
		}
	}
	window, until := d.frozen(now)
	isLonger := d.memory.Frozen == nil || until.After(d.memory.Frozen.Until)
	if until.After(now) && until.After(d.memory.FreezeLifted) && isLonger {
		freeze := kargo.Freeze{Window: window, Since: now, Until: until}
		return d.decide(func() error {
			d.memory.Frozen = &freeze
			return d.noteOrder(kargo.EntryFreeze, kargo.Person{}, freeze.String())
		})
	}
	return nil
}

// clockWasAhead reports whether a freeze window was only begun by a clock that was wrong: its
// begin is still to come, and no window covers this time. The times are those of the day,
// without the monotonic clock, which does not see that somebody set the other one.
func (d decisions) clockWasAhead(freeze kargo.Freeze, now time.Time) bool {
	_, until := d.frozen(now)
	return now.Round(0).Before(freeze.Since.Round(0)) && !until.After(now)
}

// isSet reports whether the operator has set a window.
func (d decisions) isSet(window kargo.FreezeWindow) bool {
	return slices.ContainsFunc(d.parts.Behavior.Freeze, func(w schedule.Window) bool { return w.FreezeWindow == window })
}

// thaw ends the freeze window that lasts now. If a person does it, no window that covers
// this time begins again before it has ended.
func (d decisions) thaw(by kargo.Person, why string) error {
	ended := *d.memory.Frozen
	d.memory.Frozen = nil
	text := "no longer " + ended.String()
	if by != (kargo.Person{}) {
		d.memory.FreezeLifted = ended.Until
		if _, until := d.frozen(time.Now()); until.After(ended.Until) {
			d.memory.FreezeLifted = until
		}
		text = "lifted what was " + ended.String()
	}
	d.work.lookAt(lookEverywhere)
	return d.noteOrder(kargo.EntryThaw, by, text+"; "+why)
}

// freezeStatuses returns the windows that count, with when they next begin.
func (d decisions) freezeStatuses(now time.Time) (windows []kargo.FreezeStatus) {
	for _, w := range d.windows() {
		windows = append(windows, kargo.FreezeStatus{FreezeWindow: w.FreezeWindow, Of: w.Source(), Next: w.Next(now)})
	}
	return windows
}
