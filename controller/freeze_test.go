package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/controller"
	"kargo/schedule"
)

// eachDay is a freeze window that begins at the hour and minute of a time, each day.
func eachDay(begin time.Time, lasts, reason string) string {
	return fmt.Sprintf("%d %d * * * %s %s", begin.UTC().Minute(), begin.UTC().Hour(), lasts, reason)
}

// windows are the operator's.
func windows(t *testing.T, texts ...string) (windows []schedule.Window) {
	t.Helper()
	for _, text := range texts {
		window, err := schedule.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		windows = append(windows, window)
	}
	return windows
}

// freezing is the workspace's file with a window as --freeze has it.
func freezing(window string) string {
	w, err := schedule.Read(window)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("kargo.yml=freeze:\n- {cron: %q, duration: %s, reason: %s}\n", w.Cron, w.Duration, w.Reason)
}

// While a freeze window lasts nothing changes: not by a commit, and not by drift. The
// commit is not recorded as if it had succeeded. The end of the window lets it through.
func TestNothingChangesInAFreezeWindow(t *testing.T) {
	for _, source := range []string{kargo.FreezeOfOperator, kargo.FreezeOfWorkspace} {
		t.Run(source, func(t *testing.T) {
			run(t, func(w *world) { frozenDay(w, source) })
		})
	}
}

func frozenDay(w *world, source string) {
	begin := time.Now().Add(10 * time.Minute)
	var more []string
	by := "the operator"
	if window := eachDay(begin, "2h", "a sale"); source == kargo.FreezeOfOperator {
		w.parts.Behavior.Freeze = windows(w.t, window)
	} else {
		more, by = []string{freezing(window)}, "kargo.yml:2"
	}
	w.repo.commit("c1", append(app("app:1", "web"), more...)...)
	w.start()
	if next := w.loop.Status().Freezes; len(next) != 1 || next[0].Of != source || !next[0].Next.Equal(begin) {
		w.t.Errorf("the windows are %+v", next)
	}
	w.pass(15 * time.Minute)
	until := begin.Add(2 * time.Hour).UTC().Format(time.RFC3339)
	status := w.loop.Status()
	if got, want := status.Sentence(), "frozen until "+until+" by "+by+": a sale; "; !strings.HasPrefix(got, want) || status.Frozen.Window.Source() != source {
		w.t.Errorf("the status says %q, want %q", got, want)
	}
	w.repo.commit("c2", append(app("app:2", "web"), more...)...)
	w.nudge("webhook github")
	w.wantWrites()
	w.pass(10 * time.Minute)
	if got := w.records.text(); !strings.Contains(got, "c2 by webhook github: held, 0 changes") {
		w.t.Errorf("the history:\n%s", got)
	}
	w.pass(2 * time.Hour)
	if got := w.swarm.services["kargo-web_web"].Image; got != "app:2" || w.loop.Status().Frozen != nil {
		w.t.Errorf("after the window %s runs; %s", got, w.loop.Status().Sentence())
	}
	for _, want := range []string{string(kargo.EntryFreeze) + ": frozen until " + until, string(kargo.EntryThaw) + ": no longer frozen until " + until} {
		if got := w.records.text(); !strings.Contains(got, want) {
			w.t.Errorf("the history does not say %q:\n%s", want, got)
		}
	}
}

// A person may lift a window, with a reason; the next one comes as usual. A restart
// does not begin the lifted one again.
func TestAPersonLiftsAFreezeWindow(t *testing.T) {
	run(t, func(w *world) {
		w.parts.Behavior.Freeze = windows(t, eachDay(time.Now().Add(-time.Hour), "3h", "each day"))
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.pass(time.Minute)
		w.wantWrites()
		if err := w.loop.Resume(w.t.Context(), ada, ""); kargo.FaultOf(err) != kargo.Invalid || !strings.Contains(kargo.HintOf(err), "--reason") {
			t.Errorf("a window was lifted without a reason: %v", err)
		}
		w.after(func() { w.must(w.loop.Resume(w.t.Context(), ada, "an incident")) })
		if got := w.swarm.services["kargo-web_web"].Image; got != "app:1" {
			t.Errorf("after the window was lifted %q runs", got)
		}
		w.stop()
		w.start()
		w.pass(time.Hour)
		if status := w.loop.Status(); status.Frozen != nil {
			t.Errorf("a lifted window came back: %s", status.Sentence())
		}
		if got := w.records.text(); !strings.Contains(got, string(kargo.EntryThaw)+": lifted what was frozen until ") || !strings.Contains(got, "each day; an incident") {
			t.Errorf("the history:\n%s", got)
		}
		w.pass(24 * time.Hour)
		if w.loop.Status().Frozen == nil {
			t.Error("the next window does not come")
		}
	})
}

// A commit cannot end the window that holds it: neither one that comes while Kargo
// watches, nor one that comes while it does not run. It counts for the windows that
// begin after it.
func TestACommitDoesNotEndTheWindowThatHoldsIt(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		run(t, func(w *world) {
			begin := time.Now().Add(10 * time.Minute)
			w.repo.commit("c1", append(app("app:1", "web"), freezing(eachDay(begin, "2h", "a sale")))...)
			w.start()
			if restarts {
				w.stop()
				w.rest(20 * time.Minute)
				w.repo.commit("c2", app("app:2", "web")...)
				w.start()
			} else {
				w.pass(20 * time.Minute)
				w.repo.commit("c2", app("app:2", "web")...)
				w.nudge("webhook github")
			}
			w.pass(time.Hour)
			if got := w.swarm.services["kargo-web_web"].Image; got != "app:1" || w.loop.Status().Frozen == nil {
				t.Errorf("restarts %t: in the window %s runs; %s", restarts, got, w.loop.Status().Sentence())
			}
			w.pass(time.Hour)
			if got := w.swarm.services["kargo-web_web"].Image; got != "app:2" {
				t.Errorf("restarts %t: after the window %s runs", restarts, got)
			}
			w.pass(22 * time.Hour) // the next one would have begun
			if status := w.loop.Status(); status.Frozen != nil || len(status.Freezes) != 0 {
				t.Errorf("restarts %t: a window that no file has any more: %s", restarts, status.Sentence())
			}
		})
	}
}

// Of the operator's and the workspace's windows the one counts that ends last. One that
// the operator removes ends at once.
func TestWindowsAddUp(t *testing.T) {
	run(t, func(w *world) {
		begin := time.Now().Add(10 * time.Minute)
		w.parts.Behavior.Freeze = windows(t, eachDay(begin, "1h", "the operator's"))
		w.repo.commit("c1", append(app("app:1", "web"), freezing(eachDay(begin.Add(30*time.Minute), "1h", "ours")))...)
		w.start()
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{20 * time.Minute, "the operator's"}, {30 * time.Minute, "ours"}, {40 * time.Minute, "ours"}, {20 * time.Minute, ""}} {
			w.pass(step.after)
			got := ""
			if frozen := w.loop.Status().Frozen; frozen != nil {
				got = frozen.Window.Reason
			}
			if got != step.want {
				t.Errorf("after %s more the window is %q, want %q", step.after, got, step.want)
			}
		}
		w.pass(22*time.Hour + 30*time.Minute)
		if frozen := w.loop.Status().Frozen; frozen == nil || frozen.Window.Reason != "the operator's" {
			t.Fatalf("the next day the window is %+v", frozen)
		}
		w.stop()
		w.parts.Behavior.Freeze = nil
		w.start()
		if status := w.loop.Status(); status.Frozen != nil {
			t.Errorf("the operator has removed the window: %s", status.Sentence())
		}
	})
}

// A window that a person has lifted stays lifted under the next leader, and one that
// lasts goes on.
func TestALiftedWindowStaysLiftedUnderTheNextLeader(t *testing.T) {
	for _, lifted := range []bool{true, false} {
		inMatrix(t, func(m *matrix) {
			m.parts.Behavior.Poll = controller.Every(time.Minute)
			m.repo.commit("c0", append(fine.files(), freezing(eachDay(time.Now().Add(-time.Minute), "3h", "a sale")))...)
			one := m.replica("one")
			m.live(20)
			two := m.replica("two")
			defer func() { one.stop(); two.stop() }()
			m.live(20)
			if one.loop.Status().Frozen == nil {
				t.Fatal("the first is not frozen")
			}
			if lifted {
				if err := one.loop.Resume(m.t.Context(), ada, "an incident"); err != nil {
					t.Fatal(err)
				}
				m.live(20)
			}
			one.stop()
			m.live(60)
			status := two.loop.Status()
			if status.Leader != "" || (status.Frozen == nil) != lifted {
				t.Errorf("lifted is %t; under the second: %s", lifted, status.Sentence())
			}
		})
	}
}

// What a person does by a command, a window of the workspace does not hold.
func TestAWindowOfTheWorkspaceHoldsNoCommand(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", append(app("app:1", "web"), freezing(eachDay(time.Now().Add(-time.Minute), "3h", "a sale")))...)
		w.must(controller.NewReconciler(w.parts).Round(w.t.Context(), "apply"))
		if got := w.swarm.services["kargo-web_web"].Image; got != "app:1" {
			t.Errorf("%q runs", got)
		}
	})
}

// The clock was ahead for a moment, in a window. When it is right again, nothing is held until
// that window, days later, would have ended. The window comes as usual.
func TestAWindowOfAClockThatWasAheadEnds(t *testing.T) {
	run(t, func(w *world) {
		begin := time.Now().Add(24 * time.Hour)
		w.parts.Behavior.Freeze = windows(t, eachDay(begin, "3h", "the night"))
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.pass(4 * time.Hour) // the window of the first day
		w.stop()
		next := begin.Add(24 * time.Hour)
		w.records.memory.Frozen = &kargo.Freeze{Window: w.parts.Behavior.Freeze[0].FreezeWindow, Since: next.Add(time.Minute), Until: next.Add(3 * time.Hour)}
		w.start()
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("webhook github")
		if got := w.swarm.services["kargo-web_web"].Image; got != "app:2" || w.loop.Status().Frozen != nil {
			t.Errorf("%s runs: %s", got, w.loop.Status().Sentence())
		}
		if got := w.records.text(); !strings.Contains(got, "; the clock was set back to before it") {
			t.Errorf("the history does not say why:\n%s", got)
		}
		w.pass(time.Until(begin) + 10*time.Minute)
		if w.loop.Status().Frozen == nil {
			t.Error("the window does not come any more")
		}
	})
}
