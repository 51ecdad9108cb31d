package controller

import (
	"context"
	"errors"

	"kargo"
)

// runAfter runs the after hooks of renderings that were sent whole: once each,
// whatever is corrected later. It takes no longer than the hooks may take.
func (c *Controller) runAfter(ctx context.Context, next kargo.Plan) {
	if c.After == nil {
		return
	}
	waiting := stacksOf(next)
	for _, stack := range c.desired.Stacks {
		rollout := c.memory.Rollouts[stack.Name]
		if !rollout.AfterDue || rollout.Failed != nil || waiting[stack.Name] {
			continue
		}
		runs, err := c.After(ctx, c.desired.Workspace, stack.Name)
		rollout.AfterDue = false
		c.memory.Rollouts[stack.Name] = rollout
		if c.open != nil {
			c.open.Hooks = append(c.open.Hooks, c.masked(runs)...)
		}
		if err != nil {
			c.Log.Error("after hook failed", "stack", stack.Name, "error", c.mask().Text(kargo.Explain(err)))
			c.hookFailure = errors.Join(c.hookFailure, err)
		}
	}
}

// masked are runs of hooks as they may be shown and kept.
func (c *Controller) masked(runs []kargo.HookRun) []kargo.HookRun {
	mask := c.mask()
	var shown []kargo.HookRun
	for _, run := range runs {
		if c.concerns(run.Stack) {
			run.Output, run.Err = mask.Text(run.Output), mask.Text(run.Err)
			shown = append(shown, run)
		}
	}
	return shown
}

// failedHooks is what went wrong with after hooks, once.
func (c *Controller) failedHooks() error {
	failure := c.hookFailure
	c.hookFailure = nil
	if failure == nil {
		return nil
	}
	return errors.New(c.mask().Text(kargo.Explain(failure)))
}
