package e2e_test

import (
	"net"
	"net/http"
	"testing"

	"kargo"
)

// Each of these ends the controller with SIGTERM, see controller.stop, while it
// is busy with something else.

func TestSIGTERMWhileIdle(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	s.begin(s.workspace().stack("web", "site").service("site"))
	s.stop()
}

func TestSIGTERMDuringARollout(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site", replicas(1))
	s.repo.commit(w.set("SITE_CONSTRAINTS", "node.labels.nosuch==true")) // its task waits for ever
	s.start()
	s.awaitStatus("the stack is on its way", func(k kargo.Status) bool {
		return len(k.Stacks) == 1 && k.Stacks[0].Health == kargo.HealthProgressing
	})
	s.stop()
	// The next process goes on with the same deployment.
	s.start()
	history := s.history()
	if len(history) != 1 || !history[0].Finished.IsZero() {
		t.Errorf("the history is %+v, want one open deployment", history)
	}
	s.stop()
}

func TestSIGTERMWhileDockerIsSilent(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	s.repo.commit(s.workspace().stack("web", "site").service("site"))
	asked := make(chan struct{}, 100)
	s.docker.meddle(func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
		if isWrite(describe(r)) {
			asked <- struct{}{}
			silent(w, r, swarm)
		}
		swarm.ServeHTTP(w, r)
	})
	s.start()
	<-asked
	s.stop()
}

func TestSIGTERMWhileGitIsSilent(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // accepts, and says nothing
		for {
			if _, err := listener.Accept(); err != nil {
				return
			}
			asked <- struct{}{}
		}
	}()
	s := inMemory(t, "--repo", "http://"+listener.Addr().String()+"/platform.git")
	s.start()
	<-asked
	s.stop()
}
