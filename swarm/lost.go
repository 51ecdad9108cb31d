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

// nodeLook reads the nodes at most once for one look at Swarm.
type nodeLook struct {
	client *Client
	read   bool
	nodes  []kargo.LiveNode
}

// down returns the host names of the nodes that are down, by id. It makes one call, and
// none if this look has read the nodes already. A proxy may not allow this call; then no
// node is known to be down.
func (l *nodeLook) down(ctx context.Context) (map[string]string, error) {
	if !l.read {
		nodes, err := l.client.Nodes(ctx)
		if err != nil && !errdefs.IsPermissionDenied(err) {
			return nil, err
		}
		l.nodes, l.read = nodes, true
	}
	down := map[string]string{}
	for _, node := range l.nodes {
		if node.Down {
			down[node.ID] = node.Hostname
		}
	}
	return down, nil
}

// countOutLost takes tasks out of Running whose node is down: Swarm goes on counting
// them as running, until the node is back or for a day. It makes no call while all
// nodes are up. It makes one if that is not known, and another one if a node is down.
func (l *nodeLook) countOutLost(ctx context.Context, services []kargo.LiveService) error {
	if !l.client.down.begin() {
		return nil
	}
	err := l.countOut(ctx, services)
	if err != nil {
		l.client.down.doubt()
	}
	return err
}

func (l *nodeLook) countOut(ctx context.Context, services []kargo.LiveService) error {
	down, err := l.down(ctx)
	if err != nil {
		return err
	}
	l.client.down.note(len(down) > 0)
	if len(down) == 0 {
		return nil
	}
	only := filters.NewArgs()
	for _, id := range slices.Sorted(maps.Keys(down)) {
		only.Add("node", id)
	}
	tasks, err := l.listTasks(ctx, only)
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

// markDown names the nodes that are down of tasks that are to be removed. It needs the
// nodes only if there is such a task that has not ended.
func (l *nodeLook) markDown(ctx context.Context, tasks []kargo.Task) error {
	ending := func(task kargo.Task) bool {
		return task.Desired == string(swarm.TaskStateRemove) && task.Node != "" && !task.Ended()
	}
	if !slices.ContainsFunc(tasks, ending) {
		return nil
	}
	down, err := l.down(ctx)
	if err != nil {
		return err
	}
	for i, task := range tasks {
		if ending(task) {
			tasks[i].NodeDown = down[task.Node]
		}
	}
	return nil
}
