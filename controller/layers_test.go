package controller_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"kargo"
	"kargo/compile"
)

// layer puts a shared layer below the workspace.
func (w *world) layer(name string) *repository {
	w.t.Helper()
	layer := &repository{baton: w.repo.baton, commits: map[string]fstest.MapFS{}}
	source, err := compile.NewLayers(w.repo, compile.SharedLayer{Name: name, Repository: layer})
	if err != nil {
		w.t.Fatal(err)
	}
	w.parts.Source = source
	return layer
}

// layered is a workspace whose one service lies in the shared layer.
func layered(w *world) (base *repository) {
	base = w.layer("base")
	base.commit("b1", ".env=IMAGE=app:1", "deploy/web.yml=services: {web: {image: '${IMAGE}'}}")
	w.repo.commit("u1", ".env=STACKS=web\nWEB_STACK=web\n")
	return base
}

func TestNewCommitOfALayerIsANewRevision(t *testing.T) {
	run(t, func(w *world) {
		base := layered(w)
		w.start()
		base.commit("b2", ".env=IMAGE=app:2", "deploy/web.yml=services: {web: {image: '${IMAGE}'}}")
		w.nudge("sync")
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)
		status := w.loop.Status()
		if got := status.Applied.String(); got != "main@u1 + base main@b2" {
			t.Errorf("in force is %s", got)
		}
		if got := status.Stacks[0].Revision; got != "u1+base@b2" {
			t.Errorf("the stack was changed by %s", got)
		}
		w.pass(2 * time.Minute)
		w.wantCalls() // the same commits are the same revision
		if !slices.Contains(base.protected, "b2") || !slices.Contains(w.repo.protected, "u1") {
			t.Errorf("protected are %v and %v", w.repo.protected, base.protected)
		}
	})
}

func TestLayerOutOfReachLeavesTheLastGoodRevision(t *testing.T) {
	run(t, func(w *world) {
		base := layered(w)
		w.start()
		base.err = kargo.Errorf(kargo.Unavailable, "no route to host")
		w.repo.commit("u2", ".env=STACKS=web\nWEB_STACK=web\nIMAGE=app:3\n")
		w.nudge("sync")
		w.wantWrites()
		status := w.loop.Status()
		if status.Fault != "unavailable" || !strings.Contains(status.Message, "layer base: no route to host") || status.Applied.Commit != "u1" {
			t.Errorf("fault %s, %s, in force %s", status.Fault, status.Message, status.Applied)
		}
		w.swarm.scaleByHand("kargo-web_web", 5)
		w.event("service update kargo-web_web")
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 5 -> 1")
	})
}

func TestRestartReadsTheSameCommits(t *testing.T) {
	run(t, func(w *world) {
		base := layered(w)
		w.start()
		w.stop()
		base.commit("b2", ".env=IMAGE=app:2", "deploy/web.yml=services: {web: {image: '${IMAGE}'}}")
		base.err = kargo.Errorf(kargo.Unavailable, "no route to host")
		w.start()
		w.wantWrites()
		if got := w.loop.Status().Applied.Short(); got != "u1+base@b1" {
			t.Errorf("in force is %s", got)
		}
	})
}

func TestOtherLayersThanBefore(t *testing.T) {
	run(t, func(w *world) {
		layered(w)
		w.start()
		w.stop()
		w.parts.Source = compile.Layers{User: w.repo} // without the layer
		w.repo.commit("u2", ".env=STACKS=web\nWEB_STACK=web\n", "deploy/web.yml=services: {web: {image: 'own:1'}}")
		w.start()
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "own:1"`)
	})
}
