package controller_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/secrets"
	"kargo/secrets/opener"
)

// outside are values of a workspace that lie outside the repository.
type outside struct {
	values map[string]string
	err    error
	reads  int
}

func (o *outside) open(ctx context.Context, files kargo.Files) kargo.Files {
	return secrets.Options{
		AgeKeys: func() ([]byte, error) { return nil, o.err },
		Variables: func() map[string]string {
			o.reads++
			return o.values
		},
		Start: opener.Start,
	}.Open(ctx, files)
}

const referring = ".env=STACKS=web\nWEB_STACK=web\nLEVEL=ref+env:LEVEL\n"

const reader = "deploy/web.yml=services: {web: {image: 'app:1', environment: ['LEVEL=${LEVEL}']}}\n"

// A value that lies outside the repository changes without a commit. That is
// seen when everything is verified, and at a person's word.
func TestAValueOutsideTheRepositoryChanges(t *testing.T) {
	run(t, func(w *world) {
		o := &outside{values: map[string]string{"LEVEL": "planted-one"}}
		w.parts.Compiler.Secrets = o.open
		w.repo.commit("c1", referring, reader)
		w.start()
		if o.reads != 1 {
			t.Errorf("the value was read %d times for one revision", o.reads)
		}
		o.values["LEVEL"] = "planted-two"
		w.pass(2 * time.Minute)
		w.wantWrites()
		w.pass(5 * time.Minute)
		if got := strings.Join(w.swarm.calls, "\n"); !strings.Contains(got, `update service kargo-web_web: TaskTemplate.ContainerSpec.Env[LEVEL]: "***`) || strings.Contains(got, "planted") {
			t.Errorf("when verified: %s", got)
		}
		o.values["LEVEL"] = "planted-three"
		w.nudge("sync")
		if got := strings.Join(w.swarm.calls, "\n"); !strings.Contains(got, "update service kargo-web_web: ") {
			t.Errorf("at a person's word: %s", got)
		}
		w.nudge("sync")
		w.wantWrites()
		if got := w.records.text(); !strings.Contains(got, "2 c1 by values outside the repository changed: succeeded, 1 changes, web changed\n3 c1 ") ||
			strings.Count(got, "\n") != 3 || strings.Contains(got, "planted") {
			t.Errorf("history:\n%s", got)
		}
	})
}

// A value that is gone, or a store that is away, leaves in force what there is.
func TestAValueOutsideTheRepositoryIsGone(t *testing.T) {
	run(t, func(w *world) {
		o := &outside{values: map[string]string{"LEVEL": "planted-one"}}
		w.parts.Compiler.Secrets = o.open
		w.repo.commit("c1", referring, reader)
		w.start()
		delete(o.values, "LEVEL")
		w.nudge("sync")
		w.wantWrites()
		status := w.loop.Status()
		if status.Applied.Commit != "c1" || status.Fault != "invalid" ||
			!strings.Contains(status.Message, "values outside the repository are refused, those of before stay in force: .env:3: LEVEL: cannot resolve ref+env:LEVEL") {
			t.Errorf("%s is in force; %s: %s", status.Applied.Commit, status.Fault, status.Message)
		}
		o.values["LEVEL"] = "planted-one"
		w.nudge("sync")
		w.wantWrites()
		if status := w.loop.Status(); status.Fault != "" {
			t.Errorf("after it came back: %s", status.Message)
		}
	})
}

// A key that is not there yet is the operator's to mend: the head is read again
// when everything is verified, without another commit.
func TestAHeadThatCannotBeOpenedIsReadAgain(t *testing.T) {
	run(t, func(w *world) {
		o := &outside{values: map[string]string{}}
		w.parts.Compiler.Secrets = o.open
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.commit("c2", referring, reader)
		w.pass(time.Minute)
		w.wantCalls()
		if status := w.loop.Status(); status.Applied.Commit != "c1" || status.Fault != "invalid" {
			t.Errorf("%s is in force; %s: %s", status.Applied.Commit, status.Fault, status.Message)
		}
		o.values["LEVEL"] = "planted-one"
		w.pass(6 * time.Minute)
		if status := w.loop.Status(); status.Applied.Commit != "c2" || status.Fault != "" {
			t.Errorf("%s is in force; %s: %s", status.Applied.Commit, status.Fault, status.Message)
		}
	})
}

// A key service that is away delays a revision, and the next try finds it.
func TestAKeyThatCannotBeReadDelays(t *testing.T) {
	run(t, func(w *world) {
		o := &outside{values: map[string]string{}, err: errors.New("planted: no such device")}
		w.parts.Compiler.Secrets = o.open
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.repo.commit("c2", append(app("app:2", "web"), "configs/a=age-encryption.org/v1\n…")...)
		w.pass(time.Minute)
		if status := w.loop.Status(); status.Applied.Commit != "c1" || status.Fault != kargo.Unavailable.String() ||
			!strings.Contains(status.Message, "read the age keys: planted: no such device") {
			t.Errorf("%s is in force; %s: %s", status.Applied.Commit, status.Fault, status.Message)
		}
		o.err = nil
		w.rest(2 * time.Minute)
		if status := w.loop.Status(); status.Fault != "invalid" || !strings.Contains(status.Message, "no key is given to open it") {
			t.Errorf("%s: %s", status.Fault, status.Message)
		}
	})
}
