package controller

import (
	"context"
	"maps"
	"slices"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

// narrowing is what a controller is narrowed to, if it is.
type narrowing struct {
	only     []string         // stacks that a person named; nil for all
	removing bool             // and they are to be removed
	whole    *compile.Desired // the desired revision, with the stacks that only leaves out
}

// Narrow bounds the rounds to come to stacks that a person named. All others
// are neither changed nor removed, and what is remembered of them stays.
// Without names no stack is touched, and labels of nodes alone are.
func (c *Controller) Narrow(stacks ...string) {
	c.only, c.removing = append([]string{}, stacks...), false
	if c.whole != nil {
		c.desire(*c.whole)
		c.due.write, c.due.full = true, true
	}
}

// Remove bounds the rounds to come to the removal of stacks that a person
// named. It needs no revision to have been read.
func (c *Controller) Remove(stacks ...string) {
	c.only, c.removing = append([]string{}, stacks...), true
	var nothing compile.Desired
	if c.whole != nil {
		nothing.Workspace = c.whole.Workspace // its environment says what is secret
	}
	if inForce := c.memory.Applied.Revision; inForce.Commit != "" {
		nothing.Workspace.Revision = inForce
	}
	c.desired, c.rendered = &nothing, nil
	c.due.git, c.due.write, c.due.full = false, false, true
}

// narrowed are the stacks that are the controller's business.
func (c *Controller) narrowed(stacks []kargo.Stack) []kargo.Stack {
	if c.only == nil {
		return stacks
	}
	return slices.DeleteFunc(slices.Clone(stacks), func(stack kargo.Stack) bool { return !c.concerns(stack.Name) })
}

// concerns tells whether a stack is any of the controller's business.
func (c *Controller) concerns(stack string) bool {
	return c.only == nil || slices.Contains(c.only, stack)
}

// endingTasks reads the tasks while stacks are being removed: their services
// are gone before those are.
func (c *Controller) endingTasks(ctx context.Context, cluster *kargo.Cluster) error {
	if !c.removing || cluster.TasksKnown {
		return nil
	}
	tasks, err := c.Swarm.Tasks(ctx)
	if err != nil {
		return err
	}
	cluster.Tasks, cluster.TasksKnown = slices.DeleteFunc(tasks, plan.Ended), true
	return nil
}

// latestOfOthers is what the tags meant last of stacks that are none of the
// controller's business; which those are is not known here, so it is all.
func (c *Controller) latestOfOthers() map[string]kargo.Image {
	latest := map[string]kargo.Image{}
	if c.only != nil {
		maps.Copy(latest, c.memory.Resolved.Latest)
	}
	return latest
}

// before are the digests of the stacks in force that a verdict is due on.
func (c *Controller) before() map[string]string {
	digests := c.memory.Applied.Digests()
	maps.DeleteFunc(digests, func(stack, _ string) bool { return !c.concerns(stack) })
	return digests
}

// putInForce notes what is in force now: of the stacks that are none of the
// controller's business what was.
func (c *Controller) putInForce(revision kargo.Revision, results []kargo.StackResult) {
	next := c.memory.Applied.Next(revision, results)
	if c.only != nil {
		order := c.order()
		for name, stack := range next.Stacks {
			stack.Position = order[name]
			next.Stacks[name] = stack
		}
		for name, stack := range c.memory.Applied.Stacks {
			if !c.concerns(name) {
				next.Stacks[name] = stack
			}
		}
	}
	c.memory.Applied = next
	c.publish(func(s *kargo.Status) { s.Applied = revision })
}

// order are the positions of stacks in STACKS, or else in the STACKS that was
// in force.
func (c *Controller) order() map[string]int {
	positions := c.memory.Applied.Positions()
	if c.only != nil {
		for i, stack := range c.desired.Workspace.Env.List("STACKS") {
			positions[stack] = i
		}
	}
	return positions
}

// Stacks are the names of the stacks that were read, in the order of STACKS.
func (c *Controller) Stacks() []string {
	var names []string
	if c.whole != nil {
		for _, stack := range c.whole.Stacks {
			names = append(names, stack.Name)
		}
	}
	return names
}

// KnownStacks are the names of the stacks that are wanted or in force.
func (c *Controller) KnownStacks() []string {
	return append(c.Stacks(), slices.Sorted(maps.Keys(c.memory.Applied.Stacks))...)
}

// Failures are the stacks whose rendering has failed.
func (c *Controller) Failures() []string {
	var names []string
	for name, rollout := range c.memory.Rollouts {
		if rollout.Failed != nil {
			names = append(names, name)
		}
	}
	return names
}
