package e2e_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"kargo"
)

// In these tests nobody nudges the controller once the trouble is over: it
// comes back by itself, and without a restart.

func TestGitOutOfReach(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site", environment("GREETING=${GREETING}")).set("GREETING", "hello")
	good := s.begin(w)
	commit := s.repo.commit(w.set("GREETING", "hi"))
	away := s.repo.dir + ".away"
	if err := os.Rename(s.repo.dir, away); err != nil {
		t.Fatal(err)
	}
	s.sync()
	s.awaitFault("unavailable", s.repo.dir)
	s.driftIsCorrected(good)
	if err := os.Rename(away, s.repo.dir); err != nil {
		t.Fatal(err)
	}
	s.awaitDeployment(commit)
	s.awaitFault("", "")
}

// awaitFault waits until the status has that fault, with these words in its
// message.
func (s *scene) awaitFault(fault, words string) kargo.Status {
	s.t.Helper()
	return s.awaitStatus("the fault is "+fault+": "+words, func(k kargo.Status) bool {
		return k.Fault == fault && strings.Contains(k.Message, words)
	})
}

func TestDockerOutOfReach(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site", environment("GREETING=${GREETING}")).set("GREETING", "hello")
	good := s.begin(w)
	s.docker.down()
	commit := s.repo.commit(w.set("GREETING", "hi"))
	s.sync()
	status := s.awaitFault("unavailable", "look at swarm")
	if status.Applied.Commit != good.Revision.Commit {
		t.Errorf("%s is in force, but nothing was carried out", status.Applied)
	}
	s.docker.up()
	s.awaitDeployment(commit)
	s.awaitFault("", "")
	// The stream of events is back, too.
	s.driftIsCorrected(s.history()[0])
}

func TestDockerOutOfReachFromTheStart(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	s.docker.down()
	commit := s.repo.commit(s.workspace().stack("web", "site").service("site"))
	s.start()
	s.awaitFault("unavailable", "look at swarm")
	s.docker.up()
	s.awaitDeployment(commit)
	s.awaitFault("", "")
}

// The deadline of a call is thirty seconds; this test waits for one.
func TestDockerSilent(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site", environment("GREETING=${GREETING}")).set("GREETING", "hello")
	s.begin(w)
	s.docker.meddle(silent)
	commit := s.repo.commit(w.set("GREETING", "hi"))
	s.sync()
	s.awaitFault("unavailable", "did not answer in time")
	s.docker.meddle(nil)
	s.awaitDeployment(commit)
	s.awaitFault("", "")
}

// Docker responds to each write in turn with 500, out of sequence.
func TestSwarmMovedOnDuringAnApply(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().set("COLOUR", "0")
	for _, name := range []string{"one", "two", "three"} {
		w.stack(name, name+"-a", name+"-b").
			service(name+"-a", environment("COLOUR=${COLOUR}")).service(name+"-b", environment("COLOUR=${COLOUR}"))
	}
	s.begin(w)
	for n := range 6 {
		before := len(s.memory.Writes())
		s.docker.meddle(outOfSequence(int64(n + 1)))
		got := s.deploy(w.set("COLOUR", strings.Repeat("1", n+1)))
		if got.Outcome != kargo.OutcomeSucceeded || got.Err != "" {
			t.Errorf("write %d refused: the deployment %s: %s", n+1, got.Outcome, got.Err)
		}
		writes := s.memory.Writes()[before:]
		slices.Sort(writes)
		same(t, "what was written", strings.Join(writes, "\n"), "update service kargo-t-one_one-a\nupdate service kargo-t-one_one-b\n"+
			"update service kargo-t-three_three-a\nupdate service kargo-t-three_three-b\n"+
			"update service kargo-t-two_two-a\nupdate service kargo-t-two_two-b")
	}
}

// Docker does what it is asked, and the answer is lost.
func TestAnswerLostDuringAnApply(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().set("COLOUR", "0").stack("one", "a", "b").
		service("a", environment("COLOUR=${COLOUR}")).service("b", environment("COLOUR=${COLOUR}"))
	s.begin(w)
	for n := range 2 {
		before := len(s.memory.Writes())
		s.docker.meddle(killAt(int64(n+1), true, func() {})) // nobody is killed, the connection is cut
		got := s.deploy(w.set("COLOUR", strings.Repeat("1", n+1)))
		if got.Outcome != kargo.OutcomeSucceeded || got.Err != "" {
			t.Errorf("answer %d lost: the deployment %s: %s", n+1, got.Outcome, got.Err)
		}
		writes := s.memory.Writes()[before:]
		slices.Sort(writes)
		same(t, "what was written", strings.Join(writes, "\n"), "update service kargo-t-one_a\nupdate service kargo-t-one_b")
	}
}

// Docker refuses every write for a while: more than one round plans anew for.
func TestSwarmMovesOnAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site", environment("GREETING=${GREETING}")).set("GREETING", "hello")
	s.begin(w)
	s.docker.meddle(func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
		outOfSequence(1)(w, r, swarm) // a new count for each request
	})
	commit := s.repo.commit(w.set("GREETING", "hi"))
	s.sync()
	s.awaitFault("conflict", "out of sequence")
	s.docker.meddle(nil)
	s.awaitDeployment(commit)
	s.awaitFault("", "")
}
