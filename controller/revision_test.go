package controller_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kargo"
)

// The hashes of files show what a revision has changed. If no file changed that
// was read, nothing is rendered.
func TestARevisionWhoseFilesAnswerAlikeIsNotRendered(t *testing.T) {
	run(t, func(w *world) {
		rendered := 0
		w.parts.Compiler.Secrets = func(_ context.Context, files kargo.Files) kargo.Files { rendered++; return files }
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.steady = true
		w.repo.commit("c2", "unread=1")
		w.nudge("webhook gitlab")
		w.repo.commit("c3", "unread=2")
		w.nudge("webhook gitlab")
		w.wantCalls()
		w.wantHistory(
			"1 c1 by start: succeeded, 4 changes, web added",
			"2 c2 by webhook gitlab: succeeded, 0 changes, web unchanged",
			"3 c3 by webhook gitlab: succeeded, 0 changes, web unchanged")
		if rendered != 1 {
			t.Errorf("rendered %d times", rendered)
		}
		if got := w.loop.Status().Applied; got.Commit != "c3" || got.Catalogue != "test" {
			t.Errorf("%+v is in force", got)
		}
	})
}

// Shared layers count, too: the revision is the same if all of them answer
// alike.
func TestLayersAnswerAlikeTogether(t *testing.T) {
	run(t, func(w *world) {
		base := layered(w)
		w.start()
		w.repo.steady = true
		base.commit("b2", ".env=IMAGE=app:2", "deploy/web.yml=services: {web: {image: '${IMAGE}'}}")
		w.nudge("sync")
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)
		base.steady = true
		base.commit("b3", "unread=1")
		w.nudge("sync")
		w.wantWrites()
		if got := w.loop.Status().Applied.ID(); got != "u1+base@b3" {
			t.Errorf("%s is in force", got)
		}
	})
}

func TestRewrittenHistoryIsSaid(t *testing.T) {
	run(t, func(w *world) {
		var log strings.Builder
		w.logTo(&log)
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.rewrote = "c1"
		w.repo.commit("c0", app("app:0", "web")...)
		w.nudge("webhook gitlab")
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:0"`)
		w.wantHistory(
			"1 c1 by start: succeeded, 4 changes, web added",
			"2 c0 by webhook gitlab, history was rewritten: c1 is no ancestor: succeeded, 1 changes, web changed")
		if !strings.Contains(log.String(), `level=WARN msg="history was rewritten: c1 is no ancestor" revision=c0`) {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

// What was wrong with a head may have been mended elsewhere: a key is allowed
// by now. A person's word has it read again; the schedule alone does not.
func TestARefusedHeadIsReadAgainAtAPersonsWord(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.refused = &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "signature"}, Err: errors.New("a key that is not allowed")}
		w.repo.commit("c2", app("app:2", "web")...)
		w.pass(time.Minute)
		w.repo.refused = nil
		w.pass(2 * time.Minute)
		if status := w.loop.Status(); status.Applied.Commit != "c1" || !strings.Contains(status.Message, "signature: a key that is not allowed") {
			t.Errorf("%s is in force, %s", status.Applied, status.Message)
		}
		w.nudge("sync")
		if status := w.loop.Status(); status.Applied.Commit != "c2" || status.Fault != "" {
			t.Errorf("after sync %s is in force, %s", status.Applied, status.Message)
		}
	})
}
