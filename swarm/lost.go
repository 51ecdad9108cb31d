package swarm

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// downNodes says when the nodes are to be read for those that are down. It may be used
// from any goroutine.
type downNodes struct {
	mu sync.Mutex
	// read: no node has come or gone since the nodes were read. some: a node was down
	// then.
	read, some bool
}

// doubt notes that a node may have come or gone.
func (d *downNodes) doubt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read = false
}

// begin reports whether the nodes are to be read: for the first time, after an event
// of a node, and as long as a node is down.
func (d *downNodes) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	due := !d.read || d.some
	d.read = true
	return due
}

func (d *downNodes) note(some bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.some = some
}

// countOutLost takes tasks out of Running whose node is down: Swarm goes on counting
// them as running, until the node is back or for a day. It makes no call while all
// nodes are up. It makes one if that is not known, and another one if a node is down.
func (c *Client) countOutLost(ctx context.Context, services []kargo.LiveService) error {
	if !c.down.begin() {
		return nil
	}
	err := c.countOut(ctx, services)
	if err != nil {
		c.down.doubt()
	}
	return err
}

func (c *Client) countOut(ctx context.Context, services []kargo.LiveService) error {
	nodes, err := c.Nodes(ctx)
	if errdefs.IsPermissionDenied(err) {
		c.down.note(false)
		return nil // a proxy may not allow this call; then Swarm's count has to do
	}
	if err != nil {
		return err
	}
	down := map[string]string{}
	for _, node := range nodes {
		if node.Down {
			down[node.ID] = node.Hostname
		}
	}
	c.down.note(len(down) > 0)
	if len(down) == 0 {
		return nil
	}
	only := filters.NewArgs()
	for _, id := range slices.Sorted(maps.Keys(down)) {
		only.Add("node", id)
	}
	tasks, err := c.listTasks(ctx, only)
	if err != nil {
		return err
	}
	lost := map[string]map[string]uint64{}
	for _, task := range tasks {
		if task.State == string(swarm.TaskStateRunning) {
			if lost[task.Service] == nil {
				lost[task.Service] = map[string]uint64{}
			}
			lost[task.Service][down[task.Node]]++
		}
	}
	for i, service := range services {
		services[i].Lost = lost[service.Name]
		for _, count := range lost[service.Name] {
			services[i].Running -= min(count, services[i].Running)
		}
	}
	return nil
}
