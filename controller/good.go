package controller

import (
	"fmt"
	"slices"
	"time"

	"kargo"
	"kargo/plan"
)

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
		stack.Options.Adopt = stack.Options.Adopt || c.adopted[stack.Name]
		hold, out := c.notToRun(stack)
		good, revision := (*kargo.Stack)(nil), kargo.RevisionID("")
		if out && (hold.Failed || stack.Options.OnFailure == kargo.FailureRollback) {
			good, revision = c.lastGood(stack)
		}
		switch {
		case good != nil && !hold.Failed:
			hold.Reason += fmt.Sprintf("; that of %s stands in until it changes, or `kargo retry %s`", revision.Short(), stack.Name)
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
	if failed := c.memory.Rollouts[stack.Name].Failed; failed != nil && stack.Options.OnFailure != kargo.FailureContinue {
		return kargo.Hold{Stack: stack.Name, Name: stack.Name, Reason: fmt.Sprintf("the rendering of %s failed: %s",
			failed.Revision.Short(), failed.Reason)}, true
	}
	hold, absent := c.absent[stack.Name]
	return hold, absent
}

// lastGood is the stack as it last came up, to be treated as it wants to be
// treated now, and the revision that it came from.
func (c *Controller) lastGood(stack kargo.Stack) (*kargo.Stack, kargo.RevisionID) {
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
	good.Options, good.Needs = stack.Options, stack.Needs
	return good, rollout.GoodRevision
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
func (c *Controller) recovered(s standIns) {
	for _, stack := range s.stacks {
		rollout := c.memory.Rollouts[stack.Name]
		if _, stoodIn := s.holds[stack.Name]; rollout.Failed == nil || stoodIn {
			continue
		}
		if health, _ := plan.StackHealth(stack, c.cluster); health == kargo.HealthHealthy {
			rollout.Failed, rollout.Since = nil, time.Now()
			c.memory.Rollouts[stack.Name] = rollout
		}
	}
}
