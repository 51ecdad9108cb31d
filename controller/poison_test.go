package controller_test

import (
	"context"
	"io/fs"
	"kargo"
	"strings"
	"testing"
	"time"
)

// poisoned makes reading a revision with a file "poison" in it end the round.
func (w *world) poisoned() {
	w.parts.Compiler.Secrets = func(_ context.Context, files kargo.Files) kargo.Files {
		if _, err := fs.Stat(files.FS, "poison"); err == nil {
			panic("poison")
		}
		return files
	}
}

// A revision that an earlier program read and this one stumbles over does not
// keep it from the next one.
func TestS07_TheLastGoodRevisionMayTurnToPoison(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", append(app("app:1", "web"), "poison=x")...)
		w.start()
		w.stop()
		w.poisoned()
		w.start()
		w.pass(10 * time.Minute)
		w.wantWrites()
		if problems := w.loop.Status().Problems.Error(); !strings.Contains(problems, "reading this revision ended Kargo 2 times; it is left alone") {
			t.Errorf("the head is not left alone: %s", problems)
		}
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("sync")
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)
	})
}

// A process that was killed while it read a revision, twice, is followed by one
// that leaves the revision alone.
func TestS07_AKilledProcessDoesNotTryForEver(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.records.attempts["c1"] = 2 // what two killed processes left behind
		w.start()
		w.wantWrites()
		if problems := w.loop.Status().Problems.Error(); !strings.Contains(problems, "reading this revision ended Kargo 2 times; it is left alone (push another commit, and please report this one)") {
			t.Errorf("problems: %s", problems)
		}
	})
}
