package e2e_test

import (
	"fmt"
	"slices"
	"testing"

	"kargo"
	"kargo/swarm/swarmtest"
)

// eachSwarm runs a test on the Swarm in memory and on the real engine.
func eachSwarm(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		test(t, inMemory(t))
	})
	t.Run("on Docker", func(t *testing.T) {
		t.Parallel()
		test(t, onDocker(t))
	})
}

// eachQuietSwarm is eachSwarm with the real engine for this test alone: it is not
// parallel, and the tests of other packages wait. A controller looks again after the
// events of others, so that calls can only be counted there.
func eachQuietSwarm(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Run("in memory", func(t *testing.T) { test(t, inMemory(t)) })
	t.Run("on Docker", func(t *testing.T) {
		swarmtest.EngineAlone(t, testBed(t, "KARGO_TEST_DOCKER"))
		test(t, onDocker(t))
	})
}

// twentyStacks has two services a stack. One service of one stack reads a
// variable and has a task.
func twentyStacks(s *scene) *workspace {
	w := s.workspace().set("GREETING", "hello")
	w.stable = "5s" // as where nobody says otherwise
	for i := range 20 {
		a, b := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
		w.stack(fmt.Sprintf("s%d", i), a, b)
		w.service(a, networks("back"), replicas(0)).service(b, networks("back"))
	}
	return w.service("a7", networks("back"), replicas(1), environment("GREETING=${GREETING}"))
}

func TestOneVariableMovesOneServiceOfForty(t *testing.T) {
	eachQuietSwarm(t, func(t *testing.T, s *scene) {
		w := twentyStacks(s)
		first := s.begin(w)
		if first.Outcome != kargo.OutcomeSucceeded || len(s.services()) != 40 {
			t.Fatalf("the first deployment %s, %d services run", first.Outcome, len(s.services()))
		}
		before, mark := s.services(), s.docker.mark()

		second := s.deploy(w.set("GREETING", "good evening"))

		after := s.services()
		changed := s.service("s7", "a7")
		if got := moved(before, after); !slices.Equal(got, []string{changed}) {
			t.Errorf("moved are %v, want %s only", got, changed)
		}
		for name, service := range after {
			if name != changed && asJSON(t, service.Previous) != asJSON(t, before[name].Previous) {
				t.Errorf("%s has another PreviousSpec", name)
			}
		}
		if got := s.docker.writesSince(mark); !slices.Equal(got, []string{"POST /services/{id}/update"}) {
			t.Errorf("writes are %q, want one update", got)
		}
		// While the task starts the services are looked at again and again.
		if got := slices.Compact(s.docker.callsSince(mark)); len(got) > 7 {
			t.Errorf("%d kinds of calls of Docker, want at most 7: %q", len(got), got)
		}
		wantReason := `TaskTemplate.ContainerSpec.Env[GREETING]: "hello" -> "good evening"`
		if len(second.Changes) != 1 || second.Changes[0].Reason != wantReason {
			t.Errorf("the history says %v, want %s", second.Changes, wantReason)
		}

		nothingMoves(t, s, "a second round", func() { s.awaitRound(s.sync) })
		nothingMoves(t, s, "a commit of a README", func() { s.deploy(w.file("README.md", "# Platform\n")) })
	})
}

// Nobody asks for a look: the commit alone says what may have moved.
func TestOneVariableMakesFewCalls(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "--interval", "1s")
	w := s.workspace().stack("web", "site").service("site", config("/etc/site.conf", "configs/site"), environment("GREETING=${GREETING}")).file("configs/site", "one\n")
	s.begin(w.set("GREETING", "hello"))
	for _, step := range []struct {
		what   string
		change func() *workspace
		want   []string
	}{
		{"a variable", func() *workspace { return w.set("GREETING", "good evening") }, []string{
			"GET /services", "POST /services/{id}/update", "GET /services", "GET /tasks"}},
		{"a config file", func() *workspace { return w.file("configs/site", "two\n") }, []string{
			"GET /services", "GET /networks", "GET /configs", "GET /secrets", "POST /configs/create", "POST /services/{id}/update",
			"GET /services", "GET /tasks"}},
	} {
		mark := s.docker.mark()
		commit := s.repo.commit(step.change())
		s.awaitDeployment(commit)
		if got := s.docker.callsSince(mark); !slices.Equal(got, step.want) {
			t.Errorf("%s: Docker was asked %q, want %q", step.what, got, step.want)
		}
	}
}

// A first deployment looks at everything before it creates anything. What it has created
// it knows, so it looks at the services afterwards, and once at their tasks.
func TestFirstDeploymentMakesFewCalls(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "--interval", "1s")
	s.begin(s.workspace().stack("web", "site").service("site", config("/etc/site.conf", "configs/site")).file("configs/site", "one\n"))
	reads := slices.DeleteFunc(s.docker.callsSince(0), isWrite)
	slices.Sort(reads)
	want := []string{"GET /configs", "GET /distribution/kargo/testserver:1/json", "GET /events", "GET /networks", "GET /nodes", "GET /secrets",
		"GET /services", "GET /services", "GET /swarm", "GET /tasks"}
	if !slices.Equal(reads, want) {
		t.Errorf("Docker was asked %q, want %q", reads, want)
	}
}

// A restart that finds everything as it was left asks for the join token, which tells the
// version of the API, too; listens to events; and looks at everything. The configs have the
// key. The nodes say whether one of them is down.
func TestRestartMakesFewCalls(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "--interval", "1s")
	s.begin(s.workspace().stack("web", "site").service("site", config("/etc/site.conf", "configs/site")).file("configs/site", "one\n"))
	s.stop()
	mark := s.docker.mark()
	s.start()
	until(t, "the controller has looked", func() bool { return slices.Contains(s.docker.callsSince(mark), "GET /nodes") })
	before := s.status().Rounds
	until(t, "one more round has run", func() bool { return s.status().Rounds > before })
	calls := s.docker.callsSince(mark)
	slices.Sort(calls)
	want := []string{"GET /configs", "GET /events", "GET /networks", "GET /nodes", "GET /secrets", "GET /services", "GET /swarm"}
	if !slices.Equal(calls, want) {
		t.Errorf("Docker was asked %q, want %q", calls, want)
	}
}

// nothingMoves does something and checks that nothing was written.
func nothingMoves(t *testing.T, s *scene, what string, do func()) {
	t.Helper()
	before, mark := s.services(), s.docker.mark()
	do()
	if got := moved(before, s.services()); len(got) > 0 {
		t.Errorf("%s moved %v", what, got)
	}
	if got := s.docker.writesSince(mark); len(got) > 0 {
		t.Errorf("%s wrote %q", what, got)
	}
}

// A person who says `kargo sync` wants everything looked at; a push does not.
func TestReadmeCommitAsksDockerNothing(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "--interval", "1s")
	w := s.workspace().stack("web", "site").service("site")
	s.begin(w)
	mark := s.docker.mark()
	commit := s.repo.commit(w.file("README.md", "# Platform\n"))
	got := s.awaitDeployment(commit)
	if calls := s.docker.callsSince(mark); len(calls) > 0 {
		t.Errorf("Docker was asked %q", calls)
	}
	if got.Outcome != kargo.OutcomeSucceeded || len(got.Changes) != 0 {
		t.Errorf("the deployment %s with %v", got.Outcome, got.Changes)
	}
}
