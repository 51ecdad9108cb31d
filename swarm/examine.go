package swarm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
)

// Examination is what a manager says about itself and the Swarm, for people who look
// for what is wrong.
type Examination struct {
	// NodesHidden: a proxy does not show the nodes, so that nothing is known of them.
	NodesHidden bool
	// Nodes is how many there are. Down, Drained and Paused name some of them.
	Nodes                 int
	Down, Drained, Paused []string
	// Managers is how many nodes are managers; Unreachable names those of them that
	// the leader does not reach.
	Managers    int
	Unreachable []string
	// Engines has the names of the nodes by the version of their engine.
	Engines map[string][]string
	// Behind is how much the engine's clock is behind this one; known only if the
	// engine says its time.
	Behind     time.Duration
	ClockKnown bool
}

// Examine asks the manager for the nodes, and for its clock. A proxy that does not let
// these through leaves them unknown.
func (c *Client) Examine(ctx context.Context) (Examination, error) {
	found := Examination{Engines: map[string][]string{}}
	nodes, err := call(ctx, c, "NodeList", func(ctx context.Context) ([]swarm.Node, error) {
		return c.api.NodeList(ctx, swarm.NodeListOptions{})
	})
	if found.NodesHidden = errdefs.IsPermissionDenied(err); err != nil && !found.NodesHidden {
		return found, fmt.Errorf("list nodes: %w", err)
	}
	found.Nodes = len(nodes)
	for _, node := range nodes {
		name := node.Description.Hostname
		if node.Status.State == swarm.NodeStateDown {
			found.Down = append(found.Down, name)
		}
		switch node.Spec.Availability {
		case swarm.NodeAvailabilityDrain:
			found.Drained = append(found.Drained, name)
		case swarm.NodeAvailabilityPause:
			found.Paused = append(found.Paused, name)
		case swarm.NodeAvailabilityActive:
		}
		if node.ManagerStatus != nil {
			found.Managers++
			if node.ManagerStatus.Reachability != swarm.ReachabilityReachable {
				found.Unreachable = append(found.Unreachable, name)
			}
		}
		if version := node.Description.Engine.EngineVersion; version != "" {
			found.Engines[version] = append(found.Engines[version], name)
		}
	}
	for _, names := range [][]string{found.Down, found.Drained, found.Paused, found.Unreachable} {
		slices.Sort(names)
	}
	asked := time.Now()
	info, err := call(ctx, c, "Info", func(ctx context.Context) (system.Info, error) { return c.api.Info(ctx) })
	if said, parseErr := time.Parse(time.RFC3339Nano, info.SystemTime); err == nil && parseErr == nil {
		found.Behind, found.ClockKnown = asked.Add(time.Since(asked)/2).Sub(said), true
	}
	return found, nil
}
