package plan_test

import (
	"maps"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

func node(name string, labels ...string) kargo.LiveNode {
	n := kargo.LiveNode{ID: "id-" + name, Hostname: name, Version: 3, Spec: swarm.NodeSpec{Role: swarm.NodeRoleWorker, Availability: swarm.NodeAvailabilityDrain}}
	n.Spec.Labels = pairs(labels...)
	return n
}

// pairs makes a map of keys and values in turn.
func pairs(list ...string) map[string]string {
	made := map[string]string{}
	for i := 0; i < len(list); i += 2 {
		made[list[i]] = list[i+1]
	}
	return made
}

func variable(name string, labels ...string) kargo.NodeLabels {
	return kargo.NodeLabels{Variable: name, Where: kargo.Place{File: ".env", Line: 3}, Labels: pairs(labels...)}
}

func TestNodeLabels(t *testing.T) {
	const ours = kargo.LabelNodeLabels + "test"
	for _, test := range []struct {
		name   string
		nodes  []kargo.LiveNode
		wanted []kargo.NodeLabels
		want   string
		left   map[string]string // of the first node, once the plan is carried out
	}{
		{
			name:   "a label is added beside those of others",
			nodes:  []kargo.LiveNode{node("worker-0", "rack", "7")},
			wanted: []kargo.NodeLabels{variable("WORKER_0_LABELS", "zone", "a", "redis", "true")},
			want:   "update node worker-0: labels: redis: (none) -> \"true\"; zone: (none) -> \"a\"\n",
			left:   pairs("rack", "7", "redis", "true", "zone", "a", ours, "redis zone"),
		},
		{
			name:   "once it is there nothing is to be done",
			nodes:  []kargo.LiveNode{node("worker-0", "rack", "7", "zone", "a", ours, "zone")},
			wanted: []kargo.NodeLabels{variable("WORKER_0_LABELS", "zone", "a")},
			want:   "nothing to do\n",
		},
		{
			name:   "a value that is the beginning of another is another",
			nodes:  []kargo.LiveNode{node("worker-0", "a", "10", ours, "a")},
			wanted: []kargo.NodeLabels{variable("WORKER_0_LABELS", "a", "1")},
			want:   "update node worker-0: labels: a: \"10\" -> \"1\"\n",
			left:   pairs("a", "1", ours, "a"),
		},
		{
			name:  "a label of Kargo is removed when no variable names it, other labels stay",
			nodes: []kargo.LiveNode{node("worker-0", "rack", "7", "zone", "a", ours, "zone")},
			want:  "update node worker-0: labels: zone: \"a\" -> (none)\n",
			left:  pairs("rack", "7"),
		},
		{
			name:   "a label that somebody else set to the wanted value stays theirs",
			nodes:  []kargo.LiveNode{node("worker-0", "zone", "a")},
			wanted: []kargo.NodeLabels{variable("WORKER_0_LABELS", "zone", "a")},
			want:   "nothing to do\n",
		},
		{
			name:   "a label that somebody else set is not changed",
			nodes:  []kargo.LiveNode{node("worker-0", "zone", "b")},
			wanted: []kargo.NodeLabels{variable("WORKER_0_LABELS", "zone", "a", "rack", "7")},
			want:   "hold node worker-0: label zone exists and is not Kargo's; to let Kargo manage it, remove it: docker node update --label-rm zone worker-0\n",
		},
		{
			name:   "a label of another instance is not changed",
			nodes:  []kargo.LiveNode{node("worker-0", "zone", "b", kargo.LabelNodeLabels+"other", "zone")},
			wanted: []kargo.NodeLabels{variable("WORKER_0_LABELS", "zone", "a")},
			want:   "hold node worker-0: label zone belongs to the Kargo instance other\n",
		},
		{
			name:   "the plan names nodes that share a variable",
			nodes:  []kargo.LiveNode{node("worker-0"), node("worker.0", "zone", "a", ours, "zone")},
			wanted: []kargo.NodeLabels{variable("WORKER_0_LABELS", "zone", "a")},
			want:   "update node worker-0: labels: zone: (none) -> \"a\" (WORKER_0_LABELS sets the labels of worker-0 and worker.0)\n",
		},
		{
			name:   "a variable without a node is held",
			nodes:  []kargo.LiveNode{node("worker-0")},
			wanted: []kargo.NodeLabels{variable("WORKER_9_LABELS", "zone", "a"), variable("WORKER_8_LABELS")},
			want:   "hold node WORKER_9: WORKER_9_LABELS (.env:3) is for a node of that name, and no node has it\n",
		},
		{
			name:   "nothing is planned for nodes that were not read",
			wanted: []kargo.NodeLabels{variable("WORKER_9_LABELS", "zone", "a")},
			want:   "nothing to do\n",
		},
		{
			name:   "secret values show as digests",
			nodes:  []kargo.LiveNode{node("n1")},
			wanted: []kargo.NodeLabels{variable("N1_LABELS", "api_token", "hunter22")},
			want:   "update node n1: labels: api_token: (none) -> \"***6699cab6\"\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := options()
			opts.Labels = test.wanted
			got := plan.Make(nil, kargo.Cluster{Nodes: test.nodes}, opts)
			check(t, got, test.want)
			if test.left == nil || len(got.Changes) == 0 {
				return
			}
			sent := got.Changes[0].Node
			if !maps.Equal(sent.Labels, test.left) {
				t.Errorf("labels left are %v, want %v", sent.Labels, test.left)
			}
			if sent.Availability != swarm.NodeAvailabilityDrain || sent.Role != swarm.NodeRoleWorker || got.Changes[0].Version != 3 {
				t.Errorf("more than labels changes: %+v", got.Changes[0])
			}
			test.nodes[0].Spec = *sent
			check(t, plan.Make(nil, kargo.Cluster{Nodes: test.nodes}, opts), "nothing to do\n")
		})
	}
}
