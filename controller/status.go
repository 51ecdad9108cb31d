package controller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"kargo"
	"kargo/plan"
)

// board is the status that everyone may read, and those who work beside the
// rounds write their part of.
type board struct {
	mu  sync.Mutex
	now kargo.Status
}

func newBoard(parts Parts) *board {
	b := parts.Behavior
	return &board{now: kargo.Status{
		Version: b.Version, Instance: b.Instance, Repository: b.Repository,
		Applied: parts.Memory.Applied.Revision, Stacks: []kargo.StackStatus{},
	}}
}

func (b *board) status() kargo.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *board) change(change func(*kargo.Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.now)
}

// shown is what was last made of the stacks, for the status.
type shown struct {
	stacks []kargo.StackStatus
	// plan is the last plan that was carried out, pending what the last look
	// would still do or holds.
	plan, pending kargo.PlanText
}

// report writes the status: all of it that rounds know, in this one place.
func (r *Reconciler) report() {
	r.board.change(func(s *kargo.Status) {
		s.Head, s.Problems, s.LastFetched = r.source.head, r.source.problems, r.source.fetched
		s.Rewinds = r.source.rewinds
		s.Applied, s.Removed = r.memory.Applied.Revision, withoutLeaving(r.memory.Applied.Removed, r.shown.stacks)
		s.Suspended = r.memory.Suspended
		s.Plan, s.Pending = r.shown.plan, r.shown.pending
		if r.shown.stacks != nil {
			s.Stacks = r.shown.stacks
		}
		s.LastVerified = r.sight.verified
	})
}

// noteRemaining brings what is shown of the stacks up to what the last look saw.
// Remaining is what is still to be done, or held.
func (r *Reconciler) noteRemaining(remaining kargo.Plan) {
	r.interest.note(r.view.stacks, r.sight.cluster, r.parts.Behavior.Instance)
	in, mask := r.standIns(), r.view.mask()
	stacks := stackStatuses(in.Stacks, r.sight.cluster, remaining, r.memory.Memory, mask)
	for i := range stacks {
		stack := &stacks[i]
		stack.LastVerified = r.sight.verifiedStacks[stack.Name]
		_, stoodIn := in.Holds[stack.Name]
		if stop, stopped := r.memory.Stops[stack.Name]; stopped {
			stack.Stop = &stop
		}
		if runs := whatRuns(r.memory.Rollouts[stack.Name], stoodIn, r.memory.Stops[stack.Name]); runs != "" && runs != stack.Revision {
			stack.Revision, stack.Wanted = runs, stack.Revision
		}
	}
	markMoved(stacks, r.record.open, r.memory.Rollouts)
	stacks = append(stacks, r.leavingStacks(remaining)...)
	r.shown.stacks, r.shown.pending = stacks, planText(remaining, time.Now())
}

func planText(p kargo.Plan, at time.Time) kargo.PlanText {
	return kargo.PlanText{ID: p.ID(), Revision: p.Revision.ID(), Changes: p.Changes, Held: p.Held, Warnings: p.Warnings, Time: at}
}

// markMoved marks the stacks that were changed since the last look as
// progressing. A stack whose rendering was good, and that nobody changes, is
// not progressing: it has lost tasks.
func markMoved(stacks []kargo.StackStatus, open *kargo.Deployment, rollouts map[string]kargo.Rollout) {
	moved := map[string]bool{}
	if open != nil {
		for _, change := range open.Changes {
			moved[change.Stack] = true
		}
	}
	for i := range stacks {
		stack := &stacks[i]
		switch {
		case moved[stack.Name] && open.Outcome == kargo.OutcomeRunning:
			stack.Health = kargo.HealthProgressing
			stack.Operation = cmp.Or(stack.Operation, kargo.OperationRollingOut)
		case moved[stack.Name], stack.Health != kargo.HealthProgressing, rollouts[stack.Name].Good != stack.Digest:
		case stack.Operation == kargo.OperationRollingOut:
			stack.Health, stack.Operation = kargo.HealthDegraded, ""
		}
	}
}

// stackStatuses returns what is known of each stack: whether it is in sync and
// healthy, what is going on, and what Swarm says of its services.
func stackStatuses(stacks []kargo.Stack, cluster kargo.Cluster, remaining kargo.Plan, memory kargo.Memory, mask kargo.Mask) []kargo.StackStatus {
	statuses := make([]kargo.StackStatus, 0, len(stacks))
	index := plan.NewIndex(cluster)
	for _, stack := range stacks {
		health, words := plan.StackHealth(stack, index)
		before := memory.Applied.Stacks[stack.Name]
		status := kargo.StackStatus{
			Name: stack.Name, Verdict: before.Verdict, Revision: before.Changed, Digest: stack.Digest(),
			InSync: inSync(stack.Name, remaining), Health: health, Message: mask.Text(words),
			Failure:  memory.Rollouts[stack.Name].Failed,
			Needs:    stack.Needs,
			Services: make([]kargo.ServiceStatus, 0, len(stack.Services)),
		}
		for _, service := range stack.Services {
			status.Services = append(status.Services, serviceStatus(stack.Name, service, index, remaining, mask))
		}
		noteWarnings(&status, remaining.Warnings)
		status.Operation = operation(status, remaining)
		if reason := waitsFor(stack.Name, remaining); reason != "" {
			status.Health, status.Message = kargo.HealthProgressing, reason
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// noteWarnings puts what a plan warns of in the place of Swarm's words about a service
// that is not healthy: these are known later, and say less.
func noteWarnings(stack *kargo.StackStatus, warnings []kargo.Warning) {
	for _, warning := range warnings {
		for i, service := range stack.Services {
			if service.Name == warning.Service && service.Health != kargo.HealthHealthy {
				stack.Services[i].Message = warning.Text
				stack.Message = warning.Service + ": " + warning.Text
			}
		}
	}
}

func serviceStatus(stack string, service kargo.Service, index plan.Index, remaining kargo.Plan, mask kargo.Mask) kargo.ServiceStatus {
	status := kargo.ServiceStatus{Name: service.Name, Health: kargo.HealthDegraded, Message: "does not run"}
	if container := service.Spec.TaskTemplate.ContainerSpec; container != nil {
		status.Image = container.Image
	}
	if running, exists := index.Service(service.Name); exists {
		health, words := plan.ServiceHealth(running, index)
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

// operation returns what is under way with a stack: what its services do, or
// what prevents it.
func operation(status kargo.StackStatus, remaining kargo.Plan) kargo.Operation {
	for _, service := range status.Services {
		switch {
		case service.Operation == kargo.OperationRollingOut && status.Failure != nil:
			return kargo.OperationRollingBack
		case service.Operation == kargo.OperationRollingOut, service.Operation == kargo.OperationRollingBack:
			return service.Operation
		}
	}
	return heldOperation(status.Name, remaining)
}

// heldOperation returns what keeps a stack from changing, or "".
func heldOperation(stack string, remaining kargo.Plan) (held kargo.Operation) {
	for _, hold := range remaining.Held {
		if hold.Stack == stack && held != kargo.OperationHeld {
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

// waitsFor returns the reason why a stack must wait, if that reason ends by
// itself.
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
	for _, verdict := range []kargo.Verdict{kargo.VerdictAdded, kargo.VerdictChanged, kargo.VerdictRemoved, kargo.VerdictCorrected} {
		if len(names[verdict]) > 0 {
			parts = append(parts, string(verdict)+": "+strings.Join(names[verdict], " "))
		}
	}
	parts = append(parts, fmt.Sprintf("unchanged: %d", len(names[kargo.VerdictUnchanged])))
	return strings.Join(parts, "; ")
}
