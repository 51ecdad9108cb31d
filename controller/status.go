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
		s.Suspended, s.Frozen, s.Freezes = r.memory.Suspended, r.memory.Frozen, r.decisions().freezeStatuses(time.Now())
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
	in, mask, rest := r.standIns(), r.view.mask(), restOf(remaining)
	index := plan.NewIndex(r.sight.cluster)
	stacks := stackStatuses(in.Stacks, index, rest, r.memory.Memory, mask)
	for i := range stacks {
		stack := &stacks[i]
		stack.LastVerified = r.sight.verifiedStacks[stack.Name]
		_, stoodIn := in.Holds[stack.Name]
		if stop, stopped := r.memory.Stops[stack.Name]; stopped {
			stack.Stop = &stop
		}
		waits := slices.ContainsFunc(stack.Services, func(s kargo.ServiceStatus) bool { return !s.InSync })
		runs := whatRuns(r.memory.Rollouts[stack.Name], stoodIn, waits, r.memory.Stops[stack.Name])
		if runs == "" && !stack.InSync {
			runs = neverSent(*stack, r.memory.Rollouts[stack.Name], index)
		}
		if runs != "" && runs != stack.Revision {
			stack.Revision, stack.Wanted = runs, stack.Revision
		}
	}
	markMoved(stacks, r.record.open, r.memory.Rollouts)
	stacks = append(stacks, r.leavingStacks(index, rest)...)
	r.shown.stacks, r.shown.pending = stacks, planText(remaining, time.Now())
}

func planText(p kargo.Plan, at time.Time) kargo.PlanText {
	changes := slices.Clone(p.Changes)
	for i, change := range changes {
		changes[i] = change.ForPeople()
	}
	return kargo.PlanText{ID: p.ID(), Revision: p.Revision.ID(), Changes: changes, Held: p.Held, Warnings: p.Warnings, Time: at}
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
func stackStatuses(stacks []kargo.Stack, index plan.Index, remaining rest, memory kargo.Memory, mask kargo.Mask) []kargo.StackStatus {
	statuses := make([]kargo.StackStatus, 0, len(stacks))
	for _, stack := range stacks {
		health, words := plan.StackHealth(stack, index)
		before := memory.Applied.Stacks[stack.Name]
		status := kargo.StackStatus{
			Name: stack.Name, Verdict: before.Verdict, Revision: before.Changed, Digest: stack.Digest(),
			InSync: remaining.inSync(stack.Name), Health: health, Message: mask.Text(words),
			Failure:  memory.Rollouts[stack.Name].Failed,
			Needs:    stack.Needs,
			Services: make([]kargo.ServiceStatus, 0, len(stack.Services)),
		}
		for _, service := range stack.Services {
			status.Services = append(status.Services, serviceStatus(stack.Name, service, index, remaining, mask))
		}
		noteWarnings(&status, remaining)
		status.Operation = operation(status, remaining)
		if reason := remaining.waitsFor(stack.Name); reason != "" {
			status.Health, status.Message = kargo.HealthProgressing, reason
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// noteWarnings puts what a plan warns of in the place of Swarm's words about a service
// that is not healthy: these are known later, and say less.
func noteWarnings(stack *kargo.StackStatus, remaining rest) {
	for i, service := range stack.Services {
		for _, warning := range remaining.warnings[service.Name] {
			if service.Health != kargo.HealthHealthy {
				stack.Services[i].Message = warning
				stack.Message = service.Name + ": " + warning
			}
		}
	}
}

func serviceStatus(stack string, service kargo.Service, index plan.Index, remaining rest, mask kargo.Mask) kargo.ServiceStatus {
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
	// Of a stack that wants what is not available, nothing was looked at any further.
	if remaining.changes[service.Name] || remaining.failed[stack] {
		status.InSync = false
	}
	for _, hold := range remaining.byName[service.Name] {
		status.InSync, status.Operation = false, cmp.Or(status.Operation, holdOperation(hold))
	}
	return status
}

// operation returns what is under way with a stack: what its services do, or
// what prevents it.
func operation(status kargo.StackStatus, remaining rest) kargo.Operation {
	for _, service := range status.Services {
		switch {
		case service.Operation == kargo.OperationRollingOut && status.Failure != nil:
			return kargo.OperationRollingBack
		case service.Operation == kargo.OperationRollingOut, service.Operation == kargo.OperationRollingBack:
			return service.Operation
		}
	}
	return remaining.heldOperation(status.Name)
}

func holdOperation(hold kargo.Hold) kargo.Operation {
	if hold.Until == kargo.UntilSettled {
		return kargo.OperationWaiting
	}
	return kargo.OperationHeld
}

// verdicts are those of stacks that moved, or were to move.
var verdicts = []kargo.Verdict{kargo.VerdictAdded, kargo.VerdictChanged, kargo.VerdictRemoved, kargo.VerdictCorrected, kargo.VerdictHeld}

// stackLine counts the verdicts on the stacks and names those that moved:
// "changed: web; removed: old; unchanged: 3".
func stackLine(results []kargo.StackResult) string {
	names := map[kargo.Verdict][]string{}
	for _, result := range results {
		names[result.Verdict] = append(names[result.Verdict], result.Name)
	}
	var parts []string
	for _, verdict := range verdicts {
		if len(names[verdict]) > 0 {
			parts = append(parts, string(verdict)+": "+strings.Join(names[verdict], " "))
		}
	}
	parts = append(parts, fmt.Sprintf("unchanged: %d", len(names[kargo.VerdictUnchanged])))
	return strings.Join(parts, "; ")
}
