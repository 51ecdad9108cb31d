package e2e_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kargo"
)

// At the address of the repository is another one. Its stacks are created, as after any push,
// but those that run stay until a person approves their removal: also when the new ones run,
// after the next commit, and after a start of the controller.
func TestAnotherRepositoryAtTheAddress(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	s.begin(s.workspace().stack("web", "site").service("site"))
	s.replaceRepository()
	other := s.workspace().stack("shop", "till").service("till")
	running := func(want ...string) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(s.services())); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	held := func() kargo.Status {
		t.Helper()
		return s.awaitStatus("the removal of web is held", func(k kargo.Status) bool {
			return len(k.Pending.Held) == 1 && strings.Contains(k.Pending.Held[0].Reason, "its removal waits for approval") && k.Head.Commit == s.repo.git("rev-parse", "HEAD")
		})
	}
	shop, web := s.service("shop", "till"), s.service("web", "site")
	s.repo.commit(other)
	s.sync()
	held()
	s.sync()
	held()
	running(shop, web)
	s.repo.commit(other.file("configs/more", "more\n"))
	s.sync()
	held()
	running(shop, web)
	s.stop()
	s.start()
	held()
	running(shop, web)
	s.repo.commit(s.workspace().stack("shop", "till").service("till").stack("web", "site").service("site"))
	s.sync()
	s.awaitStatus("nothing is held", func(k kargo.Status) bool { return len(k.Pending.Held) == 0 })
	running(shop, web)
}

// Once a person has approved their removal, the stacks of the repository before are removed.
func TestTheRemovalOfStacksOfAnotherRepositoryIsApproved(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	s.begin(s.workspace().stack("web", "site").service("site"))
	s.replaceRepository()
	s.repo.commit(s.workspace().stack("shop", "till").service("till"))
	s.sync()
	shop := s.service("shop", "till")
	status := s.awaitStatus("shop runs, and the removal of web is held", func(k kargo.Status) bool {
		return len(k.Pending.Held) == 1 && strings.Contains(k.Pending.Held[0].Reason, "too many stacks left")
	})
	if got := s.cli("approve", status.Pending.ID); got.code != 0 {
		t.Fatalf("kargo approve: %s", got)
	}
	s.awaitStatus("only shop runs", func(k kargo.Status) bool {
		_, runs := s.services()[shop]
		return runs && len(s.services()) == 1 && len(k.Pending.Held) == 0
	})
}

// replaceRepository puts an empty repository in the place of the one that is followed.
func (s *scene) replaceRepository() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.repo.dir, ".git")); err != nil {
		s.t.Fatal(err)
	}
	s.repo.git("init", "-q", "-b", "main")
}

func emptyEnv(s *scene) {
	if err := os.WriteFile(filepath.Join(s.repo.dir, ".env"), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.repo.commitAll()
}

// What is at the address of the repository is no workspace any more. What runs stays, and the
// status says what is wrong. A default branch that was renamed is followed.
func TestNoWorkspaceAtTheAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		replace func(s *scene)
		fault   string
		words   string
	}{
		{"an empty repository", func(s *scene) { s.replaceRepository() }, "unavailable", "HEAD names a branch that does not exist"},
		{"no files", func(s *scene) { s.repo.git("rm", "-rfq", "."); s.repo.commitAll() }, "invalid", ".env: is missing"},
		{"an empty .env", emptyEnv, "invalid", ".env: STACKS names no stack"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t)
			good := s.begin(s.workspace().stack("web", "site").service("site"))
			test.replace(s)
			s.sync()
			if status := s.awaitFault(test.fault, test.words); status.Applied.Commit != good.Revision.Commit {
				t.Errorf("%s is in force", status.Applied)
			}
			s.driftIsCorrected(good)
		})
	}
	t.Run("a renamed branch", func(t *testing.T) {
		t.Parallel()
		s := inMemory(t)
		w := s.workspace().stack("web", "site").service("site", environment("A=${A}")).set("A", "1")
		s.begin(w)
		s.repo.git("branch", "-m", "main", "trunk")
		s.deploy(w.set("A", "2"))
	})
}
