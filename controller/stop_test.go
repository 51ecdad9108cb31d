package controller_test

import (
	"strings"
	"testing"
	"time"

	"kargo"
)

var ada = kargo.Person{Name: "ada", From: "192.0.2.7"}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestARollbackStaysUntilItIsReleased(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.pass(time.Minute)
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook github")
		w.pass(time.Minute)
		w.wantImages("a:2 b:2")

		preview, err := w.loop.PreviewRollback(w.t.Context(), "web", kargo.BackTo{})
		w.must(err)
		if !strings.Contains(preview.Plan.String(), `"a:2" -> "a:1"`) {
			t.Errorf("the plan of the rollback:\n%s", preview.Plan)
		}
		w.wantImages("a:2 b:2")

		w.after(func() {
			w.must(w.loop.Rollback(w.t.Context(), "web", kargo.BackTo{Start: "c1"}, kargo.Stop{By: ada, Why: "orders fail"}))
		})
		w.wantImages("a:1 b:1")
		stack := w.loop.Status().Stacks[0]
		if stack.Revision != "c1" || stack.Wanted != "c2" || stack.Stop == nil || stack.Health != kargo.HealthHealthy || stack.State() != kargo.StackHeld {
			t.Errorf("status of the stack: %+v", stack)
		}
		w.wantHeld("hold stack web: went back to c1 by ada (192.0.2.7): orders fail; `kargo release web` ends it")

		// Neither a new commit, nor time, nor a restart ends it; drift is corrected.
		w.repo.commit("c3", pair("a:3", "b:3")...)
		w.nudge("webhook github")
		w.pass(30 * time.Minute)
		w.stop()
		w.start()
		w.wantImages("a:1 b:1")
		w.swarm.scaleByHand("kargo-web_one", 3)
		w.event("service update kargo-web_one")
		w.wantWrites("update service kargo-web_one: Mode.Replicated.Replicas: 3 -> 1")

		w.after(func() { w.must(w.loop.Release(w.t.Context(), "web", ada, "fixed")) })
		w.wantImages("a:3 b:3")
		w.wantHeld()
		if stack := w.loop.Status().Stacks[0]; stack.Revision != "c3" || stack.Wanted != "" || stack.Stop != nil {
			t.Errorf("status after the release: %+v", stack)
		}
	})
}

func TestAHeldStackIsNotTouchedUntilItsTimeHasCome(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		w.pass(time.Minute)
		until := time.Now().Add(2 * time.Hour)
		w.after(func() { w.must(w.loop.Hold(w.t.Context(), "web", kargo.Stop{By: ada, Why: "sale", Until: until})) })
		w.repo.commit("c2", overriding("app:2", app("app:1", "web", "dbs"))...)
		w.nudge("webhook github")
		w.wantWrites()
		w.wantHeld(`hold service kargo-web_web: held by ada (192.0.2.7) until ` + until.UTC().Format(time.RFC3339) +
			`: sale; it would be updated: image "app:1" → "app:2"`)
		if stack := w.loop.Status().Stacks[0]; stack.Revision != "c1" || stack.Wanted != "c2" || stack.State() != kargo.StackHeld {
			t.Errorf("status of the stack: %+v", stack)
		}

		w.pass(2 * time.Hour)
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)
		w.wantHeld()
	})
}

func TestASuspendedLoopStillLooks(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		w.after(func() { w.must(w.loop.Suspend(w.t.Context(), kargo.Stop{By: ada, Why: "network"})) })
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("webhook github")
		w.wantWrites()
		status := w.loop.Status()
		if status.Suspended == nil || status.Head.Commit != "c2" || len(status.Pending.Held) < 2 ||
			!strings.HasPrefix(status.Sentence(), "suspended by ada (192.0.2.7): network; ") {
			t.Errorf("status: %s, pending %v", status.Sentence(), status.Pending.Held)
		}
		if err := w.loop.Release(w.t.Context(), "web", ada, ""); err == nil {
			t.Error("a stack that nobody holds was released")
		}
		w.after(func() { w.must(w.loop.Resume(w.t.Context(), ada, "")) })
		if got := w.swarm.services["kargo-web_web"].Image; got != "app:2" || w.loop.Status().Suspended != nil {
			t.Errorf("after the resumption %s runs", got)
		}
	})
}

// A decision that cannot be recorded is reported as failed, so it is not in force.
func TestADecisionThatIsNotRecordedIsNotInForce(t *testing.T) {
	run(t, func(w *world) {
		f := &faults{failing: map[string]int{}}
		w.parts.Store = faultyStore{w.records, f}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.pass(time.Minute)
		for _, effect := range []string{"Store.Begin", "Store.Record"} {
			f.plan(effect, 1)
			w.after(func() {
				if err := w.loop.Hold(w.t.Context(), "web", kargo.Stop{By: ada}); err == nil {
					t.Errorf("%s fails, and the hold does not", effect)
				}
			})
			f.plan(effect, 1)
			w.after(func() {
				if err := w.loop.Suspend(w.t.Context(), kargo.Stop{By: ada}); err == nil {
					t.Errorf("%s fails, and the suspension does not", effect)
				}
			})
			w.rest(time.Minute)
		}
		if status := w.loop.Status(); status.Suspended != nil || status.Stacks[0].Stop != nil {
			t.Errorf("in force are %v and %v", status.Suspended, status.Stacks[0].Stop)
		}
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("webhook github")
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)
	})
}

// The stop of a stack that the workspace does not have any more ends like any other.
func TestTheStopOfARemovedStackEnds(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs", "other")...)
		w.start()
		w.pass(time.Minute)
		until := time.Now().Add(2 * time.Hour)
		w.after(func() { w.must(w.loop.Hold(w.t.Context(), "web", kargo.Stop{By: ada, Why: "sale", Until: until})) })
		w.after(func() { w.must(w.loop.Hold(w.t.Context(), "dbs", kargo.Stop{By: ada, Why: "copy"})) })
		w.repo.commit("c2", app("app:1", "other")...)
		w.nudge("webhook github")
		w.pass(time.Hour)
		w.after(func() { w.must(w.loop.Release(w.t.Context(), "dbs", ada, "copied")) })
		w.pass(2 * time.Hour)
		if status := w.loop.Status(); status.Fault != "" {
			t.Errorf("%s: %s", status.Fault, status.Message)
		}
		for name := range w.swarm.services {
			if !strings.HasPrefix(name, "kargo-other_") {
				t.Errorf("%s still runs", name)
			}
		}
	})
}

// Asking twice for the rendering before must not lead back to the one that somebody left;
// all stacks go back to a deployment together.
func TestGoingBackTwiceStays(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.pass(time.Minute)
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook github")
		w.pass(time.Minute)
		w.after(func() { w.must(w.loop.Rollback(w.t.Context(), "web", kargo.BackTo{}, kargo.Stop{By: ada})) })
		w.wantImages("a:1 b:1")
		w.pass(time.Minute)

		err := w.loop.Rollback(w.t.Context(), "web", kargo.BackTo{}, kargo.Stop{By: ada})
		if kargo.FaultOf(err) != kargo.Invalid || !strings.Contains(err.Error(), "went back to c1") {
			t.Errorf("going back again: %v", err)
		}
		w.pass(time.Minute)
		w.wantImages("a:1 b:1")

		digest := w.loop.Status().Stacks[0].Digest
		w.after(func() { w.must(w.loop.Release(w.t.Context(), "web", ada, "")) })
		w.wantImages("a:2 b:2")
		other := w.loop.Status().Stacks[0].Digest
		if other == digest {
			t.Fatal("both renderings have one digest")
		}
		w.after(func() {
			w.must(w.loop.Rollback(w.t.Context(), "all", kargo.BackTo{Digests: map[string]string{"web": digest}}, kargo.Stop{By: ada}))
		})
		w.wantImages("a:1 b:1")
		if err := w.loop.Rollback(w.t.Context(), "web", kargo.BackTo{Digests: map[string]string{"other": digest}}, kargo.Stop{By: ada}); kargo.FaultOf(err) != kargo.Invalid {
			t.Errorf("a deployment without the stack: %v", err)
		}
	})
}
