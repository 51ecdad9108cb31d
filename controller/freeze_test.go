package controller_test

import (
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/controller"
)

// eachDay is a schedule with one time a day.
type eachDay time.Time

func (d eachDay) Next(now time.Time) time.Time {
	at := time.Time(d)
	for !at.After(now) {
		at = at.Add(24 * time.Hour)
	}
	return at
}

// While a freeze window lasts nothing changes: not by a commit, and not by drift. The
// commit is not recorded as if it had succeeded. The end of the window lets it through.
func TestNothingChangesInAFreezeWindow(t *testing.T) {
	run(t, func(w *world) {
		begin := time.Now().Add(10 * time.Minute)
		w.parts.Behavior.Freeze = []controller.Window{{Begins: eachDay(begin), Lasts: 2 * time.Hour, Words: "0 18 * * FRI 2h"}}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.pass(15 * time.Minute)
		until := begin.Add(2 * time.Hour).UTC().Format(time.RFC3339)
		if got, want := w.loop.Status().Sentence(), "suspended until "+until+": freeze window 0 18 * * FRI 2h; "; !strings.HasPrefix(got, want) {
			t.Errorf("the status says %q, want %q", got, want)
		}
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("webhook github")
		w.wantWrites()
		w.pass(10 * time.Minute)
		if got := w.records.text(); !strings.Contains(got, "c2 by webhook github: held, 0 changes") {
			t.Errorf("the history:\n%s", got)
		}
		w.pass(2 * time.Hour)
		if got := w.swarm.services["kargo-web_web"].Image; got != "app:2" || w.loop.Status().Suspended != nil {
			t.Errorf("after the window %s runs; %s", got, w.loop.Status().Sentence())
		}
	})
}

// A person may lift a window, with a reason; the next one comes as usual. A restart
// does not begin the lifted one again.
func TestAPersonLiftsAFreezeWindow(t *testing.T) {
	run(t, func(w *world) {
		w.parts.Behavior.Freeze = []controller.Window{{Begins: eachDay(time.Now().Add(-time.Hour)), Lasts: 3 * time.Hour, Words: "every day"}}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.pass(time.Minute)
		w.wantWrites()
		w.after(func() { w.must(w.loop.Resume(w.t.Context(), ada, "an incident")) })
		if got := w.swarm.services["kargo-web_web"].Image; got != "app:1" {
			t.Errorf("after the window was lifted %q runs", got)
		}
		w.stop()
		w.start()
		w.pass(time.Hour)
		if status := w.loop.Status(); status.Suspended != nil {
			t.Errorf("a lifted window came back: %s", status.Sentence())
		}
		if !strings.Contains(w.records.text(), string(kargo.EntryResumption)+": an incident") {
			t.Errorf("the history:\n%s", w.records.text())
		}
		w.pass(24 * time.Hour)
		if w.loop.Status().Suspended == nil {
			t.Error("the next window does not come")
		}
	})
}
