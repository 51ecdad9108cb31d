package controller_test

import (
	"testing"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
)

// labelling is a workspace with a variable beside its stack.
func labelling(variable string) []string {
	files := app("app:1", "web")
	files[0] += variable + "\n"
	return files
}

func (w *world) addNode(name string) {
	w.swarm.nodes = append(w.swarm.nodes, kargo.LiveNode{ID: name, Hostname: name, Spec: dockerswarm.NodeSpec{
		Annotations: dockerswarm.Annotations{Labels: map[string]string{"rack": "7"}},
	}})
}

func TestARevisionMayChangeLabelsAlone(t *testing.T) {
	run(t, func(w *world) {
		w.addNode("worker-0")
		w.repo.commit("c1", labelling("")...)
		w.start()
		w.repo.commit("c2", labelling("WORKER_0_LABELS=zone=a")...)
		w.nudge("webhook github")
		w.wantWrites(`update node worker-0: labels: zone: (none) -> "a"`)
		w.repo.commit("c3", labelling("")...)
		w.nudge("webhook github")
		w.wantWrites(`update node worker-0: labels: zone: "a" -> (none)`)
		if got := w.swarm.nodes[0].Spec.Labels; len(got) != 1 || got["rack"] != "7" {
			t.Errorf("labels left are %v", got)
		}
	})
}

func TestANodeThatJoinsGetsItsLabels(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", labelling("WORKER_0_LABELS=zone=a")...)
		w.start()
		w.addNode("worker-0")
		w.event("node create worker-0")
		w.wantWrites(`update node worker-0: labels: zone: (none) -> "a"`)
	})
}

func TestNodesAreLeftAloneWithoutLabels(t *testing.T) {
	run(t, func(w *world) {
		w.addNode("worker-0")
		w.repo.commit("c1", labelling("")...)
		w.start()
		w.event("node update worker-0")
		w.pass(10 * time.Minute)
		for _, call := range w.swarm.calls {
			if call == "nodes" {
				t.Error("nodes were read, though no revision ever wanted labels")
			}
		}
	})
}
