package controller

import (
	"maps"
	"time"

	"kargo"
)

// Durations are measured by the process's monotonic clock, which nobody can set: Go's
// times have it, also where they are added to and compared. Only a time that was
// stored or comes from a schedule has none.

// past returns what is remembered of renderings, to be followed from now on, without
// times in the future: the clock was ahead when they were stored. Else they would not be
// judged before that time.
func past(rollouts map[string]kargo.Rollout, now time.Time) map[string]kargo.Rollout {
	rollouts = maps.Clone(rollouts)
	for name, rollout := range rollouts {
		rollout.Watched = now
		rollout.Since, rollout.Sent = earlier(rollout.Since, now), earlier(rollout.Sent, now)
		if failed := rollout.Failed; failed != nil {
			reachable := *failed
			reachable.Again = earlier(failed.Again, now.Add(slowestTry))
			rollout.Failed = &reachable
		}
		rollouts[name] = rollout
	}
	return rollouts
}

// nextPoll returns when git is asked next, after now. A schedule goes by the time of
// day: if the clock was set back, its next time is earlier than planned.
func nextPoll(planned, now time.Time, schedule Schedule) time.Time {
	next := schedule.Next(now)
	if now.Before(planned) {
		return earlier(planned, next)
	}
	return next
}
