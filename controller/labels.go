package controller

import (
	"context"
	"reflect"

	"kargo"
	"kargo/compile"
	"kargo/plan"
)

// nodes reads the nodes where their labels matter: where a variable wants some,
// where this instance has left some, and once in a process to find that out.
// It answers nil where they do not.
func (c *Controller) nodes(ctx context.Context) ([]kargo.LiveNode, error) {
	wanted := len(c.desired.Labels) > 0
	if c.removing || c.unlabelled && !wanted {
		return nil, nil
	}
	nodes, err := c.Swarm.Nodes(ctx)
	if err != nil && !wanted {
		// A proxy before Docker's socket may not let it through.
		c.Log.Debug("cannot look for labels of nodes", "error", err)
		return nil, nil
	}
	c.unlabelled = err == nil && !plan.OwnsLabels(nodes, c.Instance)
	return nodes, err
}

// relabelled tells whether another revision wants other labels: its stacks
// alone do not show that something is to be done.
func (c *Controller) relabelled(next compile.Desired) bool {
	return c.desired != nil && !reflect.DeepEqual(c.desired.Labels, next.Labels)
}

// nodeStirred notes what an event says of a node. One that has joined may have
// labels to get.
func (c *Controller) nodeStirred(event kargo.Event) {
	if event.Kind == kargo.KindNode {
		c.nodesMoved.Store(true)
	}
}

// lookCloser makes the next look a full one where the services alone do not
// show what matters: a node has moved and labels are wanted, or tasks are to
// end.
func (c *Controller) lookCloser() {
	if c.nodesMoved.Swap(false) && len(c.desired.Labels) > 0 || c.removing {
		c.due.full = true
	}
}
