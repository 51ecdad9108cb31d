package history_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"kargo"
	"kargo/history"
	"kargo/test/growth"
)

// deploy records a deployment that creates so many services, change by change.
func deploy(t testing.TB, store *history.Store, services int) {
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := store.Begin(kargo.Deployment{Revision: kargo.Revision{Commit: "aaa"}, Outcome: kargo.OutcomeRunning})
	check(err)
	memory := kargo.Memory{Sent: kargo.Sent{}}
	for i := range services {
		change := kargo.Change{Action: kargo.Create, Kind: kargo.KindService, Stack: "web", Name: fmt.Sprintf("kargo-web_%05d", i), Reason: "new"}
		sent := kargo.SentSpec{Digest: "digest", Reason: "new"}
		check(store.Made(d.Number, change, &sent, nil))
		memory.Sent[change.Name] = sent
	}
	d.Outcome = kargo.OutcomeSucceeded
	check(store.Record(d, memory))
}

func openForBench(t testing.TB) *history.Store {
	store, err := history.Open(filepath.Join(t.TempDir(), "history.journal"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func BenchmarkDeployment(b *testing.B) {
	for _, services := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%d changes", services), func(b *testing.B) {
			store := openForBench(b)
			b.ReportAllocs()
			for b.Loop() {
				deploy(b, store, services)
			}
		})
	}
}

// What the history costs must grow with the number of changes and no faster.
func TestCostGrowsWithTheChanges(t *testing.T) {
	growth.Check(t, 100, func(services int) func() {
		store := openForBench(t)
		return func() { deploy(t, store, services) }
	})
}
