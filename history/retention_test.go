package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/history"
)

// daysAgo returns a deployment of a commit that began so many days ago and is over.
func daysAgo(days int, commit string, stacks ...kargo.StackResult) kargo.Deployment {
	began := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
	return kargo.Deployment{Revision: kargo.Revision{Commit: commit}, Started: began, Finished: began, Outcome: kargo.OutcomeSucceeded, Stacks: stacks}
}

func changed(stack, digest string) kargo.StackResult {
	return kargo.StackResult{Name: stack, Verdict: kargo.VerdictChanged, Digest: digest}
}

// record records deployments, and notes, one after the other.
func record(t *testing.T, store *history.Store, deployments ...kargo.Deployment) {
	t.Helper()
	for _, d := range deployments {
		_, err := store.Begin(d)
		must(t, err)
	}
}

// kept returns the commits of the deployments that are kept, the newest first, in one line.
func kept(t *testing.T, store *history.Store) string {
	t.Helper()
	deployments, err := store.Deployments(0, 0)
	must(t, err)
	var commits []string
	for _, d := range deployments {
		commits = append(commits, d.Revision.Commit)
	}
	return strings.Join(commits, " ")
}

func expectKept(t *testing.T, about string, store *history.Store, want string) {
	t.Helper()
	if got := kept(t, store); got != want {
		t.Errorf("%s: kept are %q, want %q", about, got, want)
	}
}

func TestRetentionByNumberAndAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	record(t, store, daysAgo(100, "a"), daysAgo(91, "b"), daysAgo(30, "c"), daysAgo(20, "d"), daysAgo(1, "e"))
	expectKept(t, "without limits", store, "e d c b a")
	store.Retain(history.Retention{Age: 90 * 24 * time.Hour})
	expectKept(t, "90 days", store, "e d c")
	store.Retain(history.Retention{Deployments: 2})
	expectKept(t, "two", store, "e d")
	record(t, store, daysAgo(0, "f"))
	expectKept(t, "two, and another one comes", store, "f e")
	store.Retain(history.Retention{Age: time.Nanosecond})
	expectKept(t, "none that is old", store, "f") // the newest tells the number of the next
	if d, err := store.Begin(daysAgo(0, "g")); err != nil || d.Number != 7 {
		t.Errorf("the next deployment has number %d, %v", d.Number, err)
	}
	must(t, store.Close())
	expectKept(t, "opened again", open(t, path), "g")
	content, err := os.ReadFile(path)
	if err != nil || bytes.Contains(content, []byte(`"commit":"a"`)) {
		t.Errorf("the file still has what was forgotten, %v:\n%s", err, content)
	}
}

// The file has never more than its size, whatever comes, and keeps the newest.
func TestRetentionBySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	const size, entry = 1 << 20, 10_000
	store.Retain(history.Retention{Bytes: size})
	largest := int64(0)
	for number := range 500 {
		d := daysAgo(0, fmt.Sprintf("c%d", number+1))
		d.Err = strings.Repeat("x", entry)
		record(t, store, d)
		info, err := os.Stat(path)
		must(t, err)
		largest = max(largest, info.Size())
	}
	deployments, err := store.Deployments(0, 0)
	must(t, err)
	if largest > size+2*entry || len(deployments) < size/entry/3 || deployments[0].Number != 500 || deployments[len(deployments)-1].Number != uint64(501-len(deployments)) {
		t.Errorf("the file had up to %d bytes; %d deployments are kept, the newest is %d", largest, len(deployments), deployments[0].Number)
	}
}

// What tells about the present, or is needed to go back, stays whatever the limits are.
func TestRetentionKeepsWhatIsNeeded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	must(t, store.Seal(func() ([]byte, error) { return bytes.Repeat([]byte("k"), 32), nil }))
	good := kargo.Stack{Name: "shop", Services: []kargo.Service{{Name: "shop_web", Pinned: "shop@sha256:1"}}}
	must(t, store.Keep(kargo.KeptRendering{Stack: good, Revision: "good"}))
	record(t, store,
		daysAgo(99, "old"),
		daysAgo(98, "crm-in-force", changed("crm", "c1")),
		daysAgo(97, "removed", changed("gone", "g1")),
		daysAgo(96, "good", changed("shop", good.Digest())),
		daysAgo(95, "bad", changed("shop", "s2")),
		kargo.Deployment{Entry: kargo.Entry{Kind: kargo.EntryHold, Note: "blog: migration"}, Revision: kargo.Revision{Commit: "older-hold"}, Started: time.Unix(1, 0), Finished: time.Unix(1, 0)},
		kargo.Deployment{Entry: kargo.Entry{Kind: kargo.EntryHold, Note: "blog: backup"}, Revision: kargo.Revision{Commit: "hold"}, Started: time.Unix(2, 0), Finished: time.Unix(2, 0)},
		kargo.Deployment{Entry: kargo.Entry{Kind: kargo.EntrySettings}, Revision: kargo.Revision{Commit: "settings"}, Started: time.Unix(3, 0), Finished: time.Unix(3, 0)},
		daysAgo(94, "shop-in-force", changed("shop", "s3")),
		daysAgo(93, "between"),
	)
	last, err := store.Begin(daysAgo(92, "newest"))
	must(t, err)
	must(t, store.Record(last, kargo.Memory{
		Applied: kargo.Applied{Revision: kargo.Revision{Commit: "newest"}, Stacks: map[string]kargo.AppliedStack{
			"crm": {Digest: "c1", Changed: "crm-in-force"}, "shop": {Digest: "s3", Changed: "shop-in-force"},
		}},
		Stopped: kargo.Stopped{Stops: map[string]kargo.Stop{"blog": {}}},
	}))
	const want = "newest shop-in-force settings hold good crm-in-force"
	store.Retain(history.Retention{Deployments: 1, Age: time.Hour, Bytes: 1})
	expectKept(t, "all limits", store, want)
	must(t, store.Close())
	store = open(t, path)
	must(t, store.Seal(func() ([]byte, error) { return bytes.Repeat([]byte("k"), 32), nil }))
	store.Retain(history.Retention{Deployments: 1})
	expectKept(t, "opened again", store, want)
	if rendering, err := store.Rendering("shop", good.Digest()); err != nil || rendering == nil {
		t.Errorf("the rendering to go back to: %v, %v", rendering, err)
	}
}

// Where it cannot be known what is needed, nothing is forgotten.
func TestRetentionForgetsNothingUnknown(t *testing.T) {
	dir := t.TempDir()
	store := open(t, filepath.Join(dir, "history.journal"))
	must(t, errors.Join(os.MkdirAll(filepath.Join(dir, "good", "kept-%zz"), 0o700), os.WriteFile(filepath.Join(dir, "good", "kept-%zz", "d.sealed"), nil, 0o600)))
	record(t, store, daysAgo(2, "a"), daysAgo(1, "b"))
	store.Retain(history.Retention{Deployments: 1})
	expectKept(t, "a directory of no stack", store, "b a")
}

// A crash while deployments are removed leaves the file as it was, or as it is to be.
func TestCrashWhileForgetting(t *testing.T) {
	path, whole := filled(t)
	must(t, os.WriteFile(path+".new", whole[:len(whole)/3], 0o600)) // what a crash in the middle leaves
	store := open(t, path)
	if deployments, err := store.Deployments(0, 0); err != nil || len(deployments) != 20 || store.Trouble() != "" {
		t.Errorf("%d deployments, %v, it says %q", len(deployments), err, store.Trouble())
	}
	store.Retain(history.Retention{Deployments: 3})
	must(t, store.Close())
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other file is still there: %v", err)
	}
	store = open(t, path)
	deployments, err := store.Deployments(0, 0)
	must(t, err)
	memory, err := store.Memory()
	must(t, err)
	if len(deployments) != 3 || deployments[0].Number != 20 || memory.Sent["kargo-web_app"].Digest != "digest-20" || store.Trouble() != "" {
		t.Errorf("%d deployments, remembered is %v, it says %q", len(deployments), memory.Sent, store.Trouble())
	}
}
