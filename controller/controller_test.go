package controller_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kargo"
)

// wantHistory compares the history as text.
func (w *world) wantHistory(want ...string) {
	w.t.Helper()
	if got := w.records.text(); got != strings.Join(want, "\n")+"\n" {
		w.t.Errorf("history:\n%swant:\n%s", got, strings.Join(want, "\n"))
	}
}

// overriding is a workspace whose stack web runs another image.
func overriding(image string, files []string) []string {
	_, web, _ := strings.Cut(files[1], "=")
	return append(files, "deploy/web.yml="+strings.Replace(web, "${IMAGE}", image, 1))
}

func TestFirstRevision(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		w.wantWrites(
			"create network kargo-back: shared by stacks",
			"create network kargo-docker-socket: shared by stacks",
			"create network kargo-front: shared by stacks",
			"create service kargo-web_web: new",
			"create service kargo-dbs_dbs: new",
		)
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added, dbs added")
		status := w.loop.Status()
		if status.Applied.Commit != "c1" || !status.Ready() || len(status.Stacks) != 2 || !status.Stacks[0].InSync {
			t.Errorf("status: %+v", status)
		}
		if len(w.written) != 1 || w.written[0] != "c1" {
			t.Errorf("merged configuration written for %v", w.written)
		}
	})
}

func TestNothingStirsNoCall(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.pass(2*time.Minute + time.Second)
		w.wantCalls()
		if w.repo.asked != 2 {
			t.Errorf("git was asked %d times in two intervals", w.repo.asked)
		}
	})
}

func TestOnlyTheChangedStackMoves(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		w.repo.commit("c2", overriding("app:2", app("app:1", "web", "dbs"))...)
		w.nudge("webhook github")
		w.wantCalls("services",
			`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`,
			"services kargo-web_web", "services kargo-web_web", "tasks")
		w.wantHistory(
			"1 c1 by start: succeeded, 5 changes, web added, dbs added",
			"2 c2 by webhook github: succeeded, 1 changes, web changed, dbs unchanged")
		if stacks := w.loop.Status().Stacks; stacks[0].Revision != "c2" || stacks[1].Revision != "c1" {
			t.Errorf("last revisions of the stacks: %s, %s", stacks[0].Revision, stacks[1].Revision)
		}
	})
}

// What is not read again when a commit comes, and what must be.
func TestACommitMayNeedMoreThanTheServices(t *testing.T) {
	before := append(app("app:1", "web", "dbs"), "deploy/dbs.yml=services: {dbs: {image: 'app:1', networks: [own]}}\nnetworks: {own: {}}\n")
	steps := map[string]struct {
		files []string
		short bool // of tasks: that makes no event
		want  []string
	}{
		"it only updates services":    {overriding("app:2", before), false, []string{"services"}},
		"a service is short of tasks": {overriding("app:2", before), true, []string{"services", "complete"}},
		"a service is new":            {append(app("app:1", "web", "dbs", "new"), before[2:]...), false, []string{"services", "complete"}},
		"a stack leaves":              {app("app:1", "web"), false, []string{"services", "complete"}},
		"a network is new": {append(before, "deploy/web.yml=services: {web: {image: 'app:1', networks: [own]}}\nnetworks: {own: {}}\n"), false,
			[]string{"observe"}},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				w.repo.commit("c1", before...)
				w.start()
				if step.short {
					service := w.swarm.services["kargo-web_web"]
					service.Running = 0
					w.swarm.services[service.Name] = service
				}
				w.repo.commit("c2", step.files...)
				w.nudge("webhook github")
				made := slices.IndexFunc(w.swarm.calls, func(call string) bool { return strings.Contains(call, ": ") })
				if got := w.swarm.calls[:max(made, 0)]; !slices.Equal(got, step.want) {
					t.Errorf("before the first change: %q, want %q; all: %q", got, step.want, w.swarm.calls)
				}
			})
		})
	}
}

// Soon after a look, an event of a network has everything looked at, as services do not
// show it.
func TestEventsOfWhatServicesDoNotShow(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", append(app("app:1", "web"), "deploy/web.yml=services: {web: {image: 'app:1', networks: [own]}}\nnetworks: {own: {}}\n")...)
		w.start()
		w.event("network update kargo-web_own")
		w.wantCalls("observe")
		w.event("network update kargo-web_own")
		w.wantCalls("observe")
		w.event("service update kargo-web_web")
		w.wantCalls("services")
	})
}

// Once all that was created has come up, the services are enough: what else was created is
// known. As long as a service does not run, everything is looked at: Swarm may not allocate
// its network.
func TestLooksAfterACreation(t *testing.T) {
	first := []string{
		"observe", "nodes", "create network kargo-back: shared by stacks", "create network kargo-docker-socket: shared by stacks",
		"create network kargo-front: shared by stacks", "create network kargo-web_own: new", "create service kargo-web_web: new",
	}
	for what, row := range map[string]struct {
		settling bool
		want     []string
	}{
		"it is up at once":    {false, []string{"services", "services kargo-web_web", "tasks"}},
		"it comes up, slowly": {true, []string{"services", "complete", "services kargo-web_web"}},
	} {
		t.Run(what, func(t *testing.T) {
			run(t, func(w *world) {
				w.swarm.settling = row.settling
				w.repo.commit("c1", append(app("app:1", "web"), "deploy/web.yml=services: {web: {image: 'app:1', networks: [own]}}\nnetworks: {own: {}}\n")...)
				w.start()
				want := slices.Concat(first, row.want)
				if got := w.swarm.calls[:min(len(w.swarm.calls), len(want))]; !slices.Equal(got, want) {
					t.Errorf("calls: %q, want %q", got, want)
				}
				if stack := w.loop.Status().Stacks[0]; stack.InSync && stack.LastVerified.IsZero() {
					t.Error("nobody knows when the stack was verified")
				}
			})
		})
	}
}

// While a service comes up, events of what was created for it say nothing new, but that
// it was removed.
func TestEventsOfWhatIsCreated(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.settling = true
		w.repo.commit("c1", append(app("app:1", "web"), "deploy/web.yml=services: {web: {image: 'app:1', networks: [own]}}\nnetworks: {own: {}}\n")...)
		w.start()
		during := func(event string) []string {
			w.forget()
			w.events <- eventOf(event)
			w.rest(time.Second)
			return slices.DeleteFunc(slices.Clone(w.swarm.calls), func(call string) bool { return call != "observe" })
		}
		for event, want := range map[string]int{
			"network create kargo-web_own": 0, "network update kargo-web_own": 0, "network remove kargo-web_own": 1,
		} {
			if got := during(event); len(got) != want {
				t.Errorf("%s: everything was looked at %d times, want %d", event, len(got), want)
			}
		}
	})
}

func TestACommitThatMovesNothingMakesNoCall(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.commit("c2", append(app("app:1", "web"), "README.md=hello")...)
		w.nudge("webhook gitlab")
		w.wantCalls()
		w.wantHistory(
			"1 c1 by start: succeeded, 4 changes, web added",
			"2 c2 by webhook gitlab: succeeded, 0 changes, web unchanged")
		if got := w.loop.Status().Applied.Commit; got != "c2" {
			t.Errorf("%s is in force, want c2", got)
		}
	})
}

// A commit that changes no file of the merged configuration does not look at it. The
// verification does, and whoever asks for a round: somebody may have changed it.
func TestTheMergedConfigurationIsWrittenWhereItMayDiffer(t *testing.T) {
	run(t, func(w *world) {
		writes := 0
		write := w.parts.Effects.Write
		w.parts.Effects.Write = func(ws kargo.Workspace) error { writes++; return write(ws) }
		during := func(what string, want int, do func()) {
			t.Helper()
			writes = 0
			if do(); writes != want {
				t.Errorf("%s: written %d times, want %d", what, writes, want)
			}
		}
		w.repo.commit("c1", app("app:1", "web")...)
		during("the start", 1, w.start)
		during("a commit that changes no file of it", 0, func() {
			w.repo.steady = true
			w.repo.commit("c2", append(app("app:1", "web"), "README.md=hello")...)
			w.nudge("webhook gitlab")
			w.repo.steady = false
		})
		during("a commit", 1, func() {
			w.repo.commit("c3", app("app:2", "web")...)
			w.nudge("webhook gitlab")
		})
		during("a request", 1, func() { w.nudge("api") })
		during("a verification", 1, func() { w.pass(w.parts.Behavior.Verify) })
	})
}

func TestAStackThatLeaves(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		w.repo.commit("c2", app("app:1", "web")...)
		w.pass(time.Minute)
		w.wantWrites("remove service kargo-dbs_dbs: no longer in the workspace")
		w.wantHistory(
			"1 c1 by start: succeeded, 5 changes, web added, dbs added",
			"2 c2 by interval: succeeded, 1 changes, web unchanged, dbs removed")
		if got := w.loop.Status().Removed; !slices.Equal(got, []string{"dbs"}) {
			t.Errorf("status says that %v were removed", got)
		}
		if !slices.Equal(w.repo.protected, []string{"c1", "c2"}) {
			t.Errorf("commits %v are kept at hand", w.repo.protected)
		}
	})
}

func TestAnUnsoundHeadLeavesTheLastGoodInForce(t *testing.T) {
	run(t, func(w *world) {
		var told []string
		w.parts.Effects.Notify = func(_ context.Context, d kargo.Deployment) {
			told = append(told, d.Revision.Commit+" "+string(d.Outcome))
		}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.commit("bad", ".env=STACKS=web\nWEB_STACK=wbe\n", "deploy/web.yml=services: {web: {image: a}}\n")
		w.pass(time.Minute)
		w.wantCalls()
		status := w.loop.Status()
		if status.Applied.Commit != "c1" || status.Head.Commit != "bad" || status.Fault != "invalid" ||
			!strings.Contains(status.Problems.Error(), ".env:2: ") {
			t.Errorf("in force %s, head %s, fault %s, problems %v", status.Applied.Commit, status.Head.Commit, status.Fault, status.Problems)
		}

		w.swarm.scaleByHand("kargo-web_web", 3)
		w.event("service update kargo-web_web")
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 3 -> 1")

		w.repo.commit("c3", app("app:3", "web")...)
		w.pass(time.Minute)
		if status := w.loop.Status(); status.Applied.Commit != "c3" || status.Fault != "" || len(status.Problems) != 0 {
			t.Errorf("after a sound head: in force %s, fault %q, problems %v", status.Applied.Commit, status.Fault, status.Problems)
		}
		if got := strings.Join(told, ", "); got != "c1 succeeded, bad refused, c1 succeeded, c3 succeeded" {
			t.Errorf("told was %s", got)
		}
	})
}

func TestGitOutOfReach(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.stop()

		// A new process, git away from the beginning, and somebody at work.
		w.repo.err = kargo.Errorf(kargo.Unavailable, "connection refused")
		w.swarm.scaleByHand("kargo-web_web", 3)
		w.start()
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 3 -> 1")
		if status := w.loop.Status(); status.Fault != "unavailable" || status.GitTrouble != "list refs: connection refused" || status.SwarmTrouble != "" {
			t.Errorf("fault %q, git %q, swarm %q", status.Fault, status.GitTrouble, status.SwarmTrouble)
		}
		if w.repo.asked < 3 {
			t.Errorf("git was asked %d times in 20 seconds: the back-off begins at a second", w.repo.asked)
		}
		w.pass(30 * time.Minute)
		if w.repo.asked > 70 {
			t.Errorf("git was asked %d times in half an hour: the back-off ends at a minute", w.repo.asked)
		}
		w.repo.err = nil
		w.repo.commit("c2", app("app:2", "web")...)
		w.pass(2 * time.Minute)
		if status := w.loop.Status(); status.Applied.Commit != "c2" || status.Fault+status.GitTrouble != "" {
			t.Errorf("after git came back: in force %s, fault %q %s", status.Applied.Commit, status.Fault, status.GitTrouble)
		}
	})
}

func TestSwarmOutOfReach(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.err = kargo.Errorf(kargo.Unavailable, "no such host")
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.wantWrites()
		if status := w.loop.Status(); status.Fault != "unavailable" || status.Ready() || status.SwarmTrouble != "look at swarm: no such host" || status.GitTrouble != "" {
			t.Errorf("fault %q, ready %v, git %q, swarm %q", status.Fault, status.Ready(), status.GitTrouble, status.SwarmTrouble)
		}
		w.swarm.err = nil
		w.pass(time.Minute)
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added")
	})
}

// TestSwarmGoneDuringARollout: the look that was due stays due, and must not be
// tried again at once, again and again.
func TestSwarmGoneDuringARollout(t *testing.T) {
	for _, err := range []error{kargo.Errorf(kargo.Unavailable, "no such host"), kargo.Errorf(kargo.Internal, "a bug")} {
		run(t, func(w *world) {
			w.swarm.settling = true
			w.repo.commit("c1", app("app:1", "web")...)
			w.start()
			w.swarm.err = err
			w.pass(5 * time.Minute)
			// Every five seconds at the most, as of a rollout.
			if looks := len(w.swarm.calls); looks > 70 {
				t.Errorf("%v: %d looks in five minutes", err, looks)
			}
			w.swarm.err = nil
			w.pass(2 * time.Minute)
			w.wantHistory("1 c1 by start: progressing, 4 changes, web added")
		})
	}
}

func TestSwarmMovesOnDuringAPlan(t *testing.T) {
	run(t, func(w *world) {
		conflicts := 0
		w.swarm.fail = func(change kargo.Change) error {
			if change.Kind == kargo.KindService && conflicts < 2 {
				conflicts++
				return kargo.Errorf(kargo.Conflict, "update out of sequence")
			}
			return nil
		}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added")
		if status := w.loop.Status(); status.Fault != "" {
			t.Errorf("fault %q", status.Fault)
		}
	})
}

func TestDockerRefusesASpec(t *testing.T) {
	run(t, func(w *world) {
		refused := 0
		w.swarm.fail = func(change kargo.Change) error {
			if change.Name == "kargo-web_web" {
				refused++
				return kargo.Errorf(kargo.Invalid, "invalid memory value")
			}
			return nil
		}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.wantHeld("hold stack web: the rendering of c1 failed: Docker refuses it: invalid memory value; nothing is done until the workspace changes, or `kargo retry web`")
		w.wantHistory("1 c1 by start: failed, 3 changes, web added (stack web failed: Docker refuses it: invalid memory value)")
		w.pass(time.Hour)
		if refused != 1 {
			t.Errorf("the same spec was sent %d times", refused)
		}
		w.after(func() { w.loop.Retry("web", kargo.Person{}) })
		if refused != 2 {
			t.Errorf("after `kargo retry` it was sent %d times", refused)
		}
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("sync")
		if refused != 3 {
			t.Errorf("with another revision it was sent %d times", refused)
		}
	})
}

// A commit of which Docker refuses a part is not left half there.
func TestWhatDockerRefusesGoesBackAsAWhole(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.swarm.fail = func(change kargo.Change) error {
			if change.Service != nil && change.Service.TaskTemplate.ContainerSpec.Image == "b:2" {
				return kargo.Errorf(kargo.Invalid, "invalid memory value")
			}
			return nil
		}
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.nudge("webhook test")
		w.wantImages("a:1 b:1")
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added",
			"2 c2 by webhook test: failed, 2 changes, web changed (stack web failed and was rolled back: Docker refuses it: invalid memory value)")
		if web := w.loop.Status().Stacks[0]; web.Failure == nil || web.InSync {
			t.Errorf("the stack is in sync %t, failure %v", web.InSync, web.Failure)
		}
		w.pass(time.Hour)
		w.wantWrites()
		w.repo.commit("c3", pair("a:3", "b:3")...)
		w.nudge("webhook test")
		w.wantImages("a:3 b:3")
	})
}

// A stack that waits for one that has failed keeps no deployment open, and the loop
// does not look for it.
func TestAStackThatWaitsForAFailedOneIsAtRest(t *testing.T) {
	run(t, func(w *world) {
		files := app("app:1", "web", "late", "later")
		files[0] += "LATE_NEEDS=web\nLATER_NEEDS=late\n"
		w.swarm.fail = func(change kargo.Change) error {
			if change.Name == "kargo-web_web" {
				return kargo.Errorf(kargo.Invalid, "invalid memory value")
			}
			return nil
		}
		w.repo.commit("c1", files...)
		w.start()
		w.pass(4 * time.Minute)
		w.wantCalls()
		if last := w.records.deployments[len(w.records.deployments)-1]; last.Outcome != kargo.OutcomeFailed {
			t.Errorf("the deployment is %s", last.Outcome)
		}
		w.swarm.fail = nil
		w.after(func() { w.loop.Retry("web", kargo.Person{}) })
		w.rest(time.Minute)
		if _, runs := w.swarm.services["kargo-later_later"]; !runs {
			t.Errorf("after `kargo retry` the stacks do not run: %v", w.loop.Status().Pending.Held)
		}
	})
}

// TestFaultsOfOneRound has each pair of faults while changes are made: status
// names the fault that decides, and a revision that met a bug is not in force.
func TestFaultsOfOneRound(t *testing.T) {
	faults := []kargo.Fault{kargo.Internal, kargo.Invalid, kargo.Unavailable, kargo.Conflict}
	for _, first := range faults {
		for _, second := range faults {
			run(t, func(w *world) {
				joined := errors.Join(kargo.Errorf(first, "one change"), kargo.Errorf(second, "another"))
				w.swarm.fail = func(change kargo.Change) error {
					if change.Kind == kargo.KindService {
						return joined
					}
					return nil
				}
				w.repo.commit("c1", app("app:1", "web")...)
				w.start()
				status := w.loop.Status()
				inForce, want := status.Applied.Commit == "c1", first == kargo.Invalid && second == kargo.Invalid
				if inForce != want {
					t.Errorf("%s and %s: in force is %t, want %t", first, second, inForce, want)
				}
				if fault := kargo.FaultOf(joined).String(); !want && status.Fault != fault {
					t.Errorf("%s and %s: status says %q, want %q", first, second, status.Fault, fault)
				}
			})
		}
	}
}

func TestDriftIsCorrectedWhenSeen(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		for range 3 { // the same drift again and again is not "does not converge"
			w.swarm.scaleByHand("kargo-web_web", 3)
			w.event("service update kargo-web_web")
			w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 3 -> 1")
		}
		if got := w.loop.Status().Stacks[0].Verdict; got != kargo.VerdictAdded {
			t.Errorf("after a correction the revision is said to have left the stack %s; it added it", got)
		}
		// And without an event, by the full look every five minutes.
		w.swarm.scaleByHand("kargo-web_web", 4)
		w.pass(5 * time.Minute)
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 4 -> 1")
	})
}

func TestABurstOfNudgesIsOneRound(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.after(func() {
			w.repo.commit("c2", app("app:2", "web")...)
			for range 50 {
				w.loop.Nudge("webhook generic")
			}
		})
		if w.repo.asked > 2 {
			t.Errorf("50 nudges made git be asked %d times", w.repo.asked)
		}
	})
}

func TestABurstOfPushesIsFewRounds(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.forget()
		for range 20 {
			w.loop.Nudge("webhook generic")
			w.rest(200 * time.Millisecond)
		}
		w.rest(3 * time.Second)
		if w.repo.asked > 4 {
			t.Errorf("20 pushes within four seconds made git be asked %d times", w.repo.asked)
		}

		// Whoever is there in person does not wait for that.
		w.loop.Nudge("webhook generic")
		w.loop.Nudge("webhook generic")
		w.rest(0)
		before := w.repo.asked
		w.rest(time.Millisecond)
		w.loop.Nudge("sync")
		w.rest(time.Millisecond)
		if w.repo.asked == before {
			t.Error("a person had to wait for a push")
		}
	})
}

func TestRestartOverWhatIsInForce(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.stop()
		w.start()
		w.wantCalls("observe", "nodes") // whether any has labels of ours is not remembered
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added")
	})
}

func TestRestartInTheMiddleOfADeployment(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.fail = func(change kargo.Change) error {
			if change.Name == "kargo-dbs_dbs" {
				return kargo.Errorf(kargo.Unavailable, "the process is killed about here")
			}
			return nil
		}
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		w.stop()
		w.wantHistory("1 c1 by start: progressing, 4 changes, web added, dbs added (the process is killed about here)")

		w.swarm.fail = nil
		w.start()
		w.wantWrites("create service kargo-dbs_dbs: new")
		w.wantHistory("1 c1 by start: succeeded, 5 changes, web added, dbs added")
	})
}

func TestARolloutIsLookedAtUntilItSettles(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.settling = true
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		if status := w.loop.Status(); status.Stacks[0].Health != kargo.HealthProgressing || status.Applied.Commit != "c1" {
			t.Errorf("health %s, in force %q", status.Stacks[0].Health, status.Applied.Commit)
		}
		w.wantHistory("1 c1 by start: progressing, 4 changes, web added")

		service := w.swarm.services["kargo-web_web"]
		service.Running = 1
		w.swarm.services["kargo-web_web"] = service
		w.pass(20 * time.Second)
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added")
	})
}

func TestDriftIsSeenWhileSomethingElseRollsOut(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.start()
		w.swarm.fate = func(service *kargo.LiveService) { service.Running = 0 }
		w.repo.commit("c2", overriding("app:2", app("app:1", "web", "dbs"))...)
		w.nudge("webhook github")
		w.pass(time.Minute)
		if got := w.loop.Status().Stacks[0].Operation; got != kargo.OperationRollingOut {
			t.Errorf("web is %q, want it rolling out", got)
		}

		w.forget()
		w.swarm.fate = nil
		w.swarm.scaleByHand("kargo-dbs_dbs", 3)
		w.events <- eventOf("service update kargo-dbs_dbs")
		w.rest(time.Second)
		w.wantWrites("update service kargo-dbs_dbs: Mode.Replicated.Replicas: 3 -> 1")

		// Events of what is on its way are not listened to, but looks come
		// often enough.
		w.forget()
		w.swarm.scaleByHand("kargo-web_web", 3)
		w.rest(5 * time.Second)
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 3 -> 1")
	})
}

func TestWhatOthersDoMakesNoCall(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.event("service update somebody-elses")
		w.event("network create bridge")
		w.wantCalls()
		w.event("service create kargo-web_web") // a name that Kargo wants
		w.wantCalls("observe")
	})
}

func TestEachStackSaysWhenItWasVerified(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web", "dbs")...)
		w.repo.commit("c2", append(app("app:1", "web", "dbs"), "deploy/dbs.yml=services: {dbs: {image: 'dbs:1', deploy: {mode: global}}}")...)
		w.repo.head = "c1"
		w.start()
		first := w.loop.Status()
		w.repo.head = "c2"
		w.nudge("webhook github")
		w.pass(6 * time.Minute)
		var got []string
		for i, stack := range w.loop.Status().Stacks {
			moved := stack.LastVerified.After(first.Stacks[i].LastVerified)
			got = append(got, fmt.Sprintf("%s in sync %t, verified since %t, operation %q", stack.Name, stack.InSync, moved, stack.Operation))
		}
		want := []string{`web in sync true, verified since true, operation ""`, `dbs in sync false, verified since false, operation "held"`}
		if !slices.Equal(got, want) || first.Stacks[1].LastVerified.IsZero() {
			t.Errorf("stacks: %q, want %q; first verified %s", got, want, first.Stacks[1].LastVerified)
		}
	})
}

func TestANewerRevisionEndsTheWaitForAnOlderOne(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.settling = true
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.swarm.settling = false
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("webhook gitea")
		w.wantHistory(
			"1 c1 by start: superseded, 4 changes, web added",
			"2 c2 by webhook gitea: succeeded, 1 changes, web changed")
	})
}

func TestS07_APanicEndsTheReadingOnly(t *testing.T) {
	run(t, func(w *world) {
		w.parts.Compiler.Secrets = func(context.Context, kargo.Files) kargo.Files { panic("bug") }
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		if status := w.loop.Status(); status.Fault != "internal" || !strings.Contains(status.Message, "panic while a revision was read: bug") {
			t.Errorf("fault %q, message %q", status.Fault, status.Message)
		}
		w.pass(10 * time.Minute)
		if problems := w.loop.Status().Problems.Error(); !strings.Contains(problems, "reading this revision ended Kargo 2 times; it is left alone") {
			t.Errorf("after some rounds the revision is not left alone: %s", problems)
		}
	})
}

func TestAFailedWriteOfTheMergedConfigurationStopsTheRound(t *testing.T) {
	run(t, func(w *world) {
		var full atomic.Bool
		full.Store(true)
		w.parts.Effects.Write = func(kargo.Workspace) error {
			if full.Load() {
				return errors.New("no space left on device")
			}
			return nil
		}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.wantWrites()
		if status := w.loop.Status(); status.Fault != "internal" {
			t.Errorf("fault %q", status.Fault)
		}
		full.Store(false)
		w.pass(time.Minute)
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added")
	})
}

// The power fails while changes are made that were announced: what was recorded of them
// since then is lost. The next process finds out which were made.
func TestPowerFailsAmongAnnouncedChanges(t *testing.T) {
	run(t, func(w *world) {
		failed := false
		w.swarm.fail = func(change kargo.Change) error {
			if change.Name != "kargo-web_web" || failed {
				return nil
			}
			failed = true
			w.left = w.records.copy()
			lost := &w.left.deployments[0]
			if len(lost.Changes) != 3 || len(lost.Announced) != 1 {
				w.t.Errorf("made are %v, announced %v", lost.Changes, lost.Announced)
			}
			lost.Announced, lost.Changes, lost.UnderWay = append(lost.Changes, lost.Announced...), nil, nil
			return kargo.Errorf(kargo.Unavailable, "connection lost")
		}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.stop()
		*w.records = *w.left
		delete(w.swarm.services, "kargo-web_web")
		w.forget()
		w.start()
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added")
		if d := w.records.deployments[0]; d.Announced != nil || d.Changes[3].Name != "kargo-web_web" {
			t.Errorf("made are %v, announced still %v", d.Changes, d.Announced)
		}
	})
}

// TestKilledWhileDockerWorksOnAChange ends the process between a change and its
// answer. The next one finds out whether it was made, and says so in the history.
func TestKilledWhileDockerWorksOnAChange(t *testing.T) {
	for _, test := range []struct {
		about string
		made  bool
		want  string
	}{
		{"it was made", true, "1 c1 by start: succeeded, 4 changes, web added"},
		{"it was not", false, "1 c1 by start: succeeded, 4 changes, web added"},
	} {
		run(t, func(w *world) {
			killed := false
			w.swarm.fail = func(change kargo.Change) error {
				if change.Name != "kargo-web_web" || killed {
					return nil
				}
				killed = true
				if test.made {
					w.swarm.carryOut(change)
				}
				w.left = w.records.copy() // what is on the disk now
				return kargo.Errorf(kargo.Unavailable, "connection lost")
			}
			w.repo.commit("c1", app("app:1", "web")...)
			w.start()
			w.stop()
			if under := w.left.deployments[0].UnderWay; under == nil || under.Name != "kargo-web_web" {
				t.Fatalf("%s: under way was %v", test.about, under)
			}
			*w.records = *w.left
			if !test.made {
				delete(w.swarm.services, "kargo-web_web")
			}
			w.start()
			w.wantHistory(test.want)
			d := w.records.deployments[0]
			if last := d.Changes[len(d.Changes)-1]; last.Name != "kargo-web_web" || d.UnderWay != nil {
				t.Errorf("%s: the last change is %v, under way %v", test.about, last, d.UnderWay)
			}
			if w.records.memory.Sent["kargo-web_web"].Digest == "" {
				t.Errorf("%s: what was sent is not remembered", test.about)
			}
		})
	}
}

// deaf is a Watcher whose stream breaks at once.
type deaf struct{ asked atomic.Int64 }

func (d *deaf) Watch(context.Context, func(kargo.Event)) error {
	d.asked.Add(1)
	return kargo.Errorf(kargo.Unavailable, "connection refused")
}

// While Docker is away its events are asked for less and less often, up to four times a
// minute.
func TestEventsAreAskedForLessOftenWhileDockerIsAway(t *testing.T) {
	run(t, func(w *world) {
		watcher := &deaf{}
		w.parts.Watcher = watcher
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.swarm.err = kargo.Errorf(kargo.Unavailable, "connection refused")
		before := watcher.asked.Load()
		w.pass(10 * time.Minute)
		if got := watcher.asked.Load() - before; got > 45 {
			t.Errorf("events were asked for %d times in ten minutes", got)
		}
		if looks := len(w.swarm.calls); looks > 100 {
			t.Errorf("the swarm was looked at %d times in ten minutes", looks)
		}
	})
}

// The power fails among announced creations, of which none was sent. If anything holds the
// stack then, the plan says nothing of its other changes: they were not made for that.
func TestPowerFailsBeforeAnnouncedChangesOfAHeldStack(t *testing.T) {
	run(t, func(w *world) {
		w.swarm.fail = func(kargo.Change) error {
			if w.left == nil {
				w.left = w.records.copy()
			}
			return kargo.Errorf(kargo.Unavailable, "connection lost")
		}
		w.repo.commit("c1", "deploy/web.yml=services: {one: {image: one}, two: {image: two}}\n", ".env=STACKS=web\nWEB_STACK=web\n")
		w.start()
		w.stop()
		if announced := w.left.deployments[0].Announced; len(announced) < 3 {
			t.Fatalf("announced are %v", announced)
		}
		*w.records = *w.left
		w.swarm.services["kargo-web_two"] = kargo.LiveService{ID: "1", Name: "kargo-web_two"} // somebody else's
		w.forget()
		w.start()
		if d := w.records.deployments[0]; len(d.Changes) > 3 || slices.ContainsFunc(d.Changes, func(c kargo.Change) bool { return c.Kind == kargo.KindService }) {
			t.Errorf("made are %v, held %v", d.Changes, d.Held)
		}
	})
}
