package controller

import (
	"context"
	"strings"
	"time"

	"kargo"
	"kargo/plan"
)

// cleaner has old images removed, beside the loop: nodes may take their time.
// When it is due the loop says what must stay, as soon as nothing is on its way.
type cleaner struct {
	due    chan struct{}       // holds one: the time has come
	handed chan kargo.Cleaning // holds one
}

func newCleaner() *cleaner {
	return &cleaner{due: make(chan struct{}, 1), handed: make(chan kargo.Cleaning, 1)}
}

// clean waits for its time, then for what the loop hands over, and cleans.
func (c *Controller) clean(ctx context.Context) {
	for {
		now := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-time.After(c.CleanSchedule.Next(now).Sub(now)):
		}
		c.cleaner.due <- struct{}{}
		c.stir()
		select {
		case <-ctx.Done():
			return
		case cleaning := <-c.cleaner.handed:
			c.cleanNow(ctx, cleaning)
		}
	}
}

func (c *Controller) cleanNow(ctx context.Context, cleaning kargo.Cleaning) {
	nodes, err := measured(c, "clean", func() ([]kargo.NodeReport, error) { return c.Clean(ctx, cleaning) })
	cleaned := kargo.Cleaned{Time: time.Now(), Nodes: nodes}
	if err != nil {
		cleaned.Err = kargo.Explain(err)
		c.Log.Warn("images were not cleaned", "error", err)
	}
	for _, node := range nodes {
		c.Log.Info("images cleaned", "node", node.Node, "said", strings.ReplaceAll(node.Said, "\n", "; "), "error", node.Err)
	}
	c.publish(func(s *kargo.Status) { s.Cleaned = &cleaned })
}

// handCleaning says what must stay, if the cleaner waits for that and nothing
// is on its way. Where a good rendering cannot be read nothing is cleaned: a
// rollback might need what it names.
func (c *Controller) handCleaning() {
	if c.desired == nil || c.due.unsettled || c.open != nil || len(c.cleaner.due) == 0 {
		return
	}
	var good []kargo.Stack
	for name, rollout := range c.memory.Rollouts {
		if rollout.Good == "" {
			continue
		}
		stack, err := c.Renderings.Good(name)
		if err != nil || stack == nil {
			c.Log.Warn("images are not cleaned: a good rendering cannot be read", "stack", name, "error", err)
			return
		}
		good = append(good, *stack)
	}
	cleaning := plan.Cleaning(c.cluster, append(good, c.desired.Stacks...), c.Instance, c.CleanAge)
	for _, images := range []map[string]kargo.Image{c.memory.Resolved.Images, c.memory.Resolved.Latest} {
		for _, image := range images {
			if image.Pinned != "" {
				cleaning.Keep = append(cleaning.Keep, image.Pinned)
			}
		}
	}
	<-c.cleaner.due
	c.cleaner.handed <- cleaning
}
