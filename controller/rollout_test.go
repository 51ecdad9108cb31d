package controller_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// pausing makes Swarm pause updates to an image.
func pausing(image string) func(*kargo.LiveService) {
	return func(service *kargo.LiveService) {
		if service.Image == image {
			now := time.Now()
			service.Update = &swarm.UpdateStatus{State: swarm.UpdateStatePaused, StartedAt: &now, Message: "update paused due to failure"}
		}
	}
}

// pair is a workspace of one stack of two services, and what else is said.
func pair(one, two string, settings ...string) []string {
	return []string{
		".env=STACKS=web\nWEB_STACK=pair\n" + strings.Join(settings, "\n") + "\n",
		"deploy/pair.yml=services: {one: {image: '" + one + "', networks: [back]}, two: {image: '" + two + "', networks: [back]}}\n" +
			"networks: {back: {external: true, name: kargo-back}}\n",
	}
}

func (w *world) wantImages(want string) {
	w.t.Helper()
	var images []string
	for _, name := range []string{"kargo-web_one", "kargo-web_two"} {
		images = append(images, w.swarm.services[name].Image)
	}
	if got := strings.Join(images, " "); got != want {
		w.t.Errorf("images are %s, want %s", got, want)
	}
}

func (w *world) wantHeld(want ...string) {
	w.t.Helper()
	var got []string
	for _, hold := range w.loop.Status().Pending.Held {
		got = append(got, hold.String())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("held:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestAStackThatFailsGoesBackAsAWhole(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added")

		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook github")
		w.wantImages("a:1 b:1")
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added",
			"2 c2 by webhook github: failed, 4 changes, web changed (stack web failed and was rolled back: kargo-web_two: update paused due to failure)")
		w.wantHeld("hold stack web: the rendering of c2 failed: kargo-web_two: update paused due to failure; the one of c1 runs instead until the workspace changes, or `kargo retry web`")
		status := w.loop.Status().Stacks[0]
		if status.InSync || status.Health != kargo.HealthHealthy || status.Failure == nil || status.Failure.Revision != "c2" {
			t.Errorf("status of the stack: %+v", status)
		}

		// It is not tried again by itself, the drift of the good one is
		// corrected, and another commit of the same rendering changes nothing.
		w.pass(30 * time.Minute)
		w.wantWrites()
		w.swarm.scaleByHand("kargo-web_one", 3)
		w.event("service update kargo-web_one")
		w.wantWrites("update service kargo-web_one: Mode.Replicated.Replicas: 3 -> 1")
		w.repo.commit("c3", append(pair("a:2", "b:2"), "README.md=hello")...)
		w.nudge("webhook github")
		w.wantWrites()
		w.stop()
		w.start()
		w.wantWrites()

		// At a person's word it is.
		w.swarm.fate = nil
		w.after(func() { w.loop.Retry("web", kargo.Person{}) })
		w.wantImages("a:2 b:2")
		w.wantHeld()
	})
}

func TestAnotherRenderingLiftsTheQuarantine(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook github")
		w.repo.commit("c3", pair("a:2", "b:3")...)
		w.nudge("webhook github")
		w.wantImages("a:2 b:3")
		w.wantHeld()
	})
}

func TestAFirstRenderingThatFailsIsLeftAlone(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.settling = true
		for i := range 3 {
			w.swarm.tasks = append(w.swarm.tasks, kargo.Task{
				ID: fmt.Sprint(i), Service: "kargo-web_two", Node: "n1", State: "failed", Err: "task: non-zero exit (7)", ExitCode: 7, Time: time.Now(),
			})
		}
		w.swarm.observeTasks = true
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.pass(time.Minute)
		w.wantWrites()
		w.wantHistory("1 c1 by start: failed, 5 changes, web added (stack web failed: kargo-web_two: 3 tasks failed, the last one: task: non-zero exit (7))")
		if words := w.loop.Status().Stacks[0].Failure.Words; len(words) != 4 || words[0] != "kargo-web_two on n1: failed: task: non-zero exit (7)" || words[3] != "log: the end" {
			t.Errorf("words: %q", words)
		}
	})
}

func TestADeadlinePasses(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1", "WEB_DEADLINE=2m")...)
		w.start()
		w.swarm.fate = func(service *kargo.LiveService) {
			if service.Spec.TaskTemplate.ContainerSpec.Image == "b:2" {
				service.Running = 0
			}
		}
		w.repo.commit("c2", pair("a:1", "b:2", "WEB_DEADLINE=2m")...)
		w.nudge("webhook github")
		w.wantImages("a:1 b:2")
		w.pass(3 * time.Minute)
		w.wantImages("a:1 b:1")
		w.wantHeld("hold stack web: the rendering of c2 failed: did not come up within 2m0s: kargo-web_two: 0 of 1 tasks run; the one of c1 runs instead until the workspace changes, or `kargo retry web`")
	})
}

func TestOnFailureHold(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1", "WEB_ON_FAILURE=hold")...)
		w.start()
		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2", "WEB_ON_FAILURE=hold")...)
		w.nudge("webhook github")
		w.wantImages("a:2 b:2")
		w.wantHeld("hold stack web: the rendering of c2 failed: kargo-web_two: update paused due to failure; nothing is done until the workspace changes, or `kargo retry web`")
		w.swarm.scaleByHand("kargo-web_one", 3)
		w.event("service update kargo-web_one")
		w.wantWrites()
	})
}

func TestOnFailureContinue(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1", "WEB_ON_FAILURE=continue")...)
		w.start()
		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2", "WEB_ON_FAILURE=continue")...)
		w.nudge("webhook github")
		w.wantImages("a:2 b:2")
		w.wantHeld()
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added",
			"2 c2 by webhook github: failed, 2 changes, web changed (stack web failed: kargo-web_two: update paused due to failure)")
	})
}

func TestATaskMustHaveRunForAWhile(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1", "WEB_STABLE=1m")...)
		w.start()
		w.wantHistory("1 c1 by start: progressing, 5 changes, web added")
		w.pass(30 * time.Second)
		w.wantHistory("1 c1 by start: progressing, 5 changes, web added")
		w.pass(30 * time.Second)
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added")
	})
}

func TestDriftThatComesBackIsCorrectedLessAndLess(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		corrections := 0
		for range 40 { // somebody scales every 15 seconds, for ten minutes
			w.swarm.scaleByHand("kargo-web_web", 3)
			w.forget()
			select {
			case w.events <- eventOf("service update kargo-web_web"):
			case <-time.After(time.Second):
			}
			w.rest(15 * time.Second)
			corrections += len(w.swarm.writes())
		}
		if corrections < 5 || corrections > 12 {
			t.Errorf("%d corrections of 40", corrections)
		}
		if held := w.loop.Status().Pending.Held; len(held) != 1 || !strings.Contains(held[0].Reason, "something undoes each correction") {
			t.Errorf("held: %v", held)
		}
	})
}

func TestAdopt(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		service := w.swarm.services["kargo-web_web"]
		delete(service.Spec.Labels, kargo.LabelInstance)
		delete(service.Spec.Labels, kargo.LabelNamespace) // else it is Kargo's own, damaged
		w.swarm.services["kargo-web_web"] = service
		w.event("service update kargo-web_web")
		w.wantHeld("hold service kargo-web_web: exists and is not Kargo's; set WEB_ADOPT=true to take it over")

		w.after(func() { w.loop.Adopt("web", kargo.Person{}) })
		w.wantWrites(`update service kargo-web_web: Labels.com.docker.stack.namespace: (none) -> "kargo-web"; Labels.kargo.instance: (none) -> "test"`)
		w.wantHeld()
	})
}

func TestASlowStackDoesNotKeepAnotherFromBeingGood(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.fate = func(service *kargo.LiveService) {
			if service.Name == "kargo-dbs_dbs" {
				service.Running = 0
			}
		}
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		if kept, err := w.records.Kept("web"); err != nil || len(kept) != 1 {
			t.Errorf("web has run for long enough, whatever dbs does: %v, %v", kept, err)
		}
		if kept, err := w.records.Kept("dbs"); err != nil || len(kept) != 0 {
			t.Errorf("dbs does not even run: %v, %v", kept, err)
		}
	})
}

func TestWhatRanIsBetterThanNothingToReturnTo(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1", "WEB_STABLE=1m")...)
		w.start() // it runs, but not for long enough
		w.swarm.fate = pausing("b:2")
		w.repo.commit("c2", pair("a:2", "b:2", "WEB_STABLE=1m")...)
		w.nudge("webhook github")
		w.wantImages("a:1 b:1")
	})
}

// A deployment covers the stacks that it changes. If another stack is
// quarantined, a corrected drift has still succeeded, and its deployment names
// its stack. A failure stays a failure if the next push comes before anybody
// looked.
func TestADeploymentIsAboutTheStacksThatItMoves(t *testing.T) {
	run(t, func(w *world) {
		var told, counted []string
		w.parts.Effects.Count = func(d kargo.Deployment) { counted = append(counted, fmt.Sprintf("%s %s", d.Kind, d.Outcome)) }
		w.parts.Effects.Notify = func(_ context.Context, d kargo.Deployment) {
			told = append(told, fmt.Sprintf("%d %s", d.Number, d.Outcome))
		}
		w.repo.commit("c1", app("app:1", "web", "crm")...)
		w.start()
		w.swarm.fate = func(service *kargo.LiveService) {
			if service.Name == "kargo-crm_crm" {
				pausing("app:2")(service)
			}
		}
		w.repo.commit("c2", app("app:2", "web", "crm")...)
		w.nudge("webhook github")
		w.pass(2 * time.Minute)
		w.swarm.fate = nil
		w.after(func() {
			w.swarm.scaleByHand("kargo-web_web", 5)
			w.events <- eventOf("service update kargo-web_web")
		})
		w.pass(time.Minute)
		d := w.records.deployments[len(w.records.deployments)-1]
		if d.Trigger != "swarm event" || d.Outcome != kargo.OutcomeSucceeded || d.Err != "" {
			t.Errorf("the correction of web is %s by %s: %s\n%s", d.Outcome, d.Trigger, d.Err, w.records.text())
		}
		for _, stack := range d.Stacks {
			if want := map[string]kargo.Verdict{"web": kargo.VerdictCorrected, "crm": kargo.VerdictUnchanged}[stack.Name]; stack.Verdict != want {
				t.Errorf("stack %s is said to be %s, want %s", stack.Name, stack.Verdict, want)
			}
		}
		if got := strings.Join(told, ", "); got != "1 succeeded, 2 failed, 3 succeeded" {
			t.Errorf("told was %s", got)
		}
		if got := strings.Join(counted, ", "); got != "update succeeded, update failed, drift repair succeeded" {
			t.Errorf("counted was %s", got)
		}
	})
}
