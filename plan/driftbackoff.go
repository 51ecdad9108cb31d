package plan

import (
	"fmt"
	"time"
)

const (
	// driftWindow: a correction that comes later than this after the last one
	// begins a new count.
	driftWindow = 10 * time.Minute
	// correctionsAtOnce is how many corrections are made before Kargo waits
	// between two of them.
	correctionsAtOnce = 4
	// firstDriftPause and longestDriftPause bound the pause between two
	// corrections; it doubles each time.
	firstDriftPause   = time.Minute
	longestDriftPause = 10 * time.Minute
)

// DriftBackoff is what is remembered of the corrections of one service's drift.
// Where an autoscaler, another tool or a person undoes each correction, Kargo
// corrects less and less often. The zero value has no correction.
type DriftBackoff struct {
	Corrections int
	Last        time.Time // when the last correction was sent
	Until       time.Time // there is no correction before it
}

// Corrected returns b with one more correction, sent at a time.
func (b DriftBackoff) Corrected(now time.Time) DriftBackoff {
	if now.Sub(b.Last) > driftWindow {
		b = DriftBackoff{}
	}
	b.Corrections++
	b.Last = now
	if over := b.Corrections - correctionsAtOnce; over >= 0 {
		b.Until = now.Add(min(firstDriftPause<<min(over, 10), longestDriftPause))
	}
	return b
}

// reason returns why the drift is not corrected now, or "".
func (b DriftBackoff) reason(now time.Time) string {
	if !now.Before(b.Until) {
		return ""
	}
	return fmt.Sprintf("something undoes each correction (%d so far); the next one is made at %s",
		b.Corrections, b.Until.UTC().Format(time.TimeOnly))
}
