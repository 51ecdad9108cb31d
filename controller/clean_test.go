package controller_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"kargo"
	"kargo/controller"
)

// Old images are cleaned away at their time, and what a rollback needs is not:
// what runs, and the last good rendering of a stack that failed. While anything
// is on its way it waits.
func TestOldImagesAreCleanedWhenNothingIsOnItsWay(t *testing.T) {
	run(t, func(w *world) {
		var told []kargo.Cleaning
		w.parts.Cleaning.Schedule, w.parts.Cleaning.Age = controller.Every(time.Hour), time.Minute
		w.parts.Cleaning.Clean = func(_ context.Context, cleaning kargo.Cleaning) ([]kargo.NodeReport, error) {
			told = append(told, cleaning)
			return []kargo.NodeReport{{Node: "n1", Said: fmt.Sprintf("removed %d", len(told))}}, nil
		}
		w.swarm.images = map[string]kargo.Image{"a:1": {Pinned: "a:1@sha256:11"}, "b:1": {Pinned: "b:1@sha256:11"}, "b:2": {Pinned: "b:2@sha256:22"}}
		w.repo.commit("c1", pair("a:1", "b:1", "WEB_ON_FAILURE=hold")...)
		w.start()
		w.pass(59 * time.Minute)
		if len(told) != 0 {
			t.Fatalf("cleaned before its time: %+v", told)
		}
		w.swarm.fate = func(service *kargo.LiveService) { service.Running = 0 }
		w.repo.commit("c2", pair("a:1", "b:2", "WEB_ON_FAILURE=hold")...)
		w.nudge("webhook github")
		w.pass(5 * time.Minute)
		if len(told) != 0 {
			t.Fatalf("cleaned during a rollout: %+v", told)
		}
		w.pass(10 * time.Minute) // the rollout fails
		if len(told) != 1 {
			t.Fatalf("cleaned %d times", len(told))
		}
		for _, image := range []string{"a:1@sha256:11", "b:1@sha256:11", "b:2@sha256:22"} {
			if !slices.Contains(told[0].Keep, image) {
				t.Errorf("%s may go; what must stay is %q", image, told[0].Keep)
			}
		}
		if got := w.loop.Status().Cleaned; got == nil || len(got.Nodes) != 1 || got.Nodes[0].Said != "removed 1" {
			t.Errorf("status: %+v", got)
		}
	})
}
