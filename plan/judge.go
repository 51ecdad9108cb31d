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
	// Up reports that all tasks run and only have to go on running. ProvenAt is
	// when they will have run for long enough, or zero if the tasks are not known.
	Up       bool
	ProvenAt time.Time
}

// Judge returns the state of a stack's rendering that was sent at a time (since).
// Only what happened after that counts.
//
// The rendering is good when all its tasks have run for the stack's stable time.
// To find that, the index must have the tasks of the stack's services. It has
// failed when Swarm paused an update or rolled it back, when tasks of a service
// fail three times or cannot pull their image, when a job cannot complete, or
// when the stack's deadline has passed.
func Judge(stack kargo.Stack, index Index, since, now time.Time) Judgement {
	worst := Judgement{Health: kargo.HealthHealthy}
	for _, service := range stack.Services {
		running, exists := index.Service(service.Name)
		judgement := Judgement{Health: kargo.HealthProgressing, Reason: service.Name + " does not run"}
		if exists {
			judgement = judgeService(running, index, stack.Options.Stable, since, now)
		}
		worst = worse(worst, judgement)
	}
	deadline := stack.Options.Deadline
	if worst.Health == kargo.HealthProgressing && deadline > 0 && now.Sub(since) > deadline {
		return Judgement{Health: kargo.HealthDegraded, Reason: fmt.Sprintf("did not come up within %s: %s", deadline, worst.Reason)}
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
	failed := func(reason string) Judgement {
		return Judgement{Health: kargo.HealthDegraded, Reason: service.Name + ": " + reason}
	}
	if update := service.Update; update != nil {
		if startOf(update).Add(skew).Before(since) {
			service.Update = nil // history: it persists until the next update
			update = &swarm.UpdateStatus{}
		}
		switch update.State {
		case swarm.UpdateStatePaused, swarm.UpdateStateRollbackStarted, swarm.UpdateStateRollbackPaused, swarm.UpdateStateRollbackCompleted:
			reason := cmp.Or(update.Message, string(update.State))
			if failure := lastFailure(service, tasks); failure != "" {
				reason += ": " + failure
			}
			return failed(reason)
		}
	}
	earliest := since.Add(-skew)
	if service.Update != nil && startOf(service.Update).After(earliest) {
		earliest = startOf(service.Update) // by the clock that tasks are dated by, too
	}
	mine := slices.DeleteFunc(slices.Clone(tasks), func(task kargo.Task) bool {
		return task.Time.Before(earliest)
	})
	if failures := countFailures(service, mine); failures >= manyFailures || failures > 0 && givenUp(service, failures) {
		return failed(fmt.Sprintf("%d tasks failed, the last one: %s", failures, lastFailure(service, mine)))
	}
	if task := stuck(mine, now); task != nil {
		return failed("a task cannot be prepared: " + taskWords(*task))
	}
	health, said := ServiceHealth(service, index)
	switch {
	case health != kargo.HealthHealthy:
		return Judgement{Health: kargo.HealthProgressing, Reason: service.Name + ": " + said}
	case stable > 0:
		if at, known := provenAt(service, tasks, stable, now); !known || now.Before(at) {
			return Judgement{kargo.HealthProgressing, fmt.Sprintf("%s: has not run for %s yet", service.Name, stable), true, at}
		}
	}
	return Judgement{Health: kargo.HealthHealthy}
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

func countFailures(service kargo.LiveService, tasks []kargo.Task) int {
	count := 0
	for _, task := range tasks {
		if hasFailed(service, task) {
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
// reports whether the tasks are known. A service that should have no task, or
// whose tasks have ended with success, has nothing to prove.
func provenAt(service kargo.LiveService, tasks []kargo.Task, stable time.Duration, now time.Time) (at time.Time, known bool) {
	if service.Desired == 0 || isJob(service.Spec.Mode) {
		return now, true
	}
	running := uint64(0)
	for _, task := range tasks {
		if task.State != "running" || task.Desired == "shutdown" || task.Desired == "remove" {
			continue
		}
		running++
		if proven := task.StateAt.Add(stable); proven.After(at) {
			at = proven
		}
	}
	return at, running+finished(service, tasks) >= service.Desired
}
