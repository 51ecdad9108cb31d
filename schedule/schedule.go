// Package schedule says when something is due: it reads cron expressions, and the freeze
// windows that begin by one. It has no clock; callers say what time it is.
package schedule

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones of its own

	"github.com/robfig/cron/v3"

	"kargo"
	"kargo/pattern"
)

// Schedule says when something is due next.
type Schedule = cron.Schedule

// reference is a time from which schedules are tried: one that never comes is an error.
var reference = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Parse reads a cron expression of five fields or a word such as "@daily", with or
// without CRON_TZ=ZONE before it.
func Parse(expression string) (schedule Schedule, err error) {
	defer func() { // the parser panics on some input ("TZ=0")
		if p := recover(); p != nil {
			err = fmt.Errorf("%q: %v", expression, p)
		}
	}()
	schedule, err = cron.ParseStandard(expression)
	if err != nil {
		return nil, explained(err)
	}
	if schedule.Next(reference).IsZero() {
		return nil, fmt.Errorf("%q never comes", expression)
	}
	return schedule, nil
}

// noNumber is how the parser says that a part of an expression is neither a number nor a
// name.
var noNumber = pattern.Lazy(`^failed to parse int from (.*): strconv\.`)

// explained returns an error of the parser without the words of Go.
func explained(err error) error {
	if match := noNumber().FindStringSubmatch(err.Error()); match != nil {
		return fmt.Errorf("%q is neither a number nor a name such as JAN or MON", match[1])
	}
	return err
}

const (
	shortestWindow = time.Minute
	longestWindow  = 31 * 24 * time.Hour
)

// Window is a freeze window whose words were read.
type Window struct {
	kargo.FreezeWindow
	begins Schedule
	lasts  time.Duration
}

// New reads the words of a window. The error says which of them is wrong.
func New(words kargo.FreezeWindow) (Window, error) {
	w := Window{FreezeWindow: words}
	zone := words.Zone
	if zone == "" {
		zone = "UTC"
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return w, fmt.Errorf("zone: there is no time zone %q, such as Europe/Berlin", zone)
	}
	var err error
	if w.begins, err = Parse("CRON_TZ=" + zone + " " + words.Cron); err != nil {
		return w, fmt.Errorf("cron: %w", err)
	}
	w.lasts, err = time.ParseDuration(words.Duration)
	switch {
	case err != nil:
		return w, fmt.Errorf("duration: %q is no duration, such as 60h", words.Duration)
	case w.lasts < shortestWindow || w.lasts > longestWindow:
		return w, fmt.Errorf("duration: %s is not between %s and %s", words.Duration, "1m", "744h")
	case !w.ends():
		return w, fmt.Errorf("cron: the next window begins before this one ends, again and again: nothing would ever change")
	}
	return w, nil
}

// Read reads a window as the setting --freeze has it: "CRON_TZ=Europe/Berlin 0 18 * *
// FRI 60h", and a reason after it.
func Read(text string) (Window, error) {
	var words kargo.FreezeWindow
	fields := strings.Fields(text)
	if len(fields) > 0 {
		for _, prefix := range []string{"CRON_TZ=", "TZ="} {
			if zone, found := strings.CutPrefix(fields[0], prefix); found {
				words.Zone, fields = zone, fields[1:]
				break
			}
		}
	}
	for i, field := range fields {
		if lasts, err := time.ParseDuration(field); i > 0 && err == nil && lasts > 0 {
			words.Cron, words.Duration, words.Reason = strings.Join(fields[:i], " "), field, strings.Join(fields[i+1:], " ")
			return New(words)
		}
	}
	return Window{}, fmt.Errorf("there is no duration, such as 60h, after when it begins")
}

// Covers returns when the window ends that has begun and is not over at a time; the
// zero time if there is none.
func (w Window) Covers(now time.Time) (until time.Time) {
	begin := w.lastBegin(now.Add(-w.lasts), now)
	if begin.IsZero() {
		return until
	}
	return begin.Add(w.lasts)
}

// Next returns when the window next begins after a time.
func (w Window) Next(now time.Time) time.Time { return w.begins.Next(now) }

// lastBegin returns the last time at which the window begins after one time and not
// after another; the zero time if there is none. A window may begin each minute, so it
// halves the time between the two until a second is left.
func (w Window) lastBegin(after, notAfter time.Time) time.Time {
	begins := func(after time.Time) bool {
		next := w.begins.Next(after)
		return !next.IsZero() && !next.After(notAfter)
	}
	if !begins(after) {
		return time.Time{}
	}
	for end := notAfter; end.Sub(after) > time.Second; {
		if middle := after.Add(end.Sub(after) / 2); begins(middle) {
			after = middle
		} else {
			end = middle
		}
	}
	return w.begins.Next(after)
}

// mostLinked is how many windows may follow each other without a time between them.
const mostLinked = 100

// ends reports whether there is a time without a window.
func (w Window) ends() bool {
	begin := w.begins.Next(reference)
	for range mostLinked {
		next := w.lastBegin(begin, begin.Add(w.lasts))
		if next.IsZero() {
			return true
		}
		begin = next
	}
	return false
}
