package controller_test

import (
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/permit"
)

// policy restarts the controller with another policy.
func (w *world) policy(name string) {
	w.t.Helper()
	w.stop()
	policy, err := permit.New(name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.parts.Compiler.Policy = policy
	w.start()
}

const binding = "deploy/pair.yml=services: {one: {image: 'a:1', networks: [back], volumes: ['/etc:/etc']}, two: {image: 'b:1', networks: [back]}}\n" +
	"networks: {back: {external: true, name: kargo-back}}\n"

// A creation and an update are judged alike, and what is refused leaves what is
// in force alone.
func TestS36_CreationAndUpdateAreJudgedAlike(t *testing.T) {
	run(t, func(w *world) {
		files := pair("a:1", "b:1")
		w.repo.commit("c1", append(files, binding)...)
		w.policy(permit.Baseline)
		w.wantWrites()
		created := w.loop.Status().Message

		w.repo.commit("c2", files...)
		w.nudge("sync")
		w.wantImages("a:1 b:1")
		w.repo.commit("c3", append(files, binding)...)
		w.nudge("sync")
		w.wantWrites()
		updated := w.loop.Status().Message
		const want = "deploy/pair.yml:1: service kargo-web_one mounts the node's /etc, which rule bind-mounts of policy baseline"
		if !strings.Contains(created, want) || !strings.Contains(updated, want) {
			t.Errorf("creation: %s\nupdate: %s", created, updated)
		}
	})
}

// A rendering that was good under another policy is not what a failed one is
// rolled back to.
func TestS36_RollbackKeepsThePolicy(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", append(pair("a:1", "b:1"), binding)...)
		w.start()
		w.wantImages("a:1 b:1")

		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.policy(permit.Baseline)
		w.wantImages("a:2 b:2")
		w.wantHeld("hold stack web: the rendering of c2 failed: kargo-web_two: update paused due to failure; nothing is done until the workspace changes, or `kargo retry web`")
	})
}

// A volume that somebody else made is not taken for the stack's own, where its author
// and the operator differ. One of this instance is, and one that a service mounts
// already. Where everything is permitted nobody asks.
func TestS42_VolumesOfOthersAreNotReused(t *testing.T) {
	const mounting = "deploy/pair.yml=services: {one: {image: 'a:1', networks: [back], volumes: ['data:/data']}, two: {image: 'b:1', networks: [back]}}\n" +
		"networks: {back: {external: true, name: kargo-back}}\nvolumes: {data: {}}\n"
	asks := func(w *world) bool { return slices.Contains(w.swarm.calls, "volumes") }
	run(t, func(w *world) {
		w.swarm.volumes = []kargo.LiveVolume{{Name: "kargo-web_data"}}
		w.repo.commit("c1", append(pair("a:1", "b:1"), mounting)...)
		w.policy(permit.Restricted)
		w.wantHeld("hold service kargo-web_one: mounts the volume kargo-web_data, which exists on the manager and was not made by this instance, which rule external-volumes of policy restricted does not permit")

		w.swarm.volumes[0].Labels = map[string]string{kargo.LabelInstance: "test"}
		w.nudge("retry")
		w.wantImages("a:1 b:1")
		w.swarm.volumes[0].Labels = nil // it is mounted already
		w.repo.commit("c2", append(pair("a:2", "b:1"), strings.Replace(mounting, "a:1", "a:2", 1))...)
		w.nudge("sync")
		w.wantImages("a:2 b:1")
		if !asks(w) {
			t.Error("nobody asked for volumes")
		}
	})
	run(t, func(w *world) {
		w.swarm.volumes = []kargo.LiveVolume{{Name: "kargo-web_data"}}
		w.repo.commit("c1", append(pair("a:1", "b:1"), mounting)...)
		w.start()
		w.wantImages("a:1 b:1")
		if asks(w) {
			t.Error("volumes are asked for where everything is permitted")
		}
	})
}
