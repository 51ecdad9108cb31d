package controller

import (
	"context"
	"time"

	"kargo"
	"kargo/plan"
)

// longRollout is when a rollout is no longer taken for a swift one.
const longRollout = 10 * time.Second

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
		rollout.Digest, rollout.Revision = digest, c.desired.Workspace.Revision.ID()
		rollout.Since, rollout.Failed = time.Time{}, nil
		rollout.AfterDue = c.After != nil
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
// change was sent for, and those that need none. What is sent for a stack whose
// rendering is not to be had restores the one that stands in.
func (c *Controller) startClocks(sent map[string]bool, next kargo.Plan) {
	waiting := stacksOf(next)
	for name, rollout := range c.memory.Rollouts {
		_, absent := c.memory.Absent[name]
		if rollout.Since.IsZero() && !absent && c.concerns(name) && (sent[name] || !waiting[name]) {
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
		if judgement := plan.Judge(stack, c.cluster, rollout.Since, time.Now()); judgement.Health == kargo.HealthDegraded {
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
		if underway(rollout) && health == kargo.HealthProgressing && time.Since(rollout.Since) > longRollout {
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
		case kargo.HealthHealthy:
			if err := c.keepGood(stack); err != nil {
				return false, err
			}
			continue
		case kargo.HealthDegraded:
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
		if health, _ := plan.StackHealth(stack, c.cluster); health != kargo.HealthHealthy {
			continue
		}
		stacks = append(stacks, stack)
		for _, service := range stack.Services {
			services = append(services, service.Name)
			if proven := rollout.Since.Add(stack.Options.Stable); tasked[service.Name] && proven.After(earliest) {
				earliest = proven
			}
		}
	}
	return stacks, services, earliest
}
