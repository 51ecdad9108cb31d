package history_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"kargo"
	"kargo/history"
)

// everything returns what a history answers to all questions that its index is for.
func everything(t *testing.T, path string) (answers []any) {
	t.Helper()
	store := open(t, path)
	defer store.Close()
	add := func(answer any, err error) {
		must(t, err)
		answers = append(answers, answer)
	}
	add(store.Deployments(0, 0))
	add(store.Memory())
	add(store.Unfinished())
	for _, stack := range []string{"stack3", "stack7", "none"} {
		add(store.DeploymentsAbout(stack, 0, 0))
	}
	for number := 1; number <= 240; number += 20 {
		add(store.Deployment(uint64(number)))
		add(store.DeploymentsOf(commitOf(number)[:9], 0))
		add(store.RevisionNamed(commitOf(number)[:9]))
	}
	return append(answers, store.Trouble())
}

// withoutIndex returns a copy of a history, without the index.
func withoutIndex(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	copied := filepath.Join(t.TempDir(), "history.journal")
	must(t, os.WriteFile(copied, content, 0o600))
	return copied
}

// A history answers the same with its index and without it: after changes that the index
// does not cover, and where the index is damaged, old, of another journal, or gone.
func TestIndexSaysWhatTheJournalSays(t *testing.T) {
	path := pathOfFull(t, 200)
	index := path + ".index"
	must(t, open(t, path).Close())
	first, err := os.ReadFile(index)
	must(t, err)
	same := func(about string) {
		t.Helper()
		if with, without := everything(t, path), everything(t, withoutIndex(t, path)); !reflect.DeepEqual(with, without) {
			t.Errorf("%s: the answers differ", about)
		}
	}
	same("as it was saved")

	store := open(t, path)
	for number := 201; number <= 220; number++ {
		d, err := store.Begin(kargo.Deployment{Revision: kargo.Revision{Commit: commitOf(number)}})
		must(t, err)
		must(t, store.Made(d.Number, kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Stack: "stack7", Name: "a"}, &kargo.SentSpec{Digest: "x"}, nil))
	}
	must(t, store.Close())
	same("with deployments that it does not cover")

	store = open(t, path)
	store.Retain(history.Retention{Deployments: 150})
	must(t, store.Close())
	same("after the journal was written anew")
	must(t, os.WriteFile(index, first, 0o600))
	same("with the index of the journal before")

	for at := 0; at < len(first); at += len(first)/7 + 1 {
		broken := bytes.Clone(first)
		broken[at]++
		must(t, os.WriteFile(index, broken, 0o600))
		same(fmt.Sprintf("with byte %d of the index changed", at))
	}
	must(t, os.WriteFile(index, first[:len(first)/2], 0o600))
	same("with half an index")
	must(t, os.Remove(index))
	same("without one")
}

// Damage in what the index covers is found as without it.
func TestIndexHidesNoDamage(t *testing.T) {
	path := pathOfFull(t, 200)
	must(t, open(t, path).Close())
	content, err := os.ReadFile(path)
	must(t, err)
	content[len(content)/3]++
	must(t, os.WriteFile(path, content, 0o600))
	store := open(t, path)
	deployments, err := store.Deployments(0, 0)
	must(t, err)
	if store.Trouble() == "" || len(deployments) != 199 {
		t.Errorf("it has %d deployments, and says %q", len(deployments), store.Trouble())
	}
}

// A history that cannot be written has no index, and says nothing of it.
func TestIndexThatCannotBeWritten(t *testing.T) {
	path := pathOfFull(t, 200)
	must(t, os.Mkdir(path+".index", 0o700))
	store := open(t, path)
	defer store.Close()
	if deployments, err := store.Deployments(0, 1); err != nil || len(deployments) != 1 || store.Trouble() != "" {
		t.Errorf("it has %d, %v, and says %q", len(deployments), err, store.Trouble())
	}
}

// Opening a history reads no deployment that the index covers, and keeps none in memory.
// That is counted: of what is made to read them all, few objects are needed.
func TestOpeningReadsNoDeployments(t *testing.T) {
	path := pathOfFull(t, 2000)
	count := func() uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		store := open(t, path)
		runtime.ReadMemStats(&after)
		must(t, store.Close())
		return after.Mallocs - before.Mallocs
	}
	reading, opening := count(), count()
	if opening*5 > reading {
		t.Errorf("%d objects are made to open 2000 deployments, and %d without an index", opening, reading)
	}
	kept := func(deployments int) int64 {
		path := pathOfFull(t, deployments)
		must(t, open(t, path).Close())
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		store := open(t, path)
		runtime.GC()
		runtime.ReadMemStats(&after)
		must(t, store.Close())
		return int64(after.HeapAlloc) - int64(before.HeapAlloc)
	}
	each := (kept(4000) - kept(2000)) / 2000
	t.Logf("each deployment takes %d bytes of memory", each)
	if each > 1024 {
		t.Errorf("each deployment takes %d bytes of memory, and on the disk about 2000", each)
	}
}

func BenchmarkOpen(b *testing.B) {
	path := pathOfFull(b, 10_000)
	for _, indexed := range []bool{false, true} {
		b.Run(fmt.Sprintf("index %t", indexed), func(b *testing.B) {
			for b.Loop() {
				if !indexed {
					_ = os.Remove(path + ".index")
				}
				store, err := history.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
