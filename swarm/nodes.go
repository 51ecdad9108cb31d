package swarm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Nodes returns the nodes of the Swarm with their whole specs, sorted by host name.
// It makes one call.
func (c *Client) Nodes(ctx context.Context) ([]kargo.LiveNode, error) {
	nodes, err := call(ctx, c, "NodeList", func(ctx context.Context) ([]swarm.Node, error) {
		return c.api.NodeList(ctx, swarm.NodeListOptions{})
	})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	live := make([]kargo.LiveNode, 0, len(nodes))
	for _, node := range nodes {
		c.names.put(nodeNames, node.ID, node.Description.Hostname)
		live = append(live, kargo.LiveNode{
			ID: node.ID, Hostname: node.Description.Hostname, Version: node.Version.Index, Spec: node.Spec,
			Down: node.Status.State == swarm.NodeStateDown, Addr: node.Status.Addr, Platform: node.Description.Platform,
			EngineLabels: node.Description.Engine.Labels, Resources: node.Description.Resources,
		})
	}
	slices.SortStableFunc(live, func(a, b kargo.LiveNode) int { return strings.Compare(a.Hostname, b.Hostname) })
	return live, nil
}

// updateNode writes the whole spec of a node, because Swarm takes no less. It undoes
// nothing: if somebody drained the node meanwhile, its version is another one and
// Swarm refuses the write.
func (w writer) updateNode(ctx context.Context, change kargo.Change) error {
	return w.write(ctx, "NodeUpdate", func(ctx context.Context) error {
		return w.api.NodeUpdate(ctx, change.ID, swarm.Version{Index: change.Version}, *change.Node)
	})
}
