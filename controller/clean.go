package controller

import (
	"context"
	"strings"
	"time"

	"kargo"
	"kargo/plan"
)

// cleaner has old images removed, beside the rounds: nodes may take their time.
// When it is due the loop says what must stay, as soon as nothing is on its way.
type cleaner struct {
	parts  Parts
	board  *board
	due    chan struct{}       // holds one: the time has come
	handed chan kargo.Cleaning // holds one
}

func newCleaner(parts Parts, board *board) *cleaner {
	return &cleaner{parts: parts, board: board, due: make(chan struct{}, 1), handed: make(chan kargo.Cleaning, 1)}
}

// isDue reports whether the cleaner waits to be told what must stay.
func (c *cleaner) isDue() bool { return len(c.due) > 0 }

// hand passes to the cleaner which images must stay.
func (c *cleaner) hand(cleaning kargo.Cleaning) {
	<-c.due
	c.handed <- cleaning
}

// run waits for its time, then for what the loop hands over, and cleans.
// Due is called when the time has come.
func (c *cleaner) run(ctx context.Context, due func()) {
	for c.parts.Cleaning.Clean != nil && ctx.Err() == nil {
		now := time.Now()
		sleep(ctx, c.parts.Cleaning.Schedule.Next(now).Sub(now))
		if ctx.Err() != nil {
			return
		}
		c.due <- struct{}{}
		due()
		select {
		case <-ctx.Done():
			return
		case cleaning := <-c.handed:
			c.clean(ctx, cleaning)
		}
	}
}

func (c *cleaner) clean(ctx context.Context, cleaning kargo.Cleaning) {
	nodes, err := measured(c.parts, "clean", func() ([]kargo.NodeReport, error) { return c.parts.Cleaning.Clean(ctx, cleaning) })
	cleaned := kargo.Cleaned{Time: time.Now(), Nodes: nodes}
	if err != nil {
		cleaned.Err = kargo.Explain(err)
		c.parts.Log.Warn("images were not cleaned", "error", err)
	}
	for _, node := range nodes {
		c.parts.Log.Info("images cleaned", "node", node.Node, "said", strings.ReplaceAll(node.Said, "\n", "; "), "error", node.Err)
	}
	c.board.change(func(s *kargo.Status) { s.Cleaned = &cleaned })
}

// cleaning returns what must stay when old images are removed; false while
// something is on its way, or where a good rendering cannot be read: a rollback
// might need what it names.
func (r *Reconciler) cleaning() (kargo.Cleaning, bool) {
	if r.view == nil || r.pace.unsettled() || r.record.open != nil {
		return kargo.Cleaning{}, false
	}
	stacks := r.view.stacks[:len(r.view.stacks):len(r.view.stacks)]
	for name, rollout := range r.memory.Rollouts {
		if rollout.Good == "" {
			continue
		}
		stack, err := r.parts.Store.Rendering(name, rollout.Good)
		if err != nil || stack == nil {
			r.parts.Log.Warn("images are not cleaned: a good rendering cannot be read", "stack", name, "error", err)
			return kargo.Cleaning{}, false
		}
		stacks = append(stacks, *stack)
	}
	cleaning := plan.Cleaning(r.sight.cluster, stacks, r.parts.Behavior.Instance, r.parts.Cleaning.Age)
	for _, images := range []map[string]kargo.Image{r.memory.Resolved.Images, r.memory.Resolved.Latest} {
		for _, image := range images {
			if image.Pinned != "" {
				cleaning.Keep = append(cleaning.Keep, image.Pinned)
			}
		}
	}
	return cleaning, true
}
