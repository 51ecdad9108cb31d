package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"kargo"
	"kargo/server"
)

// before and after are two revisions with every kind of change between them:
// stacks that come and go, services that change, configs and secrets with new
// content, one service that leaves its stack.
func killRevisions(s *scene) (before, after *workspace) {
	before = s.workspace().set("COLOUR", "red").
		file("configs/one.txt", "one\n").file("configs/two.txt", "two\n").file("configs/key.txt", "key\n")
	for i := range 4 {
		a, b := fmt.Sprintf("keep-a%d", i), fmt.Sprintf("keep-b%d", i)
		before.stack(fmt.Sprintf("keep%d", i), a, b)
		before.service(a, environment("COLOUR=${COLOUR}")).service(b)
	}
	before.service("keep-b0", config("/one.txt", "configs/one.txt"))
	before.service("keep-b1", secret("key", "configs/key.txt"))
	before.stack("keep2", "keep-a2", "keep-b2", "leaver").service("leaver")
	for i := range 2 {
		a, b := fmt.Sprintf("gone-a%d", i), fmt.Sprintf("gone-b%d", i)
		before.stack(fmt.Sprintf("gone%d", i), a, b)
		before.service(a).service(b, config("/two.txt", "configs/two.txt"))
	}

	after = before.clone().set("COLOUR", "blue").drop("gone0").drop("gone1").
		file("configs/one.txt", "one, again\n").file("configs/key.txt", "key, again\n")
	after.stack("keep2", "keep-a2", "keep-b2")
	for i := range 3 {
		a, b := fmt.Sprintf("come-a%d", i), fmt.Sprintf("come-b%d", i)
		after.stack(fmt.Sprintf("come%d", i), a, b)
		after.service(a, config("/two.txt", "configs/two.txt")).service(b, secret("key", "configs/key.txt"))
	}
	return before, after
}

const leastChanges = 30

// killRun is one run from the one revision to the other, with a kill on the
// way, and what can be told of it afterwards.
type killRun struct {
	*scene
	commit string // of the second revision
	mark   int    // writes before it
}

func newKillRun(t *testing.T) *killRun {
	t.Helper()
	k := &killRun{scene: inMemory(t)}
	before, after := killRevisions(k.scene)
	k.begin(before)
	k.mark = len(k.memory.Writes())
	k.commit = k.repo.commit(after)
	return k
}

// writes are what was carried out for the second revision, in order of text:
// a write too many shows, wherever it was.
func (k *killRun) writes() string {
	writes := k.memory.Writes()[k.mark:]
	slices.Sort(writes)
	return strings.Join(writes, "\n") + "\n"
}

// killed lets the controller be killed around its n-th write, starts another,
// and waits until all has settled.
func (k *killRun) killed(n int64, after bool) {
	k.t.Helper()
	k.docker.meddle(killAt(n, after, k.kill))
	k.signalRound()
	k.dead()
	k.docker.meddle(nil)
	k.start()
	k.awaitDeployment(k.commit)
}

// signalRound asks for a round without waiting for an answer: the controller
// may be dead before it gives one.
func (k *killRun) signalRound() { k.signal(syscall.SIGHUP) }

// TestKilledAnywhereItEndsTheSame kills the controller before and after every
// single write of a plan. Whatever is left undone, the next process does, and
// it does nothing twice.
func TestKilledAnywhereItEndsTheSame(t *testing.T) {
	t.Parallel()
	unharmed := newKillRun(t)
	unharmed.sync()
	deployment := unharmed.awaitDeployment(unharmed.commit)
	if len(deployment.Changes) < leastChanges || deployment.Outcome != kargo.OutcomeSucceeded {
		t.Fatalf("the run without a kill %s with %d changes, want at least %d", deployment.Outcome, len(deployment.Changes), leastChanges)
	}
	state, writes := unharmed.state(), unharmed.writes()

	var running sync.WaitGroup
	places := make(chan struct{}, 8) // the runs mostly wait
	for n := range deployment.Changes {
		for _, moment := range []string{"before", "after"} {
			running.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				t.Run(fmt.Sprintf("%s write %d", moment, n+1), func(t *testing.T) {
					k := newKillRun(t)
					k.killed(int64(n+1), moment == "after")
					same(t, "the state", k.state(), state)
					same(t, "what was written", k.writes(), writes)
					k.checkHistory(deployment.Changes)
				})
			})
		}
	}
	running.Wait()
}

// TestKilledAfterEveryWriteInTurn lets no process live longer than one write.
func TestKilledAfterEveryWriteInTurn(t *testing.T) {
	t.Parallel()
	eachSwarm(t, func(t *testing.T, s *scene) {
		before, after := killRevisions(s)
		s.begin(before)
		s.stop()
		untouched := s.state()
		commit := s.repo.commit(after)

		kills := 0
		for s.killedAfterOneWrite(commit) {
			kills++
		}
		got := s.state()
		s.stop()

		if kills < leastChanges {
			t.Errorf("killed %d times, want at least %d", kills, leastChanges)
		}
		// The same Swarm again, from the start and without a kill.
		s.removeAll()
		calm := s.again()
		if d := calm.begin(before); d.Outcome != kargo.OutcomeSucceeded {
			t.Fatalf("the first deployment of the run without a kill %s: %s", d.Outcome, d.Err)
		}
		same(t, "the state before", untouched, calm.state())
		calm.deploy(after)
		same(t, "the state", got, calm.state())
	})
}

// killedAfterOneWrite starts a controller and kills it after its first write. Others that
// were sent beside it do not reach Swarm. It returns false once nothing is left to write and everything has settled.
func (s *scene) killedAfterOneWrite(commit string) bool {
	s.t.Helper()
	kill := killAt(1, true, s.kill)
	var writes atomic.Int64
	s.docker.meddle(func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
		if isWrite(describe(r)) && !isOfLease(r) && writes.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		kill(w, r, swarm)
	})
	defer s.docker.meddle(nil)
	s.launch()
	_, exited := s.process()
	killed := false
	until(s.t, "the controller writes or has nothing to do", func() bool {
		select {
		case <-exited:
			killed = true
			return true
		default:
		}
		body, err := s.get("/api/v1/deployments?limit=1")
		var page server.Deployments
		return err == nil && json.Unmarshal(body, &page) == nil && len(page.Deployments) == 1 &&
			page.Deployments[0].Revision.Commit == commit && !page.Deployments[0].Finished.IsZero()
	})
	return killed
}

// checkHistory: deployments are numbered without a gap, all have ended, the
// last one well. Each change is in the history once, also the one whose answer
// the kill cut off.
func (k *killRun) checkHistory(wanted []kargo.Change) {
	k.t.Helper()
	deployments := k.history()
	told := map[string]int{}
	for i, d := range deployments {
		if d.Number != uint64(len(deployments)-i) || d.Finished.IsZero() {
			k.t.Errorf("deployment %d in place %d %s", d.Number, i, d.Outcome)
		}
		if d.Revision.Commit == k.commit {
			for _, change := range d.Changes {
				told[change.String()]++
			}
		}
	}
	if newest := deployments[0]; newest.Outcome != kargo.OutcomeSucceeded {
		k.t.Errorf("the last deployment %s: %s", newest.Outcome, newest.Err)
	}
	var missing []string
	for _, change := range wanted {
		switch told[change.String()] {
		case 0:
			missing = append(missing, change.String())
		case 1:
		default:
			k.t.Errorf("the history tells %d times of %s", told[change.String()], change)
		}
	}
	if len(missing) > 0 || len(told) > len(wanted) {
		k.t.Errorf("the history lacks %q", missing)
	}
}

// same compares texts a line at a time, so that a failure can be read.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range wantLines {
		if !slices.Contains(gotLines, line) {
			t.Errorf("%s lacks  %s", what, line)
		}
	}
	for _, line := range gotLines {
		if !slices.Contains(wantLines, line) {
			t.Errorf("%s has    %s", what, line)
		}
	}
	if !t.Failed() {
		t.Errorf("%s has its lines in another order or number:\n%s\nwant\n%s", what, got, want)
	}
}
