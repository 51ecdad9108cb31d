package controller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kargo"
	"kargo/plan"
)

// publishStacks brings the status up to what the last look saw. Remaining is
// what is still to be done, or held.
func (c *Controller) publishStacks(remaining kargo.Plan) {
	c.noteNames()
	stacks := StackStatuses(c.standIns().Stacks, c.cluster, remaining, c.memory.Memory, c.mask())
	for i := range stacks {
		stacks[i].LastVerified = c.verified[stacks[i].Name]
	}
	c.markMoved(stacks)
	c.publish(func(s *kargo.Status) {
		s.Stacks, s.Removed = stacks, c.memory.Applied.Removed
		s.Pending = kargo.PlanText{
			ID: remaining.ID(), Revision: remaining.Revision.ID(), Time: time.Now(),
			Changes: remaining.Changes, Held: remaining.Held,
		}
	})
}

// noteVerified keeps when a full look found each stack to be as it is wanted.
func (c *Controller) noteVerified(next kargo.Plan, now time.Time) {
	verified := map[string]time.Time{}
	for _, stack := range c.desired.Stacks {
		verified[stack.Name] = c.verified[stack.Name]
		if inSync(stack.Name, next) {
			verified[stack.Name] = now
		}
	}
	c.verified = verified
}

// markMoved tells what is on its way because of Kargo from what is not. Stacks
// that were changed since the last look are progressing. One whose rendering
// had come up, and that nobody touches, is not: it has lost tasks.
func (c *Controller) markMoved(stacks []kargo.StackStatus) {
	moved := map[string]bool{}
	if c.open != nil {
		for _, change := range c.open.Changes {
			moved[change.Stack] = true
		}
	}
	for i := range stacks {
		stack := &stacks[i]
		switch {
		case moved[stack.Name] && c.open.Outcome == kargo.OutcomeRunning:
			stack.Health = kargo.HealthProgressing
			stack.Operation = cmp.Or(stack.Operation, kargo.OperationRollingOut)
		case moved[stack.Name], stack.Health != kargo.HealthProgressing, c.memory.Rollouts[stack.Name].Good != stack.Digest:
		case stack.Operation == kargo.OperationRollingOut:
			stack.Health, stack.Operation = kargo.HealthDegraded, ""
		}
	}
}

// StackStatuses is what can be said of each stack: is it in sync, is it
// healthy, what is going on, what has Swarm to say of its services.
func StackStatuses(stacks []kargo.Stack, cluster kargo.Cluster, remaining kargo.Plan, memory kargo.Memory, mask kargo.Mask) []kargo.StackStatus {
	statuses := make([]kargo.StackStatus, 0, len(stacks))
	live := map[string]kargo.LiveService{}
	for _, service := range cluster.Services {
		live[service.Name] = service
	}
	for _, stack := range stacks {
		health, words := plan.StackHealth(stack, cluster)
		before := memory.Applied.Stacks[stack.Name]
		status := kargo.StackStatus{
			Name: stack.Name, Verdict: before.Verdict, Revision: before.Changed, Digest: stack.Digest(),
			InSync: inSync(stack.Name, remaining), Health: health, Message: mask.Text(words),
			Failure:  memory.Rollouts[stack.Name].Failed,
			Services: make([]kargo.ServiceStatus, 0, len(stack.Services)),
		}
		for _, service := range stack.Services {
			status.Services = append(status.Services, serviceStatus(stack.Name, service, live, cluster.Tasks, remaining, mask))
		}
		status.Operation = operation(status, remaining)
		if reason := waitsFor(stack.Name, remaining); reason != "" {
			status.Health, status.Message = kargo.HealthProgressing, reason
		}
		statuses = append(statuses, status)
	}
	return statuses
}

func serviceStatus(stack string, service kargo.Service, live map[string]kargo.LiveService, tasks []kargo.Task, remaining kargo.Plan, mask kargo.Mask) kargo.ServiceStatus {
	status := kargo.ServiceStatus{Name: service.Name, Health: kargo.HealthDegraded, Message: "does not run"}
	if container := service.Spec.TaskTemplate.ContainerSpec; container != nil {
		status.Image = container.Image
	}
	if running, exists := live[service.Name]; exists {
		health, words := plan.ServiceHealth(running, tasks)
		status.Health, status.Message = health, mask.Text(words)
		status.Operation = plan.ServiceOperation(running, health)
		status.Running, status.Desired = running.Running+running.Completed, running.Desired
		status.InSync = true
	}
	for _, change := range remaining.Changes {
		if change.Name == service.Name {
			status.InSync = false
		}
	}
	for _, hold := range remaining.Held {
		switch {
		case hold.Name == service.Name:
			status.InSync, status.Operation = false, cmp.Or(status.Operation, holdOperation(hold))
		case hold.Failed && hold.Stack == stack:
			status.InSync = false // nothing of the stack was looked at any further
		}
	}
	return status
}

// operation is what is going on with a stack: what its services do, or what
// keeps them from doing it.
func operation(status kargo.StackStatus, remaining kargo.Plan) kargo.Operation {
	for _, service := range status.Services {
		switch {
		case service.Operation == kargo.OperationRollingOut && status.Failure != nil:
			return kargo.OperationRollingBack
		case service.Operation == kargo.OperationRollingOut, service.Operation == kargo.OperationRollingBack:
			return service.Operation
		}
	}
	held := kargo.Operation("")
	for _, hold := range remaining.Held {
		if hold.Stack == status.Name && held != kargo.OperationHeld {
			held = holdOperation(hold)
		}
	}
	return held
}

func holdOperation(hold kargo.Hold) kargo.Operation {
	if hold.Until == kargo.UntilSettled {
		return kargo.OperationWaiting
	}
	return kargo.OperationHeld
}

// waitsFor is the reason why a stack has to wait, if that passes by itself.
func waitsFor(stack string, remaining kargo.Plan) string {
	for _, hold := range remaining.Held {
		if hold.Stack == stack && hold.Kind == "" && hold.Until == kargo.UntilSettled {
			return hold.Reason
		}
	}
	return ""
}

func inSync(stack string, remaining kargo.Plan) bool {
	return !slices.ContainsFunc(remaining.Changes, func(c kargo.Change) bool { return c.Stack == stack }) &&
		!slices.ContainsFunc(remaining.Held, func(h kargo.Hold) bool { return h.Stack == stack })
}

// stackLine counts the verdicts on the stacks and names those that moved:
// "changed: web; removed: old; unchanged: 3".
func stackLine(results []kargo.StackResult) string {
	names := map[kargo.Verdict][]string{}
	for _, result := range results {
		names[result.Verdict] = append(names[result.Verdict], result.Name)
	}
	var parts []string
	for _, verdict := range []kargo.Verdict{kargo.VerdictAdded, kargo.VerdictChanged, kargo.VerdictRemoved} {
		if len(names[verdict]) > 0 {
			parts = append(parts, string(verdict)+": "+strings.Join(names[verdict], " "))
		}
	}
	parts = append(parts, fmt.Sprintf("unchanged: %d", len(names[kargo.VerdictUnchanged])))
	return strings.Join(parts, "; ")
}
