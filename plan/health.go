package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// StackHealth returns the worst health of a stack's services, and what is said of
// that service, which may be secret; "" for a healthy stack. A service that does
// not exist is degraded: once a plan is carried out, it is missing only if it is
// held or was refused.
func StackHealth(stack kargo.Stack, index Index) (worst kargo.Health, words string) {
	worst = kargo.HealthHealthy
	for _, service := range stack.Services {
		health, message := kargo.HealthDegraded, service.Name+" does not run"
		if running, exists := index.Service(service.Name); exists {
			health, message = ServiceHealth(running, index)
		}
		if severity(health) > severity(worst) {
			worst, words = health, message
		}
	}
	return worst, words
}

func severity(health kargo.Health) int {
	switch health {
	case kargo.HealthHealthy:
		return 0
	case kargo.HealthProgressing:
		return 1
	case kargo.HealthDegraded:
	}
	return 2
}

// ServiceHealth returns the health of a service that exists, whatever was wanted,
// and what is said of it: a rollback that has completed left a healthy service,
// though the rendering it undid has failed (see Judge). A paused update is half
// done and degraded even where all tasks run, unless it was interrupted and goes on. A job is healthy once it is
// complete. Zero replicas are healthy. A task whose node is down does not count, even
// though Swarm still calls it running.
func ServiceHealth(service kargo.LiveService, index Index) (health kargo.Health, words string) {
	tasks := index.tasks[service.Name]
	if update := service.Update; update != nil {
		switch update.State {
		case swarm.UpdateStateUpdating, swarm.UpdateStateRollbackStarted:
			return kargo.HealthProgressing, cmp.Or(lastFailure(service, tasks), update.Message)
		case swarm.UpdateStatePaused, swarm.UpdateStateRollbackPaused:
			if stopped(service) && endingOf(service, ofUpdate(service, tasks)) == interrupted {
				return kargo.HealthProgressing, "its update was interrupted"
			}
			return kargo.HealthDegraded, cmp.Or(update.Message, string(update.State))
		}
	}
	if isJob(service.Spec.Mode) {
		return jobHealth(service, tasks)
	}
	if service.Running >= service.Desired || service.Running+finished(service, tasks) >= service.Desired {
		return kargo.HealthHealthy, ""
	}
	words = fmt.Sprintf("%d of %d tasks run", service.Running, service.Desired)
	if failure := lastFailure(service, tasks); failure != "" {
		words += ": " + failure
	}
	return kargo.HealthProgressing, words + lostWords("not counted", service.Lost)
}

// lostWords says which tasks are on nodes that are down, or returns "".
func lostWords(how string, lost map[string]uint64) string {
	text := ""
	for _, node := range slices.Sorted(maps.Keys(lost)) {
		text += fmt.Sprintf("; %s: %d on node %s, which is down", how, lost[node], node)
	}
	return text
}

// ServiceOperation returns what is going on with a service of that health: a
// rollout, or a rollback by Swarm. A rollback by Kargo shows in the stack, see
// StandIn.
func ServiceOperation(service kargo.LiveService, health kargo.Health) kargo.Operation {
	switch {
	case service.Update != nil && service.Update.State == swarm.UpdateStateRollbackStarted:
		return kargo.OperationRollingBack
	case health == kargo.HealthProgressing:
		return kargo.OperationRollingOut
	}
	return ""
}

func isJob(mode swarm.ServiceMode) bool { return mode.ReplicatedJob != nil || mode.GlobalJob != nil }

// jobHealth returns the health of a job, which is healthy once it is complete.
// Swarm does not say how many tasks a global job will have, so that is complete
// when no task runs and some have completed.
func jobHealth(service kargo.LiveService, tasks []kargo.Task) (kargo.Health, string) {
	total := service.Desired
	if job := service.Spec.Mode.ReplicatedJob; job != nil && job.TotalCompletions != nil {
		total = *job.TotalCompletions
	}
	if service.Completed >= total && (service.Spec.Mode.GlobalJob == nil || service.Running == 0) {
		return kargo.HealthHealthy, ""
	}
	words := fmt.Sprintf("%d of %d completed", service.Completed, total)
	if failure := lastFailure(service, tasks); failure != "" {
		words += ": " + failure
	}
	return kargo.HealthProgressing, words
}

// mayFinish reports whether the tasks of a service may end by themselves: those of
// jobs, and of services that Swarm does not restart.
func mayFinish(service kargo.LiveService) bool {
	restart := service.Spec.TaskTemplate.RestartPolicy
	return isJob(service.Spec.Mode) ||
		restart != nil && (restart.Condition == swarm.RestartPolicyConditionNone || restart.Condition == swarm.RestartPolicyConditionOnFailure)
}

// finished counts the tasks of a service that have ended with success.
func finished(service kargo.LiveService, tasks []kargo.Task) uint64 {
	count := uint64(0)
	for _, task := range tasks {
		if task.State == "complete" && mayFinish(service) {
			count++
		}
	}
	return count
}

// hasFailed reports whether a task has failed. A task that ended with success has
// failed as well if its service should run without end: this is how Swarm reports
// tasks that it stopped because they were unhealthy.
func hasFailed(service kargo.LiveService, task kargo.Task) bool {
	return task.State == "failed" || task.State == "rejected" && !takenDown().MatchString(task.Err+task.Message) ||
		task.State == "complete" && !mayFinish(service)
}

// HasFailed reports whether a task of a service has failed, also where it ended with
// success though the service should run without end.
func HasFailed(service kargo.LiveService, task kargo.Task) bool { return hasFailed(service, task) }

// cannotStart reports whether a task that has not run yet has an error: no node
// takes it, or its image cannot be pulled. Since engine 29 a task whose image
// cannot be pulled stays in this state and tries again; older engines reject it.
func cannotStart(task kargo.Task) bool {
	switch swarm.TaskState(task.State) {
	case swarm.TaskStateNew, swarm.TaskStateAllocated, swarm.TaskStatePending, swarm.TaskStateAssigned,
		swarm.TaskStateAccepted, swarm.TaskStatePreparing, swarm.TaskStateReady, swarm.TaskStateStarting:
		return task.Err != ""
	}
	return false
}

// lastFailure returns what the newest failed task of a service says, or "".
func lastFailure(service kargo.LiveService, tasks []kargo.Task) string {
	var newest *kargo.Task
	for i, task := range tasks {
		failed := hasFailed(service, task) || cannotStart(task)
		if failed && (newest == nil || task.Time.After(newest.Time)) {
			newest = &tasks[i]
		}
	}
	if newest == nil {
		return ""
	}
	if newest.State == "complete" {
		return "ended by itself (Swarm reports unhealthy tasks this way)"
	}
	return newest.Said()
}

// Settled reports whether no stack is progressing any more. Degraded stacks are
// settled: waiting does not repair them.
func Settled(stacks []kargo.Stack, index Index) bool {
	for _, stack := range stacks {
		if health, _ := StackHealth(stack, index); health == kargo.HealthProgressing {
			return false
		}
	}
	return true
}
