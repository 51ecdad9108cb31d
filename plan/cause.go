package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
)

// Only what the software did counts against a rendering. What happened to a task is
// told by its state and its words: Swarm has no field for it.
var (
	// takenDown is what Swarm says of a task that it stopped because its node left or
	// does not fit any more.
	takenDown = pattern.Lazy(`no longer meets constraints|constraint enforcer|node is (down|drained)`)
	// beforeTheProgram is what a task says that failed before its program began.
	beforeTheProgram = pattern.Lazy(`no space left on device|remount dir as readonly|Pool overlaps|network sandbox join failed|driver failed programming|` +
		`could not find network|No such container|context (canceled|deadline exceeded)|failed to allocate|ttrpc: closed|` +
		`cannot allocate memory|resource temporarily unavailable|too many open files|device or resource busy|input/output error`)
	// momentary is what a task says that failed because its node had not yet freed the
	// addresses of a network that was removed, or was too busy to mount its secrets.
	// Swarm starts another one.
	momentary = pattern.Lazy(`Pool overlaps|remount dir as readonly`)
	// ofAnImage is what a task says whose image its node cannot get.
	ofAnImage = pattern.Lazy(`(?i)no such image|pull|manifest|resolve reference|registry|dial tcp|no such host|TLS|unauthorized`)
	// namedTask finds the task that an update or a rollback ended for.
	namedTask = pattern.Lazy(`\btask ([a-z0-9]+)$`)
)

// failedByItself reports whether the software of a task failed: its program ended
// with an error, was unhealthy, or ended although it should run without end.
func failedByItself(service kargo.LiveService, task kargo.Task) bool {
	return task.State == string(swarm.TaskStateComplete) && !mayFinish(service) ||
		task.State == string(swarm.TaskStateFailed) && !beforeTheProgram().MatchString(task.Err)
}

// neverRan reports whether a task ended, or waits with an error, before its program
// began.
func neverRan(task kargo.Task) bool {
	return task.State == string(swarm.TaskStateRejected) && !takenDown().MatchString(task.Err+task.Message) || cannotStart(task) ||
		task.State == string(swarm.TaskStateFailed) && beforeTheProgram().MatchString(task.Err)
}

// blocked reports whether a task never ran for a reason that may last.
func blocked(task kargo.Task) bool { return neverRan(task) && !momentary().MatchString(task.Err) }

// newestUnrun returns the newest of some tasks that never ran, or none.
func newestUnrun(tasks []kargo.Task) (newest kargo.Task) {
	for _, task := range tasks {
		if neverRan(task) && !task.Time.Before(newest.Time) {
			newest = task
		}
	}
	return newest
}

// causeOf returns what keeps the newest of some tasks that never ran from running.
func causeOf(tasks []kargo.Task) kargo.Cause {
	newest := newestUnrun(tasks)
	switch words := newest.Err + newest.Message; {
	case strings.Contains(words, "no suitable node"):
		return kargo.CauseNode
	case ofAnImage().MatchString(words):
		return kargo.CauseImage
	}
	return kargo.CauseHost
}

// ending is why Swarm ended an update.
type ending int

const (
	// endedByFailure: a task failed by itself, or nothing is known of the tasks.
	endedByFailure ending = iota
	// endedOutside: a task never ran.
	endedOutside
	// interrupted: no task failed. One was taken down, as with a node that is drained.
	interrupted
)

// endingOf returns why Swarm paused an update of a service or rolled it back. Tasks
// are those of the service since the update began. The task that Swarm names may be
// forgotten by now; then all of them count.
func endingOf(service kargo.LiveService, tasks []kargo.Task) ending {
	failed := func(task kargo.Task) bool { return failedByItself(service, task) }
	named := slices.IndexFunc(tasks, func(task kargo.Task) bool {
		found := namedTask().FindStringSubmatch(service.Update.Message)
		return found != nil && found[1] == task.ID
	})
	switch {
	case len(tasks) == 0, slices.ContainsFunc(tasks, failed):
		return endedByFailure
	case named >= 0 && blocked(tasks[named]), named < 0 && slices.ContainsFunc(tasks, blocked):
		return endedOutside
	}
	return interrupted
}

// stopped reports whether Swarm paused an update of a service, and rolled nothing
// back.
func stopped(service kargo.LiveService) bool {
	return service.Update != nil && service.Update.State == swarm.UpdateStatePaused
}

// Stopped reports whether Swarm has stopped an update of one of a stack's services,
// or rolled it back.
func Stopped(stack kargo.Stack, index Index) bool {
	return slices.ContainsFunc(stack.Services, func(service kargo.Service) bool {
		running, exists := index.Service(service.Name)
		return exists && (stopped(running) || rolledBack(running))
	})
}

// ofUpdate returns the tasks of a service since its update began.
func ofUpdate(service kargo.LiveService, tasks []kargo.Task) []kargo.Task {
	began := startOf(service.Update)
	return slices.DeleteFunc(slices.Clone(tasks), func(task kargo.Task) bool { return task.Time.Before(began) })
}

// missed reports whether the only task of a service never ran for a reason that passes
// by itself, and Swarm starts no other in its place.
func missed(service kargo.LiveService, tasks []kargo.Task) bool {
	if len(tasks) == 0 || !givenUp(service, 1) {
		return false
	}
	newest := slices.MaxFunc(tasks, func(a, b kargo.Task) int { return a.Time.Compare(b.Time) })
	return neverRan(newest) && momentary().MatchString(newest.Err)
}

// lastWords returns what the newest of some tasks said that never ran, or "".
func lastWords(tasks []kargo.Task) string {
	newest := newestUnrun(tasks)
	return cmp.Or(newest.Err, newest.Message)
}

// goesOn returns why a service that is as it should be is sent again, and with which
// counter of forced updates; "" if it is not.
func (m maker) goesOn(live kargo.LiveService) (why string, forced uint64) {
	tasks, forced := m.index.tasks[live.Name], live.Spec.TaskTemplate.ForceUpdate
	switch {
	case stopped(live) && endingOf(live, ofUpdate(live, tasks)) == interrupted:
		words := m.Mask.Text(lastWords(ofUpdate(live, tasks)))
		return "its update was interrupted" + inBrackets(words) + ", and no program had failed: it is sent again", forced
	case missed(live, tasks):
		return "its task never ran, because of its node, and Swarm starts no other: it is sent again", forced + 1
	}
	return "", forced
}

// goOn sends a service again whose update Swarm paused although no task failed: the
// spec is as it should be, and some tasks are still of the one before. It also sends
// one again whose task missed its only chance.
func (m maker) goOn(c comparison) (d decision, decided bool) {
	why, forced := m.goesOn(c.live)
	if why == "" {
		return decision{}, false
	}
	if reason := m.Memory.Drifts[c.live.Name].reason(m.Now); reason != "" {
		return c.holdUntil(kargo.UntilTime, "it was interrupted again: "+reason), true
	}
	c.digest = SpecDigest(m.Keys.Specs, c.wanted)
	image, _ := sameImage(c.spec, c.live)
	spec := image.into(c.spec)
	spec.TaskTemplate.ForceUpdate = forced
	again := kargo.UpdateService(c.stack.Name, c.live, spec, why)
	again.Digest, again.Image = c.digest, image.resolved
	return toChange(again), true
}
