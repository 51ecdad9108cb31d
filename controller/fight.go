package controller

import (
	"fmt"
	"time"
)

const (
	// fightWindow: corrections of one service within it are one fight.
	fightWindow = 10 * time.Minute
	// patience is how many corrections are made before Kargo backs off.
	patience = 4
	// longestTruce is the longest pause between two corrections.
	longestTruce = 10 * time.Minute
)

// fight is a drift that comes back: an autoscaler, another tool, a person who
// does not know.
type fight struct {
	corrections int
	last        time.Time
	until       time.Time // no correction before
}

// noteFight counts a correction of drift, and backs off after many.
func (c *Controller) noteFight(service string, now time.Time) {
	f := c.fights[service]
	if now.Sub(f.last) > fightWindow {
		f = fight{}
	}
	f.corrections++
	f.last = now
	if over := f.corrections - patience; over >= 0 {
		f.until = now.Add(min(time.Minute<<min(over, 10), longestTruce))
	}
	c.fights[service] = f
}

// fightsNow are the drifts that are left alone for now, and what to say.
func (c *Controller) fightsNow(now time.Time) map[string]string {
	paused := map[string]string{}
	for service, f := range c.fights {
		if now.Before(f.until) {
			paused[service] = fmt.Sprintf("something puts this back each time: it was corrected %d times, next at %s",
				f.corrections, f.until.UTC().Format(time.TimeOnly))
		}
	}
	return paused
}
