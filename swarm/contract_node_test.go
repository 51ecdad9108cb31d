package swarm_test

import (
	"maps"
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
	{"constraints alone replace no task whose node meets them", func(t *testing.T, b *bed) {
		b.label(t, "ssd", "true")
		b.create(t, b.spec("one"))
		b.running(t, "one", 1)
		before := b.tasks(t, b.name("one"))[0].ID
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) {
			s.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"node.labels." + b.name("ssd") + " == true"}}
		})
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.Labels = map[string]string{"a": "1"} })
		b.running(t, "one", 1)
		tasks := b.tasks(t, b.name("one"))
		if status := b.inspect(t, "one").UpdateStatus; status != nil || len(tasks) != 1 || tasks[0].ID != before {
			t.Errorf("tasks %v, update status %+v", tasks, status)
		}
	}},
	{"a task is stopped on a node that no longer meets its constraints", func(t *testing.T, b *bed) {
		b.label(t, "disk", "fast")
		spec := b.spec("one")
		spec.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"node.labels." + b.name("disk") + " == fast"}}
		b.create(t, spec)
		b.running(t, "one", 1)
		b.label(t, "disk", "slow")
		var words string
		b.until(t, "another task waits", func() bool {
			waits := false
			for _, task := range b.tasks(t, b.name("one")) {
				if task.Status.State == dockerswarm.TaskStateRejected {
					words = task.Status.Err
				}
				waits = waits || task.Status.State == dockerswarm.TaskStatePending
			}
			return waits
		})
		same(t, "words", words, "assigned node no longer meets constraints")
	}},
}

// label gives the first node a label of the case's own.
func (b *bed) label(t *testing.T, key, value string) {
	t.Helper()
	b.until(t, "the node has its label", func() bool {
		node := b.firstNode(t) // other cases write to it, too
		spec := node.Spec
		spec.Labels = maps.Clone(spec.Labels)
		if spec.Labels == nil {
			spec.Labels = map[string]string{}
		}
		spec.Labels[b.name(key)] = value
		return b.api.NodeUpdate(t.Context(), node.ID, dockerswarm.Version{Index: node.Version}, spec) == nil
	})
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
