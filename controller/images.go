package controller

import (
	"context"
	"fmt"
	"maps"

	"kargo"
	"kargo/compile"
)

// planned is the plan with what registries say of the images in it. They are
// asked once a revision: a tag means one thing as long as the revision stays.
func (c *Controller) planned(ctx context.Context) (kargo.Plan, error) {
	next, err := c.makePlan()
	if err != nil {
		return next, err
	}
	if len(next.Unresolved) > 0 {
		answers, err := measured(c, "images", func() (map[string]kargo.Image, error) { return c.Swarm.Images(ctx, next.Unresolved...) })
		if err != nil {
			return next, fmt.Errorf("ask registries: %w", err)
		}
		maps.Copy(c.resolved().Images, answers)
		if next, err = c.makePlan(); err != nil {
			return next, err
		}
	}
	if c.noteAbsent(next) {
		return c.makePlan()
	}
	return next, nil
}

// noteAbsent notes which stacks want what is not to be had, and answers whether
// any does: their last good rendering stands in, so that its drift is put right.
func (c *Controller) noteAbsent(next kargo.Plan) (any bool) {
	for _, hold := range next.Held {
		if _, known := c.memory.Absent[hold.Stack]; hold.Failed && !known {
			c.memory.Absent[hold.Stack], any = hold, true
		}
	}
	return any
}

// resolved are the images known for the desired revision.
func (c *Controller) resolved() *kargo.Resolved {
	r := &c.memory.Resolved
	if id := c.desired.Workspace.Revision.ID(); r.Revision != id || r.Images == nil {
		r.Revision, r.Images = id, map[string]kargo.Image{}
	}
	return r
}

// askAgain forgets which images were not to be had: they may be by now.
func (c *Controller) askAgain() {
	maps.DeleteFunc(c.resolved().Images, func(_ string, image kargo.Image) bool { return image.Pinned == "" })
	clear(c.memory.Absent)
}

// followTags gives the stacks that follow their tags what these mean now. A
// tag that moved makes another rendering of the stack, which is rolled out,
// judged and taken back as one of another commit would be.
func (c *Controller) followTags(ctx context.Context) error {
	names := compile.TagsToFollow(c.rendered)
	c.desired.Stacks = c.rendered
	if len(names) == 0 {
		c.memory.Resolved.Latest = c.latestOfOthers()
		return nil
	}
	answers, err := measured(c, "images", func() (map[string]kargo.Image, error) { return c.Swarm.Images(ctx, names...) })
	if err != nil {
		return fmt.Errorf("ask registries: %w", err)
	}
	latest := c.latestOfOthers()
	for _, name := range names {
		latest[name] = answers[name]
		if answers[name].Pinned == "" { // away, or gone: what it meant last stays
			latest[name] = c.memory.Resolved.Latest[name]
		}
	}
	c.memory.Resolved.Latest = latest
	c.desired.Stacks = compile.WithTags(c.rendered, latest)
	return nil
}
