package e2e_test

import (
	"testing"

	"kargo"
)

// The branch that is followed is deleted at the git host. What runs stays, and its drift is
// corrected; the status says what is missing. When the branch is there again, with another
// history, it is followed.
func TestTheBranchIsDeletedAndComesAgain(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "--ref", "release")
	w := s.workspace().stack("web", "site").service("site", environment("A=${A}")).set("A", "1")
	commit := s.repo.commit(w)
	s.repo.git("branch", "release")
	s.start()
	good := s.awaitDeployment(commit)
	s.repo.git("branch", "-D", "release")
	s.sync()
	s.awaitFault("unavailable", `the remote has no ref "release" (was the branch renamed or deleted?)`)
	s.driftIsCorrected(good)
	if status := s.status(); status.Applied.Commit != commit || status.Sentence() != "the repository cannot be read; t-web is well" {
		t.Errorf("%s is in force: %s", status.Applied, status.Sentence())
	}
	s.stop()
	s.start() // a new process has nothing but the stored commit
	s.driftIsCorrected(good)

	s.repo.git("checkout", "-q", "--orphan", "release")
	next := s.repo.commit(w.set("A", "2"))
	s.awaitStatus("the branch is followed, without being asked to", func(k kargo.Status) bool { return k.Applied.Commit == next })
}
