package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kargo"
	"kargo/plan"
)

// logLines of a failed task are kept with its failure.
const logLines = 10

// fail quarantines a stack's rendering, with the words of its tasks.
func (r rollouts) fail(ctx context.Context, stack kargo.Stack, judgement plan.Judgement) {
	reason := judgement.Reason
	tasks := r.failedTasks(ctx, stack, r.memory.Rollouts[stack.Name].Since)
	if len(tasks) > 0 {
		reason = withWords(reason, tasks[0].Said(), lastWords(stack, tasks[0]))
	}
	r.quarantine(stack, reason, judgement.Cause, r.words(ctx, stack, tasks))
}

// withWords returns a reason with the words about the task that failed last, once. The
// reason may end with what the task said, which the words begin with; Swarm itself names
// the task only.
func withWords(reason, said, words string) string {
	if strings.Contains(reason, words) {
		return reason
	}
	if before, ends := strings.CutSuffix(reason, said); ends && said != "" && strings.HasPrefix(words, said) {
		return before + words
	}
	return reason + ": " + words
}

// refused quarantines the rendering that a change belongs to, if Docker refuses the
// change as invalid. A part of the stack may have been changed before: the stack
// goes back as a whole. It reports whether it did that.
func (r rollouts) refused(change kargo.Change, err error) bool {
	at := slices.IndexFunc(r.view.stacks, func(stack kargo.Stack) bool { return stack.Name == change.Stack })
	_, absent := r.memory.Absent[change.Stack]
	if at < 0 || absent || change.Action == kargo.Remove || kargo.FaultOf(err) != kargo.Invalid || r.memory.Rollouts[change.Stack].Failed != nil {
		return false
	}
	r.quarantine(r.view.stacks[at], "Docker refuses it: "+kargo.Explain(err), kargo.CauseSoftware, nil)
	return true
}

// quarantine keeps a rendering from being sent again, for as long as its cause tells.
// The reason may have secrets.
func (r rollouts) quarantine(stack kargo.Stack, reason string, cause kargo.Cause, words []string) {
	rollout := r.memory.Rollouts[stack.Name]
	rollout.Failed = &kargo.Failure{
		Digest: rollout.Digest, Revision: rollout.Revision, Reason: r.view.mask().Text(reason), Time: time.Now(), Cause: cause, Words: words,
	}
	if cause == kargo.CauseImage || cause == kargo.CauseHost {
		rollout.Failed.Again = rollout.Failed.Time.Add(untilTry(rollout.Tries))
		rollout.Tries++
	}
	r.memory.Rollouts[stack.Name] = rollout
	r.parts.Log.Error("rendering failed", "stack", stack.Name, "revision", rollout.Revision.Short(),
		"reason", rollout.Failed.Reason, "then", string(stack.Options.OnFailure))
}

// untilTry is how long a rendering waits that has failed so many times before because
// of something outside the software.
func untilTry(tries int) time.Duration {
	return min(firstTry<<min(tries, 10), slowestTry)
}

// nextTry returns when a rendering is sent again that failed because of something
// outside the software; the zero time if none is.
func (r rollouts) nextTry() time.Time {
	var next time.Time
	for _, rollout := range r.memory.Rollouts {
		if failed := rollout.Failed; failed != nil && !failed.Again.IsZero() && (next.IsZero() || failed.Again.Before(next)) {
			next = failed.Again
		}
	}
	return next
}

// tryAgain lifts the quarantine of renderings whose cause may be gone: the time has
// come, and registries answer for the images, or a node changed. It returns the names
// of their stacks.
func (r rollouts) tryAgain(ctx context.Context, nodesMoved bool) (stacks []string) {
	for _, stack := range r.view.stacks {
		rollout := r.memory.Rollouts[stack.Name]
		failed := rollout.Failed
		if failed == nil || !r.selection.has(stack.Name) {
			continue
		}
		due := !failed.Again.IsZero() && !time.Now().Before(failed.Again)
		switch failed.Cause {
		case kargo.CauseSoftware:
			continue
		case kargo.CauseNode:
			due = nodesMoved
		case kargo.CauseImage:
			if due && !r.available(ctx, stack) {
				later := *failed
				later.Again = time.Now().Add(untilTry(rollout.Tries))
				rollout.Tries, rollout.Failed = rollout.Tries+1, &later
				r.memory.Rollouts[stack.Name] = rollout
				due = false
			}
		case kargo.CauseHost:
		}
		if due {
			stacks = append(stacks, stack.Name)
		}
	}
	return stacks
}

// recovered lifts the quarantine of renderings that are in force all the same and
// have come up after all.
func (r *Reconciler) recovered(in plan.StandIns) {
	index := plan.NewIndex(r.sight.cluster)
	for _, stack := range in.Stacks {
		rollout := r.memory.Rollouts[stack.Name]
		if _, stoodIn := in.Holds[stack.Name]; rollout.Failed == nil || stoodIn {
			continue
		}
		if health, _ := plan.StackHealth(stack, index); health != kargo.HealthHealthy {
			continue
		}
		if _, frozen := in.Frozen[stack.Name]; frozen && !r.runs(stack) {
			continue // what is healthy is what ran before
		}
		rollout.Failed, rollout.Since = nil, time.Now()
		r.memory.Rollouts[stack.Name] = rollout
	}
}

// runs reports whether all services of a stack whose rendering failed are as that
// rendering has them.
func (r *Reconciler) runs(stack kargo.Stack) bool {
	options := r.planOptions()
	options.Memory = options.Memory.Clone()
	rollout := options.Memory.Rollouts[stack.Name]
	rollout.Failed = nil
	options.Memory.Rollouts[stack.Name] = rollout
	unchanged := plan.Make(r.view.stacks, r.sight.cluster, options).Unchanged
	return !slices.ContainsFunc(stack.Services, func(service kargo.Service) bool { return !slices.Contains(unchanged, service.Name) })
}

// available reports whether registries answer for all images of a stack.
func (r rollouts) available(ctx context.Context, stack kargo.Stack) bool {
	var names []string
	for _, service := range stack.Services {
		if container := service.Spec.TaskTemplate.ContainerSpec; container != nil {
			names = append(names, container.Image)
		}
	}
	images, err := r.parts.askRegistries(ctx, names)
	return err == nil && !slices.ContainsFunc(names, func(name string) bool { return images[name].Pinned == "" })
}

// failedTasks returns the tasks of a stack that failed since a time, the newest
// first. If they cannot be read, there was still a failure.
func (r rollouts) failedTasks(ctx context.Context, stack kargo.Stack, since time.Time) []kargo.Task {
	names := make([]string, 0, len(stack.Services))
	for _, service := range stack.Services {
		names = append(names, service.Name)
	}
	tasks, err := r.parts.Swarm.Tasks(ctx, names...)
	if err != nil {
		r.parts.Log.Debug("cannot read the tasks of a failed stack", "stack", stack.Name, "error", err)
	}
	index := plan.NewIndex(*r.cluster)
	return slices.DeleteFunc(tasks, func(task kargo.Task) bool {
		live, known := index.Service(task.Service)
		failed := known && plan.HasFailed(live, task)
		return !failed && task.State != "failed" && task.State != "rejected" && task.Err == "" || task.Time.Before(since.Add(-time.Minute))
	})
}

// lastWords returns the error that a task of a stack ended with. Swarm stops an
// unhealthy task, and says nothing of its health if the program then ends with 0.
func lastWords(stack kargo.Stack, task kargo.Task) string {
	check := healthCheck(stack, task)
	if task.State == "complete" {
		if check == nil {
			return "ended by itself with exit code 0"
		}
		return "unhealthy, or ended by itself with exit code 0; " + check.String()
	}
	words := task.Said()
	if check != nil && strings.Contains(words, "unhealthy") {
		words += "; " + check.String()
	}
	return words
}

// words returns the errors of the newest failed tasks, and the end of the log
// of the last of them.
func (r rollouts) words(ctx context.Context, stack kargo.Stack, tasks []kargo.Task) []string {
	mask := r.view.mask()
	var words []string
	for _, task := range tasks[:min(len(tasks), 3)] {
		words = append(words, mask.Text(fmt.Sprintf("%s on %s: %s: %s", task.Service, cmp.Or(task.Node, "no node"), task.State, lastWords(stack, task))))
	}
	if len(tasks) == 0 {
		return nil
	}
	words = append(words, r.lastProbe(ctx, tasks[0])...)
	if tasks[0].State == "failed" || tasks[0].State == "complete" {
		words = append(words, r.logTail(ctx, tasks[0].ID)...)
	}
	return words
}

func (r rollouts) logTail(ctx context.Context, task string) []string {
	lines, err := r.parts.Swarm.LogTail(ctx, task, logLines)
	if err != nil {
		r.parts.Log.Debug("cannot read the log of a failed task", "task", task, "error", err)
	}
	mask := r.view.mask()
	for i, line := range lines {
		lines[i] = "log: " + mask.Text(line)
	}
	return lines
}
