package controller

import (
	"context"
	"fmt"
	"slices"

	"kargo"
	"kargo/compile"
)

// valuesChanged is the trigger of a deployment that no commit asked for.
const valuesChanged = "values outside the repository changed"

// refresh reads what is in force anew where some of its values lie outside the
// repository: these change without a commit. It answers whether other stacks
// come of it. Where it fails, what is in force stays so.
func (c *Controller) refresh(ctx context.Context) (changed bool, err error) {
	if !c.due.values || c.due.fresh || c.only != nil {
		return false, nil
	}
	if !c.whole.Workspace.External {
		c.due.values = false
		return false, nil
	}
	in := c.whole.Workspace.Revision
	tree, err := c.fetch(ctx, in.ID())
	if err != nil {
		return false, fmt.Errorf("fetch %s: %w", in.Short(), err)
	}
	desired, err := measured(c, "render", func() (compile.Desired, error) { return c.Compiler.Compile(ctx, tree) })
	if err != nil {
		return false, fmt.Errorf("read values outside the repository, those of before stay in force: %w", err)
	}
	c.due.values = false
	if err := desired.Problems.Err(); err != nil {
		return false, fmt.Errorf("values outside the repository are refused, those of before stay in force: %w", err)
	}
	if sameStacks(c.whole.Stacks, desired.Stacks) {
		return false, nil
	}
	c.Log.Info(valuesChanged, "revision", in.Short())
	if err := c.keepWhatRan(); err != nil {
		return false, err
	}
	c.desire(desired)
	c.due.full = true
	return true, nil
}

// sameStacks tells whether two lists of stacks are the same software.
func sameStacks(a, b []kargo.Stack) bool {
	return slices.EqualFunc(a, b, func(a, b kargo.Stack) bool { return a.Name == b.Name && a.Digest() == b.Digest() })
}
