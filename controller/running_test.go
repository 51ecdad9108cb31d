package controller_test

import (
	"testing"
	"time"

	"kargo"
)

func TestAStackThatWentBackSaysWhichRevisionRuns(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook github")
		w.wantImages("a:1 b:1")
		if stack := w.loop.Status().Stacks[0]; stack.Revision != "c1" || stack.Wanted != "c2" {
			t.Errorf("%s runs and %s is wanted, want c1 and c2", stack.Revision, stack.Wanted)
		}

		w.swarm.fate = nil
		w.after(func() { w.loop.Retry("web", kargo.Person{}) })
		if stack := w.loop.Status().Stacks[0]; stack.Revision != "c2" || stack.Wanted != "" {
			t.Errorf("%s runs and %s is wanted, want c2 and nothing else", stack.Revision, stack.Wanted)
		}
	})
}

func TestStacksWhoseRemovalWaitsAreShownRunning(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs", "chat", "maps")...)
		w.start()
		w.repo.commit("c2", app("app:1", "web")...)
		w.pass(time.Minute)
		w.wantWrites()
		status := w.loop.Status()
		if len(status.Stacks) != 4 || len(status.Removed) != 0 {
			t.Fatalf("%d stacks are shown and %v are said to be removed; all four run", len(status.Stacks), status.Removed)
		}
		for _, stack := range status.Stacks[1:] {
			service := stack.Services[0]
			if !stack.Leaving || stack.Operation != kargo.OperationHeld || stack.InSync || stack.Revision != "c1" || service.Running != 1 ||
				stack.Message != "its removal waits for approval: 3 of 4 stacks would be removed" {
				t.Errorf("a stack that waits for its removal: %+v", stack)
			}
		}

		w.after(func() {
			if err := w.loop.Approve(w.t.Context(), status.Pending.ID, kargo.Person{Name: "ada"}); err != nil {
				t.Error(err)
			}
		})
		if status := w.loop.Status(); len(status.Stacks) != 1 || len(status.Removed) != 3 {
			t.Errorf("after the approval %d stacks are shown and %v are said to be removed", len(status.Stacks), status.Removed)
		}
	})
}
