package controller_test

import (
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/controller"
)

// A task that is unhealthy ends with 0 where its program does so when it is told to
// stop. Which test failed, how often and with what words is said all the same.
func TestAnUnhealthyTaskSaysWhichTestFailed(t *testing.T) {
	run(t, func(w *world) {
		unhealthy := func(image, path string) []string {
			return []string{
				".env=STACKS=web\nWEB_STACK=web\n",
				"deploy/web.yml=services: {web: {image: '" + image + "', healthcheck: {test: [CMD, get, /" + path + "], retries: 2}}}\n",
			}
		}
		w.repo.commit("c1", unhealthy("a:1", "there")...)
		w.start()
		w.swarm.fate = pausing("a:2")
		w.swarm.tasks = []kargo.Task{{ID: "t", Service: "kargo-web_web", Node: "n1", State: "complete", Message: "finished",
			Container: "c", Time: time.Now().Add(time.Hour)}}
		w.swarm.probes = []kargo.Probe{{ExitCode: 1, Output: "404 nothing there\n"}, {ExitCode: 1}, {ExitCode: 0}}
		w.repo.commit("c2", unhealthy("a:2", "nothing")...)
		w.nudge("webhook github")
		failure := w.loop.Status().Stacks[0].Failure
		if failure == nil {
			t.Fatal("the rendering has not failed")
		}
		text := failure.Reason + "\n" + strings.Join(failure.Words, "\n")
		for _, want := range []string{
			`unhealthy, or ended by itself with exit code 0; its health check "get /nothing" counts as failed after 2 failures in a row`,
			"health check: failed 2 times in a row, the last time with exit code 1: 404 nothing there", "log: the end",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the failure does not say %q:\n%s", want, text)
			}
		}
	})
}

// What a task said is in the reason once, also where its health check is said after it.
func TestReasonSaysOnce(t *testing.T) {
	said := "task: non-zero exit (137): dockerexec: unhealthy container"
	words := said + `; its health check "curl" counts as failed after 3 failures in a row`
	for reason, want := range map[string]string{
		"web: rollback completed: " + said: "web: rollback completed: " + words,
		"web: update paused":               "web: update paused: " + words,
		"web: 3 tasks failed: " + words:    "web: 3 tasks failed: " + words,
	} {
		if got := controller.WithWords(reason, said, words); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
