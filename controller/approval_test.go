package controller_test

import (
	"strings"
	"testing"
	"time"

	"kargo"
)

// replaced leaves the world where the first plan of another workspace was just carried
// out: the stack of the one before waits for its removal, and the new one comes up.
func replaced(w *world) kargo.PlanText {
	w.repo.commit("c1", app("app:1", "web")...)
	w.start()
	w.repo.commit("c2", app("app:1", "shop")...)
	w.forget()
	w.loop.Nudge("webhook github")
	w.rest(10 * time.Millisecond)
	pending := w.loop.Status().Pending
	if len(pending.Held) != 1 || !strings.Contains(pending.Held[0].Reason, "no stack that runs would be left") {
		w.t.Fatalf("pending is %+v", pending)
	}
	return pending
}

// The plan that was approved is gone: the new stack has come into being, so that the removal
// waits for another reason. Whoever approved it is told, and what to approve now.
func TestAnApprovalOfAPlanThatIsGoneIsRefused(t *testing.T) {
	run(t, func(w *world) {
		first := replaced(w)
		err := w.loop.Approve(w.t.Context(), first.ID, kargo.Person{Name: "ada"})
		next := w.loop.Status().Pending
		if kargo.FaultOf(err) != kargo.Conflict || next.ID == first.ID {
			t.Fatalf("plan %s was approved, and %s is pending: %v", first.ID, next.ID, err)
		}
		if want := "plan " + first.ID + " is not the pending one any more, so nothing of it was approved: hold stack web: "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %q, want %q at its begin", err, want)
		}
		if hint := kargo.HintOf(err); !strings.Contains(hint, "too many stacks left the workspace with it") || !strings.HasSuffix(hint, "kargo approve "+next.ID) {
			t.Errorf("the hint is %q", hint)
		}
		if last := w.records.deployments[len(w.records.deployments)-1]; last.Kind == kargo.EntryApproval {
			t.Error("the history has an approval")
		}
		w.rest(time.Minute)
		if got := strings.Join(w.swarm.writes(), "\n"); strings.Contains(got, "remove") {
			t.Errorf("written was:\n%s", got)
		}
		w.after(func() {
			if err := w.loop.Approve(w.t.Context(), w.loop.Status().Pending.ID, kargo.Person{Name: "ada"}); err != nil {
				t.Error(err)
			}
		})
		w.wantWrites("remove service kargo-web_web: no longer in the workspace")
	})
}

// An approval says what is to be done with what a person has seen: a commit that git has by
// then is another matter, and comes after it.
func TestAnApprovalDoesNotWaitForGit(t *testing.T) {
	run(t, func(w *world) {
		replaced(w)
		w.rest(time.Minute)
		w.repo.commit("c3", app("app:2", "shop")...)
		w.after(func() {
			if err := w.loop.Approve(w.t.Context(), w.loop.Status().Pending.ID, kargo.Person{Name: "ada"}); err != nil {
				t.Error(err)
			}
		})
		w.wantWrites("remove service kargo-web_web: no longer in the workspace")
	})
}

// While the controller is suspended nothing is removed, and afterwards the plan may be
// another one.
func TestAnApprovalIsRefusedWhileTheControllerIsSuspended(t *testing.T) {
	run(t, func(w *world) {
		replaced(w)
		w.rest(time.Minute)
		w.after(func() {
			if err := w.loop.Suspend(w.t.Context(), kargo.Stop{By: kargo.Person{Name: "ada"}, Why: "a test"}); err != nil {
				t.Error(err)
			}
		})
		err := w.loop.Approve(w.t.Context(), w.loop.Status().Pending.ID, kargo.Person{Name: "ada"})
		if kargo.FaultOf(err) != kargo.Conflict || !strings.Contains(err.Error(), "nothing was approved: the controller is suspended") {
			t.Errorf("got %v", err)
		}
	})
}

// No plan can be made: nothing is approved, and nothing waits to be removed later.
func TestAnApprovalIsRefusedWhileSwarmIsAway(t *testing.T) {
	run(t, func(w *world) {
		replaced(w)
		w.rest(time.Minute)
		w.swarm.err = kargo.Errorf(kargo.Unavailable, "docker is away")
		err := w.loop.Approve(w.t.Context(), w.loop.Status().Pending.ID, kargo.Person{Name: "ada"})
		if kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(err.Error(), "nothing was approved") || !strings.Contains(err.Error(), "docker is away") {
			t.Errorf("got %v", err)
		}
		w.swarm.err = nil
		w.after(func() {})
		w.wantWrites()
	})
}
