package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"kargo"
	"kargo/controller"
)

// mute is a source that may fall silent: it answers nothing then, until the
// caller gives up or the test lets it speak.
type mute struct {
	controller.Source
	silent  atomic.Pointer[chan struct{}]
	fetches atomic.Int64
}

func (m *mute) Head(ctx context.Context) (kargo.RevisionID, error) {
	if err := m.listen(ctx); err != nil {
		return "", err
	}
	return m.Source.Head(ctx)
}

func (m *mute) Fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error) {
	m.fetches.Add(1)
	return m.Source.Fetch(ctx, id)
}

func (m *mute) listen(ctx context.Context) error {
	spoken := m.silent.Load()
	if spoken == nil {
		return nil
	}
	select {
	case <-*spoken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Minute): // longer than any timeout of git
		return kargo.Errorf(kargo.Unavailable, "git did not answer")
	}
}

func (m *mute) fallSilent() { spoken := make(chan struct{}); m.silent.Store(&spoken) }

func (m *mute) speak() { close(*m.silent.Swap(nil)) }

// silentGit puts a source that may fall silent before the repository.
func (w *world) silentGit() *mute {
	m := &mute{Source: w.parts.Source}
	w.parts.Source = m
	return m
}

func TestDriftIsCorrectedWhileGitIsSilent(t *testing.T) {
	run(t, func(w *world) {
		git := w.silentGit()
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		git.fallSilent()
		w.repo.commit("c2", app("app:2", "web")...)
		w.loop.Nudge("webhook test")
		w.rest(time.Second)
		w.forget()
		w.swarm.scaleByHand("kargo-web_web", 3)
		w.events <- eventOf("service update kargo-web_web")
		w.rest(7 * time.Second)
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 3 -> 1")

		w.forget()
		git.speak()
		w.rest(20 * time.Second)
		w.wantWrites(`update service kargo-web_web: TaskTemplate.ContainerSpec.Image: "app:1" -> "app:2"`)
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added",
			"2 c1 by swarm event: succeeded, 1 changes, web corrected",
			"3 c2 by webhook test: succeeded, 1 changes, web changed")
	})
}

func TestARolloutIsJudgedWhileGitIsSilent(t *testing.T) {
	run(t, func(w *world) {
		git := w.silentGit()
		w.repo.commit("c1", pair("a:1", "b:1")...)
		w.start()
		w.swarm.fate = pausing("a:2")
		w.repo.commit("c2", pair("a:2", "b:2")...)
		w.loop.Nudge("webhook test")
		w.rest(10 * time.Millisecond)
		git.fallSilent()
		w.loop.Nudge("webhook test")
		w.rest(40 * time.Second)
		w.wantImages("a:1 b:1")
		git.speak()
	})
}

// What is in force is looked after although git says nothing from the start.
func TestARestartWhileGitIsSilent(t *testing.T) {
	run(t, func(w *world) {
		git := w.silentGit()
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		w.stop()
		git.fallSilent()
		w.swarm.scaleByHand("kargo-web_web", 3)
		w.start()
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 3 -> 1")
		git.speak()
	})
}

func TestAPreviewKeepsNoRoundWaiting(t *testing.T) {
	run(t, func(w *world) {
		git := w.silentGit()
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		git.fallSilent()
		ended := make(chan error, 1)
		go func() {
			_, err := w.loop.Preview(w.t.Context())
			ended <- err
		}()
		w.rest(time.Second)
		w.forget()
		w.swarm.scaleByHand("kargo-web_web", 3)
		w.event("service update kargo-web_web")
		w.wantWrites("update service kargo-web_web: Mode.Replicated.Replicas: 3 -> 1")
		git.speak()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestACommitIsFetchedOnce(t *testing.T) {
	run(t, func(w *world) {
		git := w.silentGit()
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		before := git.fetches.Load()
		git.fallSilent()
		w.repo.commit("c2", app("app:2", "web")...)
		for range 5 { // impatient people
			w.loop.Nudge("sync by api")
			w.rest(10 * time.Second)
		}
		git.speak()
		w.rest(20 * time.Second)
		if got := git.fetches.Load() - before; got != 1 {
			t.Errorf("the commit was fetched %d times", got)
		}
		if !slices.Contains(w.written, "c2") {
			t.Errorf("written are %q", w.written)
		}
	})
}

// A webhook may be quicker than the replica of the git host that answers.
func TestAWebhookThatBeatsTheReplica(t *testing.T) {
	run(t, func(w *world) {
		w.repo.commit("c1", app("app:1", "web")...)
		w.parts.Behavior.Poll = controller.Every(24 * time.Hour)
		w.start()
		w.loop.Nudge("webhook test")
		w.rest(10 * time.Second)
		w.repo.commit("c2", app("app:2", "web")...) // the replica has it now
		w.rest(10 * time.Second)
		w.wantHistory("1 c1 by start: succeeded, 4 changes, web added", "2 c2 by webhook, asked again: succeeded, 1 changes, web changed")
		w.forget()
		w.loop.Nudge("webhook test") // for a branch that is not followed
		w.rest(time.Hour)
		if w.repo.asked > 6 {
			t.Errorf("git was asked %d times in an hour for one webhook", w.repo.asked)
		}
	})
}

// A revision is tried before it is read, and told what need not be tried. What is in
// force was read by this process already when the head is the same after a restart.
func TestWhatIsTried(t *testing.T) {
	run(t, func(w *world) {
		var tried []string
		w.parts.Effects.Try = func(ctx context.Context, trial controller.Trial) error {
			compileIt, known, err := trial.Fetched(ctx)
			tried = append(tried, fmt.Sprint(trial.Revision, " ", compileIt, " ", len(known)))
			return err
		}
		want := func(when string, want ...string) {
			t.Helper()
			if !slices.Equal(tried, want) {
				t.Errorf("%s: tried %q, and not %q", when, tried, want)
			}
			tried = nil
		}
		w.repo.commit("c1", app("app:1", "web")...)
		w.start()
		want("the first revision", "c1 true 0")
		w.repo.commit("c2", app("app:2", "web")...)
		w.nudge("webhook test")
		want("another one", "c2 true 1")
		w.stop()
		w.start()
		want("a restart")
	})
}

// A process ends in the middle of a deployment, and git is away when the next one begins:
// what was begun goes on. It is not undone.
func TestWhatWasBegunGoesOnWithoutGit(t *testing.T) {
	for _, readable := range []bool{true, false} {
		t.Run(fmt.Sprint("readable ", readable), func(t *testing.T) {
			inMatrix(t, func(m *matrix) {
				m.repo.commit("c0", fine.files()...)
				m.begin()
				m.push(fine)
				writes := 0
				m.engine.Fail(func(r *http.Request) (int, string) {
					if r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/services/") {
						return 0, ""
					}
					if writes++; writes == 1 {
						return 0, ""
					}
					return http.StatusServiceUnavailable, "the daemon is away"
				})
				m.pushes++
				m.last = newer
				m.repo.commit("c2", newer.files()...)
				m.loop.Nudge("webhook test")
				m.live(5)
				m.stop()
				if writes < 2 || m.records.memory.Applied.Revision.Commit != "c1" {
					t.Fatalf("%d writes, and %s is in force", writes, m.records.memory.Applied.Revision)
				}
				m.engine.Fail(nil)
				m.repo.fail(kargo.Errorf(kargo.Unavailable, "git is away"))
				if !readable {
					m.repo.commits["c2"] = fstest.MapFS{".env": &fstest.MapFile{Data: []byte("STACKS='web")}}
				}
				before := len(m.engine.Writes())
				m.begin()
				m.live(150)
				want := newer.want()
				if !readable {
					want = fine.want()
				}
				if got := m.runningImages(); got != want {
					t.Errorf("without git %s run, want %s", got, want)
				}
				for _, write := range m.engine.Writes()[before:] {
					if readable && strings.HasPrefix(write, "remove ") {
						t.Errorf("undone was %s", write)
					}
				}
				m.repo.commits["c2"] = nil
				m.repo.fail(nil)
				m.repo.commit("c2", newer.files()...)
				m.loop.Nudge("webhook test")
				m.live(300)
				for _, problem := range m.lost() {
					t.Error(problem)
				}
			})
		})
	}
}
