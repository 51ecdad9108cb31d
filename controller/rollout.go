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

// longRollout is when a rollout is no longer taken for a swift one.
const longRollout = 10 * time.Second

// logLines of a failed task are kept with its failure.
const logLines = 10

// standIns are the stacks that should run now: the desired ones, with the last
// good rendering in the place of one that failed or cannot be had. frozen are
// stacks that nothing is done to. Both come with what a person should read.
type standIns struct {
	stacks []kargo.Stack
	holds  map[string]kargo.Hold
	frozen map[string]string
}

func (c *Controller) standIns() standIns {
	s := standIns{holds: map[string]kargo.Hold{}, frozen: map[string]string{}}
	for _, stack := range c.desired.Stacks {
		stack.Policy.Adopt = stack.Policy.Adopt || c.adopted[stack.Name]
		hold, out := c.notToRun(stack)
		good, commit := (*kargo.Stack)(nil), ""
		if out && (hold.Failed || stack.Policy.OnFailure == kargo.Rollback) {
			good, commit = c.lastGood(stack)
		}
		switch {
		case good != nil && !hold.Failed:
			hold.Reason += fmt.Sprintf("; that of %s stands in until it changes, or `kargo retry %s`", kargo.Revision{Commit: commit}.Short(), stack.Name)
			fallthrough
		case good != nil:
			s.holds[stack.Name] = hold
			stack = *good
		case out && !hold.Failed: // else the plan says so by itself
			s.frozen[stack.Name] = fmt.Sprintf("%s; nothing is done until it changes, or `kargo retry %s`", hold.Reason, stack.Name)
		}
		s.stacks = append(s.stacks, stack)
	}
	return s
}

// notToRun is why the wanted rendering of a stack is not to run: it failed, or
// wants an image that is not to be had.
func (c *Controller) notToRun(stack kargo.Stack) (kargo.Hold, bool) {
	if failed := c.memory.Rollouts[stack.Name].Failed; failed != nil && stack.Policy.OnFailure != kargo.Continue {
		return kargo.Hold{Stack: stack.Name, Name: stack.Name, Reason: fmt.Sprintf("the rendering of %s failed: %s",
			kargo.Revision{Commit: failed.Commit}.Short(), failed.Reason)}, true
	}
	hold, absent := c.absent[stack.Name]
	return hold, absent
}

// lastGood is the stack as it last came up, to be treated as it wants to be
// treated now, and the commit that it came from.
func (c *Controller) lastGood(stack kargo.Stack) (*kargo.Stack, string) {
	rollout := c.memory.Rollouts[stack.Name]
	if rollout.Good == "" || rollout.Good == rollout.Digest {
		return nil, ""
	}
	good, err := c.Renderings.Good(stack.Name)
	if good != nil {
		good.Key = stack.Key
	}
	if err != nil || good == nil || good.Digest() != rollout.Good {
		c.Log.Warn("the last good rendering is not to be had", "stack", stack.Name, "error", err)
		return nil, ""
	}
	if good.Permitted != stack.Permitted {
		c.Log.Warn("the last good rendering was permitted by another policy than that of now", "stack", stack.Name)
		return nil, ""
	}
	good.Policy, good.Needs = stack.Policy, stack.Needs
	return good, rollout.GoodCommit
}

// follow begins to follow each rendering that is wanted anew, and forgets
// those of stacks that nobody wants any more.
func (c *Controller) follow() {
	wanted := map[string]bool{}
	for _, stack := range c.desired.Stacks {
		wanted[stack.Name] = true
		rollout, digest := c.memory.Rollouts[stack.Name], stack.Digest()
		if rollout.Digest == digest {
			continue
		}
		rollout.Digest, rollout.Commit = digest, c.desired.Workspace.Revision.ID()
		rollout.Since, rollout.Failed = time.Time{}, nil
		rollout.AfterDue = c.Pipeline.After != nil
		c.memory.Rollouts[stack.Name] = rollout
	}
	for name := range c.memory.Rollouts {
		if !wanted[name] && c.concerns(name) {
			delete(c.memory.Rollouts, name)
		}
	}
}

// underway tells whether a stack's rendering was sent and is neither good nor
// failed.
func underway(rollout kargo.Rollout) bool {
	return !rollout.Since.IsZero() && rollout.Failed == nil && rollout.Good != rollout.Digest
}

// startClocks notes since when renderings are on their way: those that a
// change was sent for, and those that need none.
func (c *Controller) startClocks(sent map[string]bool, next kargo.Plan) {
	waiting := stacksOf(next)
	for name, rollout := range c.memory.Rollouts {
		if rollout.Since.IsZero() && c.concerns(name) && (sent[name] || !waiting[name]) {
			rollout.Since = time.Now()
			c.memory.Rollouts[name] = rollout
		}
	}
}

// stacksOf are the stacks that a plan has anything to say about.
func stacksOf(p kargo.Plan) map[string]bool {
	stacks := map[string]bool{}
	for _, change := range p.Changes {
		stacks[change.Stack] = true
	}
	for _, hold := range p.Held {
		stacks[hold.Stack] = true
	}
	return stacks
}

// judge looks for renderings that have failed, with what the last look saw,
// and quarantines them.
func (c *Controller) judge(ctx context.Context) {
	c.readTasks(ctx)
	for _, stack := range c.desired.Stacks {
		rollout := c.memory.Rollouts[stack.Name]
		if !underway(rollout) {
			continue
		}
		if judgement := plan.Judge(stack, c.cluster, rollout.Since, time.Now()); judgement.Health == kargo.Degraded {
			c.fail(ctx, stack, judgement.Reason)
		}
	}
}

// readTasks reads the tasks of rollouts that take long: what the services say
// alone does not tell a slow one from one that fails again and again.
func (c *Controller) readTasks(ctx context.Context) {
	if c.cluster.TasksKnown {
		return
	}
	var names []string
	for _, stack := range c.desired.Stacks {
		rollout := c.memory.Rollouts[stack.Name]
		health, _ := plan.StackHealth(stack, c.cluster)
		if underway(rollout) && health == kargo.InProgress && time.Since(rollout.Since) > longRollout {
			for _, service := range stack.Services {
				names = append(names, service.Name)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	tasks, err := c.Swarm.Tasks(ctx, names...)
	if err != nil {
		c.Log.Debug("cannot read the tasks of a long rollout", "error", err)
		return
	}
	c.cluster.Tasks = tasks
}

// fail quarantines a stack's rendering, with the words of its tasks.
func (c *Controller) fail(ctx context.Context, stack kargo.Stack, reason string) {
	rollout := c.memory.Rollouts[stack.Name]
	mask := c.mask()
	tasks := c.failedTasks(ctx, stack, rollout.Since)
	if len(tasks) > 0 && !strings.Contains(reason, lastWords(tasks[0])) {
		reason += ": " + lastWords(tasks[0]) // Swarm itself names the task only
	}
	rollout.Failed = &kargo.Failure{
		Digest: rollout.Digest, Commit: rollout.Commit, Reason: mask.Text(reason), Time: time.Now(), Words: c.words(ctx, tasks),
	}
	c.memory.Rollouts[stack.Name] = rollout
	c.Log.Error("rendering failed", "stack", stack.Name, "revision", kargo.Revision{Commit: rollout.Commit}.Short(),
		"reason", rollout.Failed.Reason, "then", string(stack.Policy.OnFailure))
}

// failedTasks are the tasks of a stack that failed since a time, the newest
// first. A failure has happened whether they can be read or not.
func (c *Controller) failedTasks(ctx context.Context, stack kargo.Stack, since time.Time) []kargo.Task {
	names := make([]string, 0, len(stack.Services))
	for _, service := range stack.Services {
		names = append(names, service.Name)
	}
	tasks, err := c.Swarm.Tasks(ctx, names...)
	if err != nil {
		c.Log.Debug("cannot read the tasks of a failed stack", "stack", stack.Name, "error", err)
	}
	return slices.DeleteFunc(tasks, func(task kargo.Task) bool {
		return task.State != "failed" && task.State != "rejected" && task.Err == "" || task.Time.Before(since.Add(-time.Minute))
	})
}

// lastWords are what a task says of its end.
func lastWords(task kargo.Task) string {
	words := cmp.Or(task.Err, task.Message)
	if task.ExitCode != 0 {
		words += fmt.Sprintf(" (exit code %d)", task.ExitCode)
	}
	return words
}

// words are what the newest failed tasks say, and how the log of the last of
// them ends.
func (c *Controller) words(ctx context.Context, tasks []kargo.Task) []string {
	mask := c.mask()
	var words []string
	for _, task := range tasks[:min(len(tasks), 3)] {
		words = append(words, mask.Text(fmt.Sprintf("%s on %s: %s: %s", task.Service, cmp.Or(task.Node, "no node"), task.State, lastWords(task))))
	}
	if len(tasks) > 0 && tasks[0].State == "failed" {
		words = append(words, c.logTail(ctx, tasks[0].ID)...)
	}
	return words
}

func (c *Controller) logTail(ctx context.Context, task string) []string {
	lines, err := c.Swarm.LogTail(ctx, task, logLines)
	if err != nil {
		c.Log.Debug("cannot read the log of a failed task", "task", task, "error", err)
	}
	mask := c.mask()
	for i, line := range lines {
		lines[i] = "log: " + mask.Text(line)
	}
	return lines
}

// prove looks at the tasks of renderings that seem to have come up, and calls
// those good that have stayed up. It answers whether all are decided.
func (c *Controller) prove(ctx context.Context, next kargo.Plan) (decided bool, err error) {
	candidates, services, earliest := c.candidates(next)
	if len(candidates) == 0 {
		return true, nil
	}
	if time.Now().Before(earliest) {
		c.due.lookAt(earliest)
		return false, nil
	}
	seen := c.cluster
	if seen.Tasks, err = c.Swarm.Tasks(ctx, services...); err != nil {
		return false, err
	}
	decided = true
	for _, stack := range candidates {
		judgement := plan.Judge(stack, seen, c.memory.Rollouts[stack.Name].Since, time.Now())
		switch judgement.Health {
		case kargo.Healthy:
			if err := c.keepGood(stack); err != nil {
				return false, err
			}
			continue
		case kargo.Degraded:
			c.fail(ctx, stack, judgement.Reason)
			c.due.lookAt(time.Now())
		default:
			c.due.lookAt(judgement.ProvenAt)
		}
		decided = false
	}
	return decided, nil
}

// candidates are the stacks whose rendering may be called good by now, whatever
// others do, their services, and the time by which all of them can have run
// long enough.
func (c *Controller) candidates(next kargo.Plan) (stacks []kargo.Stack, services []string, earliest time.Time) {
	waiting, tasked := stacksOf(next), map[string]bool{}
	for _, service := range c.cluster.Services {
		tasked[service.Name] = service.Desired > 0
	}
	for _, stack := range c.desired.Stacks {
		rollout := c.memory.Rollouts[stack.Name]
		if !underway(rollout) || waiting[stack.Name] {
			continue
		}
		if health, _ := plan.StackHealth(stack, c.cluster); health != kargo.Healthy {
			continue
		}
		stacks = append(stacks, stack)
		for _, service := range stack.Services {
			services = append(services, service.Name)
			if proven := rollout.Since.Add(stack.Policy.Stable); tasked[service.Name] && proven.After(earliest) {
				earliest = proven
			}
		}
	}
	return stacks, services, earliest
}

// keepWhatRan calls the rendering good that another one is about to replace,
// if it came up, has not run long enough to be proven, and there is none better
// to return to.
func (c *Controller) keepWhatRan() error {
	if c.desired == nil {
		return nil
	}
	for _, stack := range c.desired.Stacks {
		rollout := c.memory.Rollouts[stack.Name]
		if !underway(rollout) || rollout.Good != "" {
			continue
		}
		if health, _ := plan.StackHealth(stack, c.cluster); health == kargo.Healthy {
			if err := c.keepGood(stack); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepGood remembers a rendering that came up and stayed up, with the images
// that it runs.
func (c *Controller) keepGood(stack kargo.Stack) error {
	images := map[string]string{}
	for _, service := range c.cluster.Services {
		images[service.Name] = service.Image
	}
	rollout := c.memory.Rollouts[stack.Name]
	rollout.Good, rollout.GoodCommit = rollout.Digest, rollout.Commit
	stack.Services = slices.Clone(stack.Services)
	for i := range stack.Services {
		stack.Services[i].Pinned = images[stack.Services[i].Name]
	}
	if err := c.Renderings.KeepGood(stack); err != nil {
		return fmt.Errorf("keep good rendering of stack %s: %w", stack.Name, err)
	}
	c.memory.Rollouts[stack.Name] = rollout
	return nil
}

// recovered lifts the quarantine of renderings that are in force all the same
// and have come up after all.
func (c *Controller) recovered(s standIns) {
	for _, stack := range s.stacks {
		rollout := c.memory.Rollouts[stack.Name]
		if _, stoodIn := s.holds[stack.Name]; rollout.Failed == nil || stoodIn {
			continue
		}
		if health, _ := plan.StackHealth(stack, c.cluster); health == kargo.Healthy {
			rollout.Failed, rollout.Since = nil, time.Now()
			c.memory.Rollouts[stack.Name] = rollout
		}
	}
}

// Retry lifts the quarantine of a stack, or of all if the name is empty.
func (c *Controller) Retry(stack string) {
	c.ask(func() {
		for name, rollout := range c.memory.Rollouts {
			if stack == "" || name == stack {
				rollout.Failed, rollout.Since = nil, time.Time{}
				c.memory.Rollouts[name] = rollout
			}
		}
		if c.desired != nil {
			c.forgetSent(stack)
		}
	})
	c.Nudge(strings.TrimSpace("retry " + stack))
}

// forgetSent makes what Swarm rolled back be sent again.
func (c *Controller) forgetSent(stack string) {
	for _, wanted := range c.desired.Stacks {
		if stack == "" || wanted.Name == stack {
			for _, service := range wanted.Services {
				delete(c.memory.Sent, service.Name)
			}
		}
	}
}

// Adopt takes over objects of a stack's names that carry no owner, until the
// process ends; a workspace says it for good (<STACK>_ADOPT).
func (c *Controller) Adopt(stack string) {
	c.ask(func() { c.adopted[stack] = true })
	c.Nudge("adopt " + stack)
}

// ask leaves something for the next round to do: what it works on belongs to
// the goroutine of the loop.
func (c *Controller) ask(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, do)
}

func (c *Controller) doAsked() {
	c.mu.Lock()
	asked := c.asked
	c.asked = nil
	c.mu.Unlock()
	for _, do := range asked {
		do()
	}
}
