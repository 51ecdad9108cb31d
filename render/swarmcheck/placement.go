package swarmcheck

import (
	"github.com/docker/docker/api/types/swarm"
	"github.com/moby/swarmkit/v2/api"
	"github.com/moby/swarmkit/v2/manager/constraint"

	"kargo"
)

// Satisfies reports whether a node satisfies all constraints, as Swarm's scheduler
// decides it. Constraints that Swarm cannot parse are refused elsewhere: every node
// satisfies them here.
func Satisfies(node kargo.LiveNode, constraints []string) bool {
	parsed, err := constraint.Parse(constraints)
	if err != nil {
		return true
	}
	role := api.NodeRoleWorker
	if node.Spec.Role == swarm.NodeRoleManager {
		role = api.NodeRoleManager
	}
	return constraint.NodeMatches(parsed, &api.Node{
		ID:   node.ID,
		Role: role,
		Spec: api.NodeSpec{Annotations: api.Annotations{Labels: node.Spec.Labels}},
		Description: &api.NodeDescription{
			Hostname: node.Hostname,
			Platform: &api.Platform{OS: node.Platform.OS, Architecture: node.Platform.Architecture},
			Engine:   &api.EngineDescription{Labels: node.EngineLabels},
		},
		Status: api.NodeStatus{Addr: node.Addr},
	})
}
