package controller_test

import (
	"strings"
	"testing"
	"time"

	"kargo"
)

// kinds tells the history as its kinds.
func (w *world) kinds() string {
	var kinds []string
	for _, d := range w.records.deployments {
		kinds = append(kinds, string(d.Kind)+" "+string(d.Outcome))
	}
	return strings.Join(kinds, ", ")
}

func TestEntriesAreOfTheirOwnKind(t *testing.T) {
	run(t, func(w *world) {
		w.parts.Behavior.Settings = map[string]string{"interval": "1m"}
		w.repo.commit("c1", app("app:1", "web", "dbs", "chat")...)
		w.start()
		w.swarm.scaleByHand("kargo-web_web", 3)
		w.event("service update kargo-web_web")
		delete(w.swarm.services, "kargo-web_web")
		w.event("service remove kargo-web_web")
		if got, want := w.kinds(), "update succeeded, drift repair succeeded, drift repair succeeded"; got != want {
			t.Errorf("after drift:\n  got %s\n want %s", got, want)
		}

		w.repo.commit("bad", ".env=STACKS=web\nWEB_STACK=wbe\n", "deploy/web.yml=services: {web: {image: a}}\n")
		w.nudge("webhook github, which says: pushed by ada")
		w.nudge("sync by ada")
		refused := w.records.deployments[3]
		if refused.Kind != kargo.EntryRefusal || refused.Outcome != kargo.OutcomeRefused || refused.Revision.Commit != "bad" ||
			refused.Trigger != "webhook github, which says: pushed by ada" || !strings.Contains(refused.Err, ".env:2: ") {
			t.Errorf("a refused revision: %+v", refused)
		}
		w.stop()
		w.parts.Behavior.Settings = map[string]string{"interval": "30s", "policy": "strict"}
		w.start()
		if n := len(w.records.deployments); n != 5 {
			t.Fatalf("%d entries, want the refusal once, and one about the settings", n)
		}
		if note := w.records.deployments[4]; note.Kind != kargo.EntrySettings || note.Note != "interval: 1m -> 30s; policy: (none) -> strict" {
			t.Errorf("changed settings: %+v", note)
		}

		w.repo.commit("c2", app("app:1")...)
		w.pass(time.Minute)
		ada := kargo.Person{Name: "ada", From: "192.0.2.7"}
		w.after(func() {
			if err := w.loop.Approve(w.t.Context(), w.loop.Status().Pending.ID, ada); err != nil {
				t.Error(err)
			}
		})
		approval, trigger := w.records.deployments[6], w.records.deployments[5].Trigger
		if approval.Kind != kargo.EntryApproval || approval.By != ada || approval.PlanID == "" {
			t.Errorf("the approval: %+v (after %s)", approval, trigger)
		}
	})
}

func TestRetryAndAdoptionAreTold(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook github")
		w.swarm.fate = nil
		ada := kargo.Person{Name: "ada", From: "local socket"}
		w.after(func() { w.loop.Retry("web", ada) })
		last := w.records.deployments[2]
		if last.Kind != kargo.EntryRetry || last.By != ada || last.Trigger != "retry web by ada" {
			t.Errorf("a retry: %+v", last)
		}
	})
}
