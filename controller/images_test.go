package controller_test

import (
	"slices"
	"testing"
	"time"

	"kargo"
)

func TestAnImageThatNobodyHasTouchesNothing(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.swarm.images = map[string]kargo.Image{"b:2": {Missing: "manifest unknown"}}
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook github")
		w.wantWrites()
		held := "hold service kargo-web_two: there is no image b:2 (manifest unknown), so the stack stays as it is; " +
			"the registry is asked again later; to send the image without asking, set WEB_RESOLVE=never"
		w.wantHeld(held)
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added",
			"2 c2 by webhook github: failed, 0 changes, web changed ("+held+")")

		// It was pushed meanwhile.
		w.swarm.images["b:2"] = kargo.Image{Pinned: "b:2@sha256:22"}
		w.pass(6 * time.Minute)
		w.wantImages("a:2 b:2@sha256:22")
		w.wantHeld()
	})
}

func TestATagMeansOneThingAsLongAsTheRevisionStays(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.images = map[string]kargo.Image{"a:1": {Pinned: "a:1@sha256:11"}, "b:1": {Pinned: "b:1@sha256:11"}}
		w.swarm.fail = func(change kargo.Change) error {
			if change.Name == "kargo-web_two" && w.swarm.images["a:1"].Pinned == "a:1@sha256:11" {
				w.swarm.images = map[string]kargo.Image{"a:1": {Pinned: "a:1@sha256:22"}, "b:1": {Pinned: "b:1@sha256:22"}}
				return kargo.Errorf(kargo.Unavailable, "killed here")
			}
			return nil
		}
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.wantImages("a:1@sha256:11 b:1@sha256:11")
		if want := []string{"a:1", "b:1"}; !slices.Equal(w.swarm.asked, want) {
			t.Errorf("registries were asked for %q, want %q", w.swarm.asked, want)
		}
		last := w.records.deployments[0].Changes
		if got := last[len(last)-1].Image; got != "b:1@sha256:11" {
			t.Errorf("the history says that %q went out", got)
		}
	})
}

func TestAStackThatFollowsItsTags(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.images = map[string]kargo.Image{"a:1": {Pinned: "a:1@sha256:11"}, "b:1": {Pinned: "b:1@sha256:11"}}
		w.repo.commit("c1", pair("a:1", "b:1", "WEB_RESOLVE=always")...)
		w.start()
		w.wantImages("a:1@sha256:11 b:1@sha256:11")

		w.swarm.images["a:1"] = kargo.Image{Pinned: "a:1@sha256:22"}
		w.pass(6 * time.Minute)
		w.wantWrites(`update service kargo-web_one: TaskTemplate.ContainerSpec.Image: "a:1@sha256:11" -> "a:1@sha256:22"`)

		// What a tag has come to mean is judged as any other rendering.
		w.swarm.images["b:1"] = kargo.Image{Pinned: "b:1@sha256:33"}
		w.swarm.fate = pausing("b:1@sha256:33")
		w.pass(12 * time.Minute)
		w.wantWrites(`update service kargo-web_two: TaskTemplate.ContainerSpec.Image: "b:1@sha256:11" -> "b:1@sha256:33"`,
			`update service kargo-web_two: TaskTemplate.ContainerSpec.Image: "b:1@sha256:33" -> "b:1@sha256:11"`)
		w.wantImages("a:1@sha256:22 b:1@sha256:11")

		// A registry that is away undoes nothing, over a restart neither.
		w.swarm.images, w.swarm.fate = nil, nil
		w.stop()
		w.start()
		w.wantWrites()
		w.wantImages("a:1@sha256:22 b:1@sha256:11")
	})
}
