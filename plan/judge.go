package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

const (
	// manyFailures is how many tasks of a service fail before its rendering has
	// failed: to wait for the deadline would only lengthen the outage.
	manyFailures = 3
	// skew is how far the clocks of nodes may be apart.
	skew = 30 * time.Second
	// preparingTooLong is the age at which a task that still cannot pull its
	// image counts as failed. Three tasks that are rejected one after the other
	// take about as long.
	preparingTooLong = 30 * time.Second
)

// Judgement is the state of a rendering that was sent.
type Judgement struct {
	// Health is HealthHealthy once the rendering is good, HealthDegraded once it
	// has failed, and HealthProgressing before.
	Health kargo.Health
	// Reason says why it is not good. It may have secrets.
	Reason string
	// Cause is what keeps it from coming up, as far as the tasks tell.
	Cause kargo.Cause
	// Up reports that all tasks run and only have to go on running. ProvenAt is
	// when they will have run for long enough, or zero if the tasks are not known.
	Up       bool
	ProvenAt time.Time
	// progress is when a task of an update under way last came up, and pause how long
	// the update itself waits between two of them.
	progress time.Time
	pause    time.Duration
}

// Judge returns the state of a stack's rendering that was sent at rollout.Since. Only
// what happened after that counts.
//
// The rendering is good when all its tasks have run for the stack's stable time.
// To find that, the index must have the tasks of the stack's services. It has
// failed when Swarm paused an update or rolled it back because of a task, when tasks
// of a service fail three times or cannot pull their image, when a job cannot
// complete, or when the stack's deadline has passed since it was sent, since this
// process follows it, or since an update last brought a task up. The cause tells what the
// software did from what happened to it.
func Judge(stack kargo.Stack, index Index, rollout kargo.Rollout, now time.Time) Judgement {
	worst, since, last := Judgement{Health: kargo.HealthHealthy}, rollout.Since, rollout.Since
	if rollout.Watched.After(last) {
		last = rollout.Watched
	}
	var pause time.Duration
	for _, service := range stack.Services {
		running, exists := index.Service(service.Name)
		judgement := Judgement{Health: kargo.HealthProgressing, Reason: service.Name + " does not run"}
		if exists {
			judgement = judgeService(running, index, stack.Options.Stable, since, now)
		}
		worst, pause = worse(worst, judgement), max(pause, judgement.pause)
		if judgement.progress.After(last) {
			last = judgement.progress
		}
	}
	deadline := stack.Options.Deadline
	if worst.Health == kargo.HealthProgressing && deadline > 0 && now.Sub(last) > deadline+pause {
		return Judgement{Health: kargo.HealthDegraded, Reason: fmt.Sprintf("did not come up within %s: %s", deadline, worst.Reason), Cause: worst.Cause}
	}
	return worst
}

// worse returns the worse of two judgements. A service that does not run is worse
// than one that has not run for long enough; of the latter, the one that needs
// longer.
func worse(a, b Judgement) Judgement {
	rank := func(j Judgement) int {
		if j.Health == kargo.HealthProgressing && !j.Up {
			return 2*severity(j.Health) + 1
		}
		return 2 * severity(j.Health)
	}
	if rank(b) > rank(a) || rank(b) == rank(a) && b.ProvenAt.After(a.ProvenAt) {
		return b
	}
	return a
}

func judgeService(service kargo.LiveService, index Index, stable time.Duration, since, now time.Time) Judgement {
	tasks := index.tasks[service.Name]
	if update := service.Update; update != nil && startOf(update).Add(skew).Before(since) {
		service.Update = nil // history: it persists until the next update
	}
	if service.Update != nil {
		if judgement, ended := judgeUpdate(service, tasks); ended {
			return judgement
		}
	}
	earliest := since.Add(-skew)
	if service.Update != nil && startOf(service.Update).After(earliest) {
		earliest = startOf(service.Update) // by the clock that tasks are dated by, too
	}
	mine := slices.DeleteFunc(slices.Clone(tasks), func(task kargo.Task) bool {
		return task.Time.Before(earliest)
	})
	if judgement, failed := judgeTasks(service, mine, now); failed {
		return judgement
	}
	health, said := ServiceHealth(service, index)
	switch {
	case health != kargo.HealthHealthy:
		judgement := Judgement{Health: kargo.HealthProgressing, Reason: service.Name + ": " + said}
		if countFailures(service, mine, failedByItself) == 0 && slices.ContainsFunc(mine, neverRan) {
			judgement.Cause = causeOf(mine)
		}
		judgement.progress, judgement.pause = paceOf(service, mine)
		return judgement
	case stable > 0:
		if at, known := provenAt(service, tasks, stable, now); !known || now.Before(at) {
			return Judgement{Health: kargo.HealthProgressing, Reason: fmt.Sprintf("%s: has not run for %s yet", service.Name, stable), Up: true, ProvenAt: at}
		}
	}
	return Judgement{Health: kargo.HealthHealthy}
}

// paceOf returns when an update under way last brought a task up, and how long its
// settings make it wait between two tasks. Both are zero if no update is under way.
func paceOf(service kargo.LiveService, tasks []kargo.Task) (progress time.Time, pause time.Duration) {
	if service.Update == nil || service.Update.State != swarm.UpdateStateUpdating {
		return progress, 0
	}
	for _, task := range tasks {
		if task.State == string(swarm.TaskStateRunning) && task.StateAt.After(progress) {
			progress = task.StateAt
		}
	}
	if config := service.Spec.UpdateConfig; config != nil {
		pause = config.Delay + config.Monitor
	}
	return progress, pause
}

// failure is the judgement on a service whose rendering has failed.
func failure(service kargo.LiveService, cause kargo.Cause, reason string) Judgement {
	return Judgement{Health: kargo.HealthDegraded, Reason: service.Name + ": " + reason, Cause: cause}
}

// judgeUpdate judges a service by an update that Swarm paused or rolled back. It
// returns false if Swarm did neither, paused it for no fault of a task, or went back because
// somebody said so.
func judgeUpdate(service kargo.LiveService, tasks []kargo.Task) (judgement Judgement, ended bool) {
	update := service.Update
	switch update.State {
	case swarm.UpdateStatePaused, swarm.UpdateStateRollbackStarted, swarm.UpdateStateRollbackPaused, swarm.UpdateStateRollbackCompleted:
	default:
		return Judgement{}, false
	}
	if wentBack(service) && !rolledBack(service) {
		return Judgement{}, false
	}
	reason := cmp.Or(update.Message, string(update.State))
	if failure := lastFailure(service, tasks); failure != "" {
		reason += ": " + failure
	}
	mine := ofUpdate(service, tasks)
	switch endingOf(service, mine) {
	case endedByFailure:
		return failure(service, kargo.CauseSoftware, reason), true
	case endedOutside:
		return failure(service, causeOf(mine), reason), true
	case interrupted:
	}
	return failure(service, kargo.CauseHost, reason), update.State != swarm.UpdateStatePaused
}

// judgeTasks judges a service by its tasks that failed.
func judgeTasks(service kargo.LiveService, tasks []kargo.Task, now time.Time) (judgement Judgement, failed bool) {
	tooMany := func(failures int) bool {
		return failures >= manyFailures || failures > 0 && givenUp(service, failures)
	}
	byItself := countFailures(service, tasks, failedByItself)
	all := countFailures(service, tasks, func(service kargo.LiveService, task kargo.Task) bool {
		return hasFailed(service, task) && !momentary().MatchString(task.Err)
	})
	if tooMany(byItself) || tooMany(all) {
		cause := kargo.CauseSoftware
		if byItself == 0 {
			cause = causeOf(tasks)
		}
		return failure(service, cause, fmt.Sprintf("%d tasks failed, the last one: %s", all, lastFailure(service, tasks))), true
	}
	if task := stuck(tasks, now); task != nil {
		what, cause := "a task cannot be prepared: ", causeOf([]kargo.Task{*task})
		if container := service.Spec.TaskTemplate.ContainerSpec; container != nil && cause == kargo.CauseImage {
			what = "the image " + container.Image + " cannot be pulled: " // the registry does not name it
		}
		return failure(service, cause, what+task.Said()), true
	}
	return Judgement{}, false
}

// stuck returns a task that has tried too long to pull its image, or nil.
func stuck(tasks []kargo.Task, now time.Time) *kargo.Task {
	for i, task := range tasks {
		preparing := swarm.TaskState(task.State) == swarm.TaskStatePreparing && task.Desired != "shutdown" && task.Desired != "remove"
		if preparing && cannotStart(task) && now.Sub(task.Time) >= preparingTooLong {
			return &tasks[i]
		}
	}
	return nil
}

func startOf(update *swarm.UpdateStatus) time.Time {
	if update.StartedAt == nil {
		return time.Time{}
	}
	return *update.StartedAt
}

func countFailures(service kargo.LiveService, tasks []kargo.Task, failed func(kargo.LiveService, kargo.Task) bool) int {
	count := 0
	for _, task := range tasks {
		if failed(service, task) {
			count++
		}
	}
	return count
}

// givenUp reports whether Swarm will not start another task in place of the failed
// ones.
func givenUp(service kargo.LiveService, failures int) bool {
	if service.Running > 0 {
		return false
	}
	restart := service.Spec.TaskTemplate.RestartPolicy
	switch {
	case restart == nil:
		return false
	case restart.Condition == swarm.RestartPolicyConditionNone:
		return true
	}
	return restart.MaxAttempts != nil && *restart.MaxAttempts > 0 && uint64(failures) > *restart.MaxAttempts
}

// provenAt returns when every task that runs will have run for long enough. known
// reports whether the tasks are known, and are of the present spec: Swarm may not have
// begun to replace them. A service that should have no task, or whose tasks have ended
// with success, has nothing to prove.
func provenAt(service kargo.LiveService, tasks []kargo.Task, stable time.Duration, now time.Time) (at time.Time, known bool) {
	if service.Desired == 0 || isJob(service.Spec.Mode) {
		return now, true
	}
	running := uint64(0)
	for _, task := range tasks {
		if task.State != "running" || task.Desired == "shutdown" || task.Desired == "remove" || task.Outdated {
			continue
		}
		running++
		if proven := task.StateAt.Add(stable); proven.After(at) {
			at = proven
		}
	}
	return at, running+finished(service, tasks) >= service.Desired
}
