package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"kargo"
)

// A revision that takes more memory than one may is refused. The controller
// lives, and what was in force stays so.
func TestS06ARevisionThatTakesTooMuchMemory(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	good := s.workspace().stack("web", "app").service("app")
	s.begin(good)
	s.stop()

	s.args = append(s.args, "--read-memory", "192")
	s.start()
	s.repo.commit(good.service("app", environment("A=1")))
	s.awaitRound(s.sync)
	s.awaitStatus("what fits is in force", func(k kargo.Status) bool { return k.Applied.Commit == s.repo.hashes[1] })

	// Files of zeros are small in git, whatever their size.
	for n := range 8 {
		good.file(fmt.Sprintf("configs/zeros-%d", n), strings.Repeat("\x00", 30<<20))
	}
	s.repo.commit(good.service("app", environment("A=2")))
	mark := s.docker.mark()
	s.awaitRound(s.sync)
	status := s.awaitStatus("the revision is refused", func(k kargo.Status) bool { return len(k.Problems) > 0 })
	if got := status.Problems[0].String(); !strings.HasPrefix(got, "this revision cannot be read: it took more than 192 MiB of memory (if it is sound, raise --read-memory") {
		t.Errorf("problem: %s", got)
	}
	if writes := s.docker.writesSince(mark); len(writes) > 0 {
		t.Errorf("Kargo wrote %q", writes)
	}
}
