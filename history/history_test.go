package history_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/history"
)

func open(t *testing.T, path string) *history.Store {
	t.Helper()
	store, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func begin(t *testing.T, store *history.Store, commit string) kargo.Deployment {
	t.Helper()
	d, err := store.Begin(kargo.Deployment{Revision: kargo.Revision{Commit: commit}, Outcome: kargo.OutcomeRunning})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStoreKeepsWhatItWasTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	d := begin(t, store, "aaa")
	if d.Number != 1 {
		t.Errorf("first deployment has number %d", d.Number)
	}
	d.Outcome, d.Finished = kargo.OutcomeSucceeded, time.Unix(1, 0).UTC()
	applied := kargo.Applied{Revision: d.Revision, Stacks: map[string]kargo.AppliedStack{"web": {Digest: "d1", Changed: "aaa"}}}
	sent := kargo.Sent{"kargo-web_app": {Digest: "s1", Reason: "new"}}
	memory := kargo.Memory{Applied: applied, Sent: sent, Rollouts: map[string]kargo.Rollout{"web": {Digest: "d1", Good: "d0"}}}
	if err := store.Record(d, memory); err != nil {
		t.Fatal(err)
	}
	if err := store.Approve("p1", "ann", time.Unix(1000, 0)); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	store = open(t, path)
	deployments, err := store.Deployments(0, 0)
	if err != nil || len(deployments) != 1 || deployments[0].Outcome != kargo.OutcomeSucceeded {
		t.Errorf("deployments after reopening: %+v, %v", deployments, err)
	}
	got, err := store.Memory()
	if err != nil || got.Applied.Stacks["web"] != applied.Stacks["web"] || got.Sent["kargo-web_app"] != sent["kargo-web_app"] ||
		got.Rollouts["web"].Good != "d0" {
		t.Errorf("memory after reopening: %+v, %v", got, err)
	}
	if got, err := store.Approved(time.Unix(1000, 0).Add(time.Hour)); err != nil || got != "p1" {
		t.Errorf("approved after reopening: %q, %v", got, err)
	}
	if got, err := store.Approved(time.Unix(1001, 0).Add(time.Hour)); err != nil || got != "" {
		t.Errorf("approved for more than an hour: %q, %v", got, err)
	}
}

func TestUnfinished(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "history.journal"))
	if d, err := store.Unfinished(); d != nil || err != nil {
		t.Fatalf("empty history: %v, %v", d, err)
	}
	d := begin(t, store, "aaa")
	if got, err := store.Unfinished(); err != nil || got == nil || got.Number != d.Number {
		t.Fatalf("got %v, %v, want deployment %d", got, err, d.Number)
	}
	d.Finished = time.Unix(1, 0)
	if err := store.Record(d, kargo.Memory{}); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Unfinished(); got != nil || err != nil {
		t.Errorf("finished deployment is called unfinished: %v, %v", got, err)
	}
}

func TestDeploymentsNewestFirstAndNotForEver(t *testing.T) {
	const keep = 1000
	store := open(t, filepath.Join(t.TempDir(), "history.journal"))
	store.Retain(history.DefaultRetention)
	for range keep + 3 {
		begin(t, store, "aaa")
	}
	all, err := store.Deployments(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != keep || all[0].Number != keep+3 || all[len(all)-1].Number != 4 {
		t.Errorf("%d deployments, %d to %d", len(all), all[0].Number, all[len(all)-1].Number)
	}
	for _, test := range []struct {
		before      uint64
		limit       int
		first, last uint64 // 0: none
	}{
		{0, 2, keep + 3, keep + 2},
		{keep + 2, 2, keep + 1, keep},
		{keep + 9, 1, keep + 3, keep + 3},
		{6, 0, 5, 4},
		{4, 5, 0, 0},
		{1, 5, 0, 0},
	} {
		some, err := store.Deployments(test.before, test.limit)
		var first, last uint64
		if len(some) > 0 {
			first, last = some[0].Number, some[len(some)-1].Number
		}
		if err != nil || first != test.first || last != test.last {
			t.Errorf("%d before %d: %d to %d (%v), want %d to %d", test.limit, test.before, first, last, err, test.first, test.last)
		}
	}
	for number, kept := range map[uint64]bool{0: false, 3: false, 4: true, keep + 3: true, keep + 4: false} {
		d, err := store.Deployment(number)
		if err != nil || (d != nil) != kept || kept && d.Number != number {
			t.Errorf("deployment %d: %v, %v, kept is %t", number, d, err, kept)
		}
	}
}

func TestAttempts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	reopen := func() *history.Store {
		t.Helper()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		return open(t, path)
	}
	attempt := func(commit string, want int) {
		t.Helper()
		if got, err := store.Attempt(commit); err != nil || got != want {
			t.Errorf("attempt at %s is number %d (%v), want %d", commit, got, err, want)
		}
	}
	survived := func(reading string) {
		t.Helper()
		if err := store.Survived(reading); err != nil {
			t.Fatal(err)
		}
	}
	// A poisonous revision kills the controller; after each start the revision
	// in force is read first, and well.
	attempt("restore good", 1)
	survived("restore good")
	attempt("poison", 1)
	store = reopen()
	attempt("restore good", 1)
	survived("restore good")
	attempt("poison", 2)
	store = reopen()
	attempt("poison", 3)
	survived("poison")
	attempt("poison", 1)
}

func TestOpenTwiceSaysWhoHasIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	open(t, path)
	_, err := history.Open(path)
	if kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "is `kargo serve` running with the same data directory?") {
		t.Errorf("second opening: %v", err)
	}
}

func TestARendering(t *testing.T) {
	dir := t.TempDir()
	store := open(t, filepath.Join(dir, "history.journal"))
	if good, err := store.Rendering("web", "nosuch"); good != nil || err != nil {
		t.Fatalf("before any: %v, %v", good, err)
	}
	key := bytes.Repeat([]byte{1}, 32)
	seal := func(store *history.Store) {
		if err := store.Seal(func() ([]byte, error) { return key, nil }); err != nil {
			t.Fatal(err)
		}
	}
	seal(store)
	replicas := uint64(2)
	stack := kargo.Stack{
		Name: "../a/b", Configs: []kargo.Config{{Name: "c", Data: []byte{0, 255}}, {Name: "s", Secret: true, Data: []byte("planted")}},
		Services: []kargo.Service{{Name: "kargo-web_a", Pinned: "app@sha256:1", Spec: swarm.ServiceSpec{
			Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
		}}},
	}
	if err := store.Keep(kargo.KeptRendering{Stack: stack, Revision: "c1"}); err != nil {
		t.Fatal(err)
	}
	good, err := store.Rendering(stack.Name, stack.Digest())
	if err != nil || good.Digest() != stack.Digest() || good.Services[0].Pinned != "app@sha256:1" || !bytes.Equal(good.Configs[0].Data, stack.Configs[0].Data) {
		t.Errorf("got %+v, %v", good, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "good", "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v: a name must not lead out of the directory", files, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: it holds secrets", info.Mode(), err)
	}
}

// A disk alone gives no secret away, and a rendering that was tampered with, or
// sealed with a key that is lost, is not used.
func TestS16_RenderingsAreSealed(t *testing.T) {
	dir := t.TempDir()
	store := open(t, filepath.Join(dir, "history.journal"))
	stack := kargo.Stack{Name: "web", Configs: []kargo.Config{{Name: "s", Secret: true, Data: []byte("planted-secret")}}}
	if err := store.Keep(kargo.KeptRendering{Stack: stack, Revision: "c1"}); err == nil {
		t.Fatal("it is kept without a key")
	}
	key := bytes.Repeat([]byte{1}, 32)
	var away error
	leftover := filepath.Join(dir, "good", "old.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(leftover), 0o700), os.WriteFile(leftover, []byte("planted-secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := store.Seal(func() ([]byte, error) { return key, away }); err != nil {
		t.Fatal(err)
	}
	if err := store.Keep(kargo.KeptRendering{Stack: stack, Revision: "c1"}); err != nil {
		t.Fatal(err)
	}
	digest := stack.Digest()
	file := filepath.Join(dir, "good", "kept-web", digest+".sealed")
	sealed, err := os.ReadFile(file)
	encoded := base64.StdEncoding.EncodeToString([]byte("planted-secret"))
	if err != nil || bytes.Contains(sealed, []byte("planted")) || bytes.Contains(sealed, []byte(encoded)) {
		t.Errorf("the file is %q, %v", sealed, err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "good")); err != nil || len(entries) != 1 {
		t.Errorf("an unsealed rendering of an earlier version is still there: %v, %v", entries, err)
	}
	away = kargo.Errorf(kargo.Unavailable, "no Swarm")
	if _, err := store.Rendering("web", digest); kargo.FaultOf(err) != kargo.Unavailable {
		t.Errorf("without the key: %v", err)
	}
	away, key = nil, bytes.Repeat([]byte{2}, 32)
	if good, err := store.Rendering("web", digest); err == nil {
		t.Errorf("with another key: %+v", good)
	}
	key = bytes.Repeat([]byte{1}, 32)
	if err := os.Rename(filepath.Dir(file), filepath.Join(dir, "good", "kept-other")); err != nil {
		t.Fatal(err)
	}
	if good, err := store.Rendering("other", digest); err == nil {
		t.Errorf("as another stack's: %+v", good)
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	begin(t, open(t, path), "aaa")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("history has mode %04o", info.Mode().Perm())
	}
}

// Notes, such as an approval, come while a deployment is under way. A restart goes
// on with that deployment all the same.
func TestUnfinishedBeforeNotes(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "history.journal"))
	begun, err := store.Begin(kargo.Deployment{Outcome: kargo.OutcomeRunning, Started: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []kargo.EntryKind{kargo.EntryApproval, kargo.EntryRefusal} {
		if _, err := store.Begin(kargo.Deployment{Entry: kargo.Entry{Kind: kind}, Finished: time.Unix(2, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	unfinished, err := store.Unfinished()
	if err != nil || unfinished == nil || unfinished.Number != begun.Number {
		t.Errorf("unfinished is %+v, error %v", unfinished, err)
	}
}

// What is remembered of services is recorded as it is now, whatever was recorded of them
// before and how.
func TestWhatWasSentIsRecordedAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	d := begin(t, store, "aaa")
	one, two := kargo.SentSpec{Digest: "1", Reason: "new"}, kargo.SentSpec{Digest: "2", Reason: "A: 1 -> 2"}
	seen := one
	seen.Seen = true
	change := kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Name: "a"}
	record := func(sent kargo.Sent) { must(t, store.Record(d, kargo.Memory{Sent: sent})) }
	made := func(sent *kargo.SentSpec) { must(t, store.Made(d.Number, change, sent, nil)) }
	for i, step := range []struct {
		do   func()
		want kargo.Sent
	}{
		{func() { record(kargo.Sent{"a": one, "b": one}) }, kargo.Sent{"a": one, "b": one}},
		{func() { record(kargo.Sent{"a": one, "b": one}) }, kargo.Sent{"a": one, "b": one}},
		{func() { made(&two) }, kargo.Sent{"a": two, "b": one}},
		{func() { record(kargo.Sent{"a": one, "b": seen}) }, kargo.Sent{"a": one, "b": seen}},
		{func() { made(nil) }, kargo.Sent{"b": seen}},
		{func() { record(kargo.Sent{"a": one}) }, kargo.Sent{"a": one}},
		{func() { record(kargo.Sent{}) }, kargo.Sent{}},
		{func() { record(kargo.Sent{"a": one}) }, kargo.Sent{"a": one}},
		{func() { must(t, store.Close()); store = open(t, path); record(kargo.Sent{"a": two}) }, kargo.Sent{"a": two}},
	} {
		step.do()
		memory, err := store.Memory()
		must(t, err)
		if !maps.Equal(memory.Sent, step.want) {
			t.Errorf("step %d: recorded is %v, want %v", i, memory.Sent, step.want)
		}
	}
	must(t, store.Close())
	memory, err := open(t, path).Memory()
	must(t, err)
	if !maps.Equal(memory.Sent, kargo.Sent{"a": two}) {
		t.Errorf("read again: %v", memory.Sent)
	}
}

// What did not change since it was last recorded is not encoded again.
func TestWhatWasSentIsEncodedOnce(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "history.journal"))
	d := begin(t, store, "aaa")
	memory := kargo.Memory{Sent: kargo.Sent{}}
	for i := range 1000 {
		memory.Sent[fmt.Sprintf("kargo-stack%04d_application", i)] = kargo.SentSpec{Digest: "d", Reason: "new"}
	}
	must(t, store.Record(d, memory))
	if allocated := testing.AllocsPerRun(5, func() { must(t, store.Record(d, memory)) }); allocated > 1500 {
		t.Errorf("%.0f allocations for 1,000 services that are as they were", allocated)
	}
}

// The last renderings of a stack that came up are kept, sealed, the newest first.
func TestKeptRenderings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	if err := store.Seal(func() ([]byte, error) { return bytes.Repeat([]byte("k"), 32), nil }); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		stack := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "web_app", Pinned: string(rune('a' + i))}}}
		stack.Services[0].Spec.Name = string(rune('a' + i))
		if err := store.Keep(kargo.KeptRendering{Stack: stack, Revision: kargo.RevisionID("c" + string(rune('a'+i)))}); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := store.Kept("web")
	if err != nil || len(kept) != 10 || kept[0].Revision != "cl" || kept[9].Revision != "cc" || kept[0].Stack.Services[0].Pinned != "l" {
		t.Errorf("%d renderings are kept, error %v: %+v", len(kept), err, kept)
	}
	if none, err := store.Kept("dbs"); err != nil || none != nil {
		t.Errorf("of a stack that never was: %v, %v", none, err)
	}
}

// What an earlier version recorded without a key is forgotten, and is no longer in the
// file.
func TestS43_DigestsWithoutAKeyAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	d := begin(t, store, "aaa")
	sent := kargo.Sent{"kargo-web_app": {Digest: "0123456789abcdef", Reason: "new"}}
	if err := store.Record(d, kargo.Memory{Sent: sent, Applied: kargo.Applied{Revision: d.Revision}}); err != nil {
		t.Fatal(err)
	}
	history.PutFormerKey(t, store, []byte("planted key"))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = open(t, path)
	memory, err := store.Memory()
	if err != nil || len(memory.Sent) > 0 || memory.Applied.Revision.Commit != "aaa" {
		t.Errorf("remembers %+v, %v", memory, err)
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, []byte("0123456789abcdef")) || bytes.Contains(data, []byte("mask-key")) {
		t.Errorf("%v, the file still has\n%s", err, data)
	}
}
