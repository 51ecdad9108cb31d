package history_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// full makes a history of so many deployments, each of ten stacks of which it changed one.
func full(t testing.TB, deployments int) *history.Store {
	store, err := history.Open(pathOfFull(t, deployments))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// pathOfFull makes the file of such a history.
func pathOfFull(t testing.TB, deployments int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.journal")
	var lines []byte
	for number := 1; number <= deployments; number++ {
		d := kargo.Deployment{
			Number: uint64(number), Started: time.Unix(int64(number), 0), Finished: time.Unix(int64(number)+9, 0), Outcome: kargo.OutcomeSucceeded,
			Revision: kargo.Revision{Commit: commitOf(number), Subject: "Raise the limits of the shop", Author: "Ann"}, Trigger: "webhook github",
		}
		for i := range 10 {
			result := kargo.StackResult{Name: fmt.Sprintf("stack%d", i), Verdict: kargo.VerdictUnchanged, Digest: strings.Repeat("d", 64)}
			if i == number%10 {
				result.Verdict = kargo.VerdictChanged
				d.Changes = append(d.Changes, kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Stack: result.Name, Name: "kargo-" + result.Name + "_web", Reason: "Image: web:1 -> web:2"})
			}
			d.Stacks = append(d.Stacks, result)
		}
		line, err := json.Marshal(map[string]any{"deployment": d})
		if err != nil {
			t.Fatal(err)
		}
		lines = fmt.Appendf(lines, "%08x %s\n", crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)), line)
	}
	if err := os.WriteFile(path, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// commitOf returns the commit of a deployment of [full].
func commitOf(number int) string { return fmt.Sprintf("%08x%032d", number*2654435761%(1<<32), number) }

// lookups are the ways to find deployments in a history of so many.
var lookups = []struct {
	about  string
	lookup func(store *history.Store, deployments int) (any, error)
}{
	{"the newest", func(store *history.Store, _ int) (any, error) { return store.Deployments(0, 20) }},
	{"in the middle", func(store *history.Store, all int) (any, error) { return store.Deployments(uint64(all/2), 20) }},
	{"of a stack", func(store *history.Store, _ int) (any, error) { return store.DeploymentsAbout("stack3", 0, 20) }},
	{"of no stack", func(store *history.Store, _ int) (any, error) { return store.DeploymentsAbout("nosuch", 0, 20) }},
	{"of the start of a commit", func(store *history.Store, all int) (any, error) {
		return store.DeploymentsOf(commitOf(all / 2)[:12], 0)
	}},
	{"the revision of the start of a commit", func(store *history.Store, all int) (any, error) { return store.RevisionNamed(commitOf(all / 2)[:12]) }},
}

func BenchmarkLookup(b *testing.B) {
	const all = 10_000
	store := full(b, all)
	for _, test := range lookups {
		b.Run(test.about, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := test.lookup(store, all); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("begin at the limit", func(b *testing.B) {
		store.Retain(history.Retention{Deployments: all})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := store.Begin(kargo.Deployment{Started: time.Now()}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What it costs to find something must not grow with the history.
func TestFindingReadsNoMoreThanItReturns(t *testing.T) {
	for _, test := range lookups {
		t.Run(test.about, func(t *testing.T) {
			growth.Same(t, 200, func(all int) func() {
				store := full(t, all)
				return func() {
					if _, err := test.lookup(store, all); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
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
