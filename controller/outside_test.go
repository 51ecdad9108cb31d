package controller_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm/swarmtest"
)

// What happens to a task is not what its software does: it counts against no
// rendering, and when the cause is gone the rollout goes on by itself.

func TestARegistryThatIsAwayDelaysARollout(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		next := fine
		next.one = "missing:1" // its registry is away, and no node has it
		m.push(next)
		if got, want := m.runningImages(), fine.want(); got != want {
			t.Errorf("while the registry is away %s run, want %s", got, want)
		}
		failure := m.loop.Status().Stacks[0].Failure
		if failure == nil || failure.Cause != kargo.CauseImage || failure.Again.IsZero() {
			t.Fatalf("the failure is %+v", failure)
		}
		before := len(m.engine.Writes())
		m.live(1200)
		if writes := m.engine.Writes()[before:]; len(writes) > 0 {
			t.Errorf("while the registry is away Kargo wrote %q", writes)
		}
		m.engine.Image("missing:1", swarmtest.Behaviour{})
		m.live(3700)
		if got, want := m.runningImages(), next.want(); got != want {
			t.Errorf("after the registry came back %s run, want %s", got, want)
		}
		if failure := m.loop.Status().Stacks[0].Failure; failure != nil {
			t.Errorf("the rendering is said to have failed: %s", failure.Reason)
		}
	})
}

func TestANodeThatFitsNothingDelaysARollout(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		m.repo.commit("c0", fine.files()...)
		m.begin()
		m.push(fine)
		next := fine
		next.constraint = "node.labels.ssd == true"
		m.push(next)
		if held := m.loop.Status().Pending.Held; len(held) != 1 || !strings.Contains(held[0].Reason, "runs instead until a node changes") {
			t.Errorf("held: %v", held)
		}
		m.node("node-1", func(spec *dockerswarm.NodeSpec) { spec.Labels = map[string]string{"ssd": "true"} })
		m.live(150)
		if failure := m.loop.Status().Stacks[0].Failure; failure != nil {
			t.Errorf("with a node that fits the rendering has failed: %s", failure.Reason)
		}
		if got, want := m.runningImages(), next.want(); got != want {
			t.Errorf("with a node that fits %s run, want %s", got, want)
		}
	})
}

// An operator drains a node in the middle of a rollout, and Swarm pauses the update.
func TestADrainedNodeInterruptsARollout(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		slow := fine
		slow.replicas = 4
		m.repo.commit("c0", slow.files()...)
		m.begin()
		m.push(slow)
		next := slow
		next.one = "app:2"
		m.pushes, m.last = m.pushes+1, next
		m.repo.commit("c2", next.files()...)
		m.loop.Nudge("webhook test")
		m.live(4)
		m.node(m.nodeOf("app:2"), func(spec *dockerswarm.NodeSpec) { spec.Availability = dockerswarm.NodeAvailabilityDrain })
		m.live(150)
		if got, want := m.runningImages(), next.want(); got != want {
			t.Errorf("%s run, want %s", got, want)
		}
		status := m.loop.Status().Stacks[0]
		if status.Failure != nil || status.Health != kargo.HealthHealthy {
			t.Errorf("the stack is %s, failure %+v", status.Health, status.Failure)
		}
		newest := m.records.deployments[len(m.records.deployments)-1]
		if !slices.ContainsFunc(newest.Changes, func(c kargo.Change) bool { return strings.HasPrefix(c.Reason, "its update was interrupted") }) {
			t.Errorf("the update was not interrupted: %v", newest.Changes)
		}
		if newest.Outcome != kargo.OutcomeSucceeded {
			t.Errorf("the deployment %s: %s", newest.Outcome, newest.Err)
		}
	}, swarmtest.Nodes("one", "two"))
}

// nodeOf returns the node on which a task of an image is.
func (m *matrix) nodeOf(image string) string {
	m.t.Helper()
	tasks, err := m.api.TaskList(m.t.Context(), dockerswarm.TaskListOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, task := range tasks {
		if task.NodeID != "" && strings.HasPrefix(task.Spec.ContainerSpec.Image, image) {
			return task.NodeID
		}
	}
	m.t.Fatalf("no task of %s has a node", image)
	return ""
}

// node changes a node, by name or id, as `docker node update` does.
func (m *matrix) node(name string, change func(*dockerswarm.NodeSpec)) {
	m.t.Helper()
	nodes, err := m.api.NodeList(m.t.Context(), dockerswarm.NodeListOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, node := range nodes {
		if node.Description.Hostname == name || node.ID == name {
			change(&node.Spec)
			err = m.api.NodeUpdate(m.t.Context(), node.ID, node.Version, node.Spec)
		}
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// Somebody's container on a network of a stack that leaves keeps that network. Kargo tries
// its removal again at each verification. That is one entry of the history and one message,
// however long the container stays.
func TestARemovalThatIsTriedAgainIsOneDeployment(t *testing.T) {
	inMatrix(t, func(m *matrix) {
		var told atomic.Int64
		m.parts.Effects.Notify = func(context.Context, kargo.Deployment) { told.Add(1) }
		with := []string{
			".env=STACKS='dbs lab'\nDBS_STACK=db\nLAB_STACK=probe\n",
			"deploy/db.yml=services: {db: {image: 'app:1'}}\n",
			"deploy/probe.yml=services: {probe: {image: 'app:1', networks: [wire]}}\nnetworks: {wire: {attachable: true}}\n",
		}
		m.repo.commit("c0", with...)
		m.begin()
		m.live(60)
		m.engine.Attach("kargo-lab_wire", "debugger")
		m.repo.commit("c1", ".env=STACKS=dbs\nDBS_STACK=db\n", with[1])
		m.loop.Nudge("test")
		m.live(120)
		before := told.Load()
		m.live(3600)
		if !m.hasNetwork("kargo-lab_wire") {
			t.Fatal("the network is gone although a container is on it")
		}
		if times := told.Load() - before; times > 1 {
			t.Errorf("in an hour people were told %d times", times)
		}
		newest := m.records.deployments[len(m.records.deployments)-1]
		if newest.Number > 3 || len(newest.Changes) > 0 || newest.Finished.IsZero() {
			t.Errorf("after an hour of attempts deployment %d %s with changes %v", newest.Number, newest.Outcome, newest.Changes)
		}
		m.engine.Detach("kargo-lab_wire", "debugger")
		m.live(600)
		last := m.records.deployments[len(m.records.deployments)-1]
		if last.Number != newest.Number || len(last.Changes) != 1 || last.Outcome != kargo.OutcomeSucceeded {
			t.Errorf("deployment %d %s with changes %v, want the removal in deployment %d", last.Number, last.Outcome, last.Changes, newest.Number)
		}
	})
}

func (m *matrix) hasNetwork(name string) bool {
	m.t.Helper()
	_, err := m.api.NetworkInspect(m.t.Context(), name, network.InspectOptions{})
	return err == nil
}
