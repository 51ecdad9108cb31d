package controller

import (
	"fmt"
	"slices"
	"time"

	"kargo"
	"kargo/plan"
)

// standIns returns what should run now.
func (c *Controller) standIns() plan.StandIns {
	c.readGood()
	in := plan.StandIn(c.desired.Stacks, c.memory)
	for name, reason := range in.Unusable {
		c.Log.Warn("the last good rendering cannot be used: "+reason, "stack", name)
	}
	return in
}

// readGood reads the last good renderings that stand in for others.
func (c *Controller) readGood() {
	c.memory.Good = map[string]kargo.Stack{}
	for _, name := range plan.NeedGood(c.desired.Stacks, c.memory) {
		good, err := c.Renderings.Good(name)
		switch {
		case err != nil:
			c.Log.Warn("cannot read the last good rendering", "stack", name, "error", err)
		case good != nil:
			c.memory.Good[name] = *good
		}
	}
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
		if health, _ := plan.StackHealth(stack, c.cluster); health == kargo.HealthHealthy {
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
	rollout.Good, rollout.GoodRevision = rollout.Digest, rollout.Revision
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
func (c *Controller) recovered(in plan.StandIns) {
	for _, stack := range in.Stacks {
		rollout := c.memory.Rollouts[stack.Name]
		if _, stoodIn := in.Holds[stack.Name]; rollout.Failed == nil || stoodIn {
			continue
		}
		if health, _ := plan.StackHealth(stack, c.cluster); health == kargo.HealthHealthy {
			rollout.Failed, rollout.Since = nil, time.Now()
			c.memory.Rollouts[stack.Name] = rollout
		}
	}
}
