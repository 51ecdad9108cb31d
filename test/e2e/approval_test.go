package e2e_test

import (
	"strings"
	"testing"

	"kargo"
)

func TestRemovalOfManyStacksWaitsForApproval(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace()
	for _, name := range []string{"one", "two", "three", "four"} {
		w.stack(name, name).service(name)
	}
	s.begin(w)
	before, mark := s.services(), s.docker.mark()
	w.drop("two").drop("three").drop("four")
	commit := s.repo.commit(w)
	s.sync()
	status := s.awaitStatus("the removal is held", func(k kargo.Status) bool {
		return k.Applied.Commit == commit && len(k.Pending.Held) > 0
	})
	if got := moved(before, s.services()); len(got) > 0 || len(s.docker.writesSince(mark)) > 0 {
		t.Errorf("moved are %v, written was %q; want nothing", got, s.docker.writesSince(mark))
	}
	said := s.cli("status").stdout
	if !strings.Contains(said, "its removal waits for approval: 3 of 4 stacks would be removed") ||
		!strings.Contains(said, "kargo approve "+status.Pending.ID) {
		t.Errorf("kargo status does not say how to go on:\n%s", said)
	}

	if got := s.cli("approve", "0123456789ab"); got.code != 3 || !strings.Contains(got.stderr, "is not the pending one") {
		t.Errorf("an approval of another plan: %s", got)
	}
	s.awaitRound(s.sync)
	if got := moved(before, s.services()); len(got) > 0 {
		t.Errorf("moved are %v although another plan was approved", got)
	}

	if got := s.cli("approve", status.Pending.ID); got.code != 0 {
		t.Fatalf("kargo approve: %s", got)
	}
	until(t, "the stacks are gone", func() bool {
		return s.objects() == "network kargo-t-one_own\nnetwork t-back\nnetwork t-front\nnetwork t-socket\nservice kargo-t-one_one\n"
	})
	if got := s.awaitDeployment(commit); got.Trigger != "approve" && got.Trigger != "sync" {
		t.Errorf("the deployment was triggered by %q", got.Trigger)
	}
}
