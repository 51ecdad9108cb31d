package swarm_test

import (
	"strings"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// nodeContracts are about nodes. Cases share them, so each has a label of its
// own.
var nodeContracts = []contract{
	{"labels of a node are written with its version, and nothing else changes", func(t *testing.T, b *bed) {
		key := strings.TrimSuffix(b.name("zone"), "-")
		before := b.firstNode(t)
		relabel := func(node kargo.LiveNode, value string) kargo.Change {
			spec := node.Spec
			spec.Labels = map[string]string{}
			for name, value := range node.Spec.Labels {
				spec.Labels[name] = value
			}
			spec.Labels[key] = value
			return kargo.Change{Action: kargo.Update, Kind: kargo.KindNode, Name: "node", ID: node.ID, Version: node.Version, Node: &spec}
		}
		same(t, "the first write", b.apply(t, relabel(before, "a")), "update node node: ok")
		after := b.firstNode(t)
		same(t, "the label", after.Spec.Labels[key], "a")
		if after.Spec.Role != before.Spec.Role || after.Spec.Availability != before.Spec.Availability || after.Version == before.Version {
			t.Errorf("the node was %+v and is %+v", before, after)
		}
		same(t, "a write over an old look", b.apply(t, relabel(before, "b")),
			"update node node: conflict: update node node: update out of sequence\n= conflict")
		same(t, "the label then", b.firstNode(t).Spec.Labels[key], "a")
	}},
}

// firstNode is the node that the host name of the manager leads to.
func (b *bed) firstNode(t *testing.T) kargo.LiveNode {
	t.Helper()
	nodes, err := b.client.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		if node.Spec.Role == dockerswarm.NodeRoleManager && node.Hostname != "" {
			return node
		}
	}
	t.Fatalf("none of %d nodes is a manager", len(nodes))
	return kargo.LiveNode{}
}
