package history_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/history"
)

// filled makes a history of 20 deployments of one change each, and returns its
// path and its content.
func filled(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	memory := kargo.Memory{Sent: kargo.Sent{}, Applied: kargo.Applied{Revision: kargo.Revision{Commit: "in-force"}}}
	for i := range 20 {
		d := begin(t, store, fmt.Sprintf("commit-%d", i+1))
		change := kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Name: "kargo-web_app", Reason: fmt.Sprintf("round %d", i+1)}
		sent := kargo.SentSpec{Digest: fmt.Sprintf("digest-%d", i+1)}
		must(t, store.Sending(d.Number, change))
		must(t, store.Made(d.Number, change, &sent, nil))
		memory.Sent[change.Name] = sent
		d.Changes, d.Outcome, d.Finished = []kargo.Change{change}, kargo.OutcomeSucceeded, time.Unix(int64(i), 0)
		must(t, store.Record(d, memory))
	}
	must(t, store.Close())
	content, err := os.ReadFile(path)
	must(t, err)
	return path, content
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamagedFile opens a history after each kind of damage. It opens always,
// keeps what can be read, says so, sets the file aside as it was, goes on, and is
// sound from then on.
func TestDamagedFile(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	over := func(content []byte, from, to int, with func([]byte)) []byte {
		content = bytes.Clone(content)
		with(content[from:to])
		return content
	}
	zero := func(part []byte) { clear(part) }
	garbage := func(part []byte) { _, _ = random.Read(part) }
	for _, test := range []struct {
		about  string
		damage func(whole []byte) []byte
		least  int // deployments that are kept at least, of 20
		memory bool
	}{
		{"cut in half", func(whole []byte) []byte { return whole[:len(whole)/2] }, 9, true},
		{"empty", func([]byte) []byte { return nil }, 0, false},
		{"the second half zeros", func(whole []byte) []byte { return over(whole, len(whole)/2, len(whole), zero) }, 9, true},
		{"the second half garbage", func(whole []byte) []byte { return over(whole, len(whole)/2, len(whole), garbage) }, 9, true},
		{"a page in the middle garbage", func(whole []byte) []byte { return over(whole, len(whole)/2, len(whole)/2+2048, garbage) }, 16, true},
		{"one byte in the middle", func(whole []byte) []byte {
			return over(whole, len(whole)/2, len(whole)/2+1, func(part []byte) { part[0]++ })
		}, 19, true},
		{"the first page zeros", func(whole []byte) []byte { return over(whole, 0, 1024, zero) }, 18, true},
		{"nothing but garbage", func(whole []byte) []byte { return over(whole, 0, len(whole), garbage) }, 0, false},
		{"the last byte gone", func(whole []byte) []byte { return whole[:len(whole)-1] }, 20, true},
		{"a file of something else", func([]byte) []byte { return bytes.Repeat([]byte("not a history "), 1000) }, 0, false},
	} {
		t.Run(test.about, func(t *testing.T) {
			path, whole := filled(t)
			damaged := test.damage(whole)
			must(t, os.WriteFile(path, damaged, 0o600))

			store := open(t, path)
			_, aside, said := strings.Cut(store.Trouble(), "the damaged file is ")
			if !said {
				t.Fatalf("it says %q", store.Trouble())
			}
			if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("set aside are %d bytes of %d, %v", len(kept), len(damaged), err)
			}
			deployments, err := store.Deployments(0, 0)
			must(t, err)
			if len(deployments) < test.least {
				t.Errorf("%d deployments are kept, want at least %d", len(deployments), test.least)
			}
			memory, err := store.Memory()
			must(t, err)
			if _, kept := memory.Sent["kargo-web_app"]; kept != test.memory {
				t.Errorf("what was sent is kept: %t, want %t", kept, test.memory)
			}
			d := begin(t, store, "next")
			if len(deployments) > 0 && d.Number <= deployments[0].Number {
				t.Errorf("the next deployment has number %d, after %d", d.Number, deployments[0].Number)
			}
			must(t, store.Close())

			store = open(t, path)
			again, err := store.Deployments(0, 0)
			must(t, err)
			if store.Trouble() != "" || len(again) != len(deployments)+1 {
				t.Errorf("opened again it has %d deployments and says %q", len(again), store.Trouble())
			}
		})
	}
}

// TestCrashInTheMiddle cuts the file off at many places, as a crash in the middle
// of a write does: whatever was recorded whole before is there.
func TestCrashInTheMiddle(t *testing.T) {
	path, whole := filled(t)
	for cut := len(whole) - 1; cut > len(whole)-1200; cut -= 7 {
		must(t, os.WriteFile(path, whole[:cut], 0o600))
		store := open(t, path)
		deployments, err := store.Deployments(0, 0)
		must(t, err)
		var want uint64
		for line := range bytes.Lines(whole[:cut]) {
			if bytes.HasSuffix(line, []byte("\n")) && bytes.Contains(line, []byte(`"deployment":{"number":`)) {
				var number uint64
				_, tail, _ := bytes.Cut(line, []byte(`"deployment":{"number":`))
				fmt.Sscanf(string(tail), "%d", &number)
				want = max(want, number)
			}
		}
		if len(deployments) == 0 || deployments[0].Number != want {
			t.Errorf("cut off at byte %d of %d: %d deployments, want the newest to be %d", cut, len(whole), len(deployments), want)
		}
		must(t, store.Close())
		asides, err := filepath.Glob(path + ".damaged-*")
		must(t, err)
		for _, aside := range asides {
			must(t, os.Remove(aside))
		}
	}
}

// TestFileThatIsTakenAway takes the file away from a running process. Nothing of
// the history is lost, it stands at its place again, and the process says so.
func TestFileThatIsTakenAway(t *testing.T) {
	for _, test := range []struct {
		about string
		take  func(t *testing.T, path string)
	}{
		{"deleted", func(t *testing.T, path string) { must(t, os.Remove(path)) }},
		{"its directory deleted", func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Dir(path))) }},
		{"replaced", func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".other", []byte("of somebody else"), 0o600))
			must(t, os.Rename(path+".other", path))
		}},
		{"moved away", func(t *testing.T, path string) { must(t, os.Rename(path, path+".moved")) }},
	} {
		t.Run(test.about, func(t *testing.T) {
			path, _ := filled(t)
			store := open(t, path)
			test.take(t, path)
			begin(t, store, "next")
			if said := store.Trouble(); !strings.Contains(said, "was removed or replaced; it was written again") {
				t.Errorf("it says %q", said)
			}
			replaced, err := filepath.Glob(path + ".replaced-*")
			must(t, err)
			if (len(replaced) == 1) != (test.about == "replaced") {
				t.Errorf("set aside: %q", replaced)
			}
			copied := filepath.Join(t.TempDir(), "history.journal")
			content, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(copied, content, 0o600))
			deployments, err := open(t, copied).Deployments(0, 0)
			must(t, err)
			if len(deployments) != 21 || deployments[0].Revision.Commit != "next" {
				t.Errorf("the file has %d deployments", len(deployments))
			}
		})
	}
}

// TestTheChangeUnderWaySurvives ends the process while Docker works on a change.
func TestTheChangeUnderWaySurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	d := begin(t, store, "aaa")
	changes := []kargo.Change{
		{Action: kargo.Create, Kind: kargo.KindNetwork, Name: "kargo-web_own", Reason: "new"},
		{Action: kargo.Create, Kind: kargo.KindService, Name: "kargo-web_app", Reason: "new"},
		{Action: kargo.Create, Kind: kargo.KindService, Name: "kargo-web_db", Reason: "new"},
	}
	must(t, store.Sending(d.Number, changes[0]))
	must(t, store.Made(d.Number, changes[0], nil, &changes[1]))
	must(t, store.Made(d.Number, changes[1], &kargo.SentSpec{Digest: "d1"}, &changes[2]))
	killed := filepath.Join(t.TempDir(), "history.journal") // what a kill -9 leaves
	content, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(killed, content, 0o600))

	store = open(t, killed)
	left, err := store.Unfinished()
	must(t, err)
	if len(left.Changes) != 2 || left.UnderWay == nil || left.UnderWay.Name != "kargo-web_db" {
		t.Errorf("left are %v, under way is %v", left.Changes, left.UnderWay)
	}
	memory, err := store.Memory()
	must(t, err)
	if len(memory.Sent) != 1 || memory.Sent["kargo-web_app"].Digest != "d1" {
		t.Errorf("sent: %v", memory.Sent)
	}
}

// TestAnnouncedChangesSurvive ends the process in the middle of changes that were
// announced.
func TestAnnouncedChangesSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store := open(t, path)
	d := begin(t, store, "aaa")
	var changes []kargo.Change
	for _, name := range []string{"kargo-web_app", "kargo-web_db", "kargo-web_cache", "kargo-web_mail"} {
		changes = append(changes, kargo.Change{Action: kargo.Create, Kind: kargo.KindService, Name: name, Reason: "new"})
	}
	must(t, store.Announce(d.Number, changes))
	must(t, store.Sending(d.Number, changes[0]))
	must(t, store.Made(d.Number, changes[0], &kargo.SentSpec{Digest: "d0"}, &changes[1]))
	must(t, store.Made(d.Number, changes[1], &kargo.SentSpec{Digest: "d1"}, &changes[2]))
	killed := filepath.Join(t.TempDir(), "history.journal") // what a kill -9 leaves
	content, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(killed, content, 0o600))

	check := func(what string, store *history.Store) {
		t.Helper()
		left, err := store.Unfinished()
		must(t, err)
		if len(left.Changes) != 2 || left.UnderWay == nil || left.UnderWay.Name != "kargo-web_cache" {
			t.Errorf("%s: left are %v, under way is %v", what, left.Changes, left.UnderWay)
		}
		if len(left.Announced) != 2 || left.Announced[1].Name != "kargo-web_mail" {
			t.Errorf("%s: announced are %v", what, left.Announced)
		}
		memory, err := store.Memory()
		must(t, err)
		if memory.Sent["kargo-web_db"].Digest != "d1" {
			t.Errorf("%s: sent: %v", what, memory.Sent)
		}
	}
	check("in the process", store)
	check("killed", open(t, killed))
	must(t, store.Close())
	check("closed", open(t, path))
}

// TestOneChangeIsOneSmallEntry counts the bytes that a change costs: they do not
// grow with the deployment or with what is remembered.
func TestOneChangeIsOneSmallEntry(t *testing.T) {
	bytesPerChange := func(changes int) int64 {
		path := filepath.Join(t.TempDir(), "history.journal")
		store := open(t, path)
		memory := kargo.Memory{Sent: kargo.Sent{}}
		for i := range changes {
			memory.Sent[fmt.Sprintf("kargo-stack%04d_app", i)] = kargo.SentSpec{Digest: strings.Repeat("d", 64), Reason: "new"}
		}
		d := begin(t, store, "aaa")
		must(t, store.Record(d, memory))
		before, err := os.Stat(path)
		must(t, err)
		for i := range changes {
			change := kargo.Change{Action: kargo.Update, Kind: kargo.KindService, Name: fmt.Sprintf("kargo-stack%04d_app", i), Reason: "Image: a -> b"}
			must(t, store.Made(d.Number, change, &kargo.SentSpec{Digest: strings.Repeat("e", 64), Reason: "Image: a -> b"}, &change))
		}
		after, err := os.Stat(path)
		must(t, err)
		return (after.Size() - before.Size()) / int64(changes)
	}
	few, many := bytesPerChange(50), bytesPerChange(800)
	if many > few+few/10 || many > 1000 {
		t.Errorf("a change costs %d bytes where there are 50, and %d where there are 800", few, many)
	}
}

// sealedStore is a store with a key, and the directory of its renderings.
func sealedStore(t *testing.T) (store *history.Store, good string) {
	t.Helper()
	dir := t.TempDir()
	store = open(t, filepath.Join(dir, "history.journal"))
	must(t, store.Seal(func() ([]byte, error) { return bytes.Repeat([]byte{1}, 32), nil }))
	return store, filepath.Join(dir, "good")
}

// TestDamagedRenderings damages what stacks can go back to, under a running process.
// Sound renderings can still be read, new ones are kept, and it is said.
func TestDamagedRenderings(t *testing.T) {
	one := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "one"}}}
	two := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "two"}}}
	for _, test := range []struct {
		about  string
		damage func(t *testing.T, good, file string)
		left   int    // renderings that can be read
		says   string // after the next one was kept
	}{
		{"one is cut", func(t *testing.T, _, file string) { must(t, os.Truncate(file, 20)) }, 1, "kept renderings that were damaged: 1"},
		{"one is empty", func(t *testing.T, _, file string) { must(t, os.Truncate(file, 0)) }, 1, "kept renderings that were damaged: 1"},
		{"one is a directory", func(t *testing.T, _, file string) {
			must(t, os.Remove(file))
			must(t, os.Mkdir(file, 0o700))
		}, 1, "kept renderings that were damaged: 1"},
		{"all are removed", func(t *testing.T, good, _ string) { must(t, os.RemoveAll(good)) }, 0, ""},
		{"a file is in place of the directory", func(t *testing.T, good, _ string) {
			must(t, os.RemoveAll(good))
			must(t, os.WriteFile(good, nil, 0o600))
		}, 0, "kept renderings that were damaged: 1"},
		{"a file is in place of a stack's directory", func(t *testing.T, _, file string) {
			must(t, os.RemoveAll(filepath.Dir(file)))
			must(t, os.WriteFile(filepath.Dir(file), nil, 0o600))
		}, 0, "kept renderings that were damaged: 1"},
	} {
		t.Run(test.about, func(t *testing.T) {
			store, good := sealedStore(t)
			must(t, store.Keep(kargo.KeptRendering{Stack: one, Revision: "c1"}))
			must(t, store.Keep(kargo.KeptRendering{Stack: two, Revision: "c2"}))
			test.damage(t, good, filepath.Join(good, "kept-web", two.Digest()+".sealed"))
			kept, err := store.Kept("web")
			if err != nil || len(kept) != test.left {
				t.Errorf("%d can be read, want %d: %v", len(kept), test.left, err)
			}
			if gone, err := store.Rendering("web", two.Digest()); gone != nil || err != nil {
				t.Errorf("the damaged one is %v, %v", gone, err)
			}
			must(t, store.Keep(kargo.KeptRendering{Stack: two, Revision: "c3"}))
			if again, err := store.Rendering("web", two.Digest()); again == nil || err != nil {
				t.Errorf("it cannot be kept again: %v", err)
			}
			if said := store.Trouble(); !strings.HasPrefix(said, test.says) || (said == "") != (test.says == "") {
				t.Errorf("it says %q, want %q", said, test.says)
			}
		})
	}
}

// TestManyRenderingsAtOnce keeps what came up in one round. One stack cannot be written.
func TestManyRenderingsAtOnce(t *testing.T) {
	store, good := sealedStore(t)
	var renderings []kargo.KeptRendering
	for i := range 250 {
		stack := kargo.Stack{Name: fmt.Sprintf("s%03d", i), Services: []kargo.Service{{Name: "app"}}}
		renderings = append(renderings, kargo.KeptRendering{Stack: stack, Revision: "c1"})
	}
	blocked := filepath.Join(good, "kept-s120", renderings[120].Stack.Digest()+".sealed.new")
	must(t, os.MkdirAll(blocked, 0o700)) // a directory is in place of the file
	must(t, store.Keep(renderings...))
	there := func() (count int) {
		for _, kept := range renderings {
			found, err := store.Rendering(kept.Stack.Name, kept.Stack.Digest())
			must(t, err)
			if found != nil {
				count++
			}
		}
		return count
	}
	if count := there(); count != 250 || store.Trouble() == "" {
		t.Errorf("%d of 250 can be read, trouble is %q", count, store.Trouble())
	}
	// Those before it are durable, and nothing that is half written fills the disk.
	written, err := filepath.Glob(filepath.Join(good, "kept-*", "*.sealed"))
	must(t, err)
	others, err := filepath.Glob(filepath.Join(good, "kept-*", "*.new"))
	must(t, err)
	if len(written) != 120 || len(others) != 1 {
		t.Errorf("%d files are there, and %s", len(written), others)
	}
	must(t, os.Remove(blocked))
	if said := store.Trouble(); said != "" {
		t.Error(said)
	}
	files, err := filepath.Glob(filepath.Join(good, "kept-*", "*"))
	must(t, err)
	if count := there(); count != 250 || len(files) != 250 {
		t.Errorf("%d of 250 can be read, %d files are there", count, len(files))
	}
}

// TestRenderingsOnADiskThatTakesNothing: what came up is kept all the same, and is
// written once there is room.
func TestRenderingsOnADiskThatTakesNothing(t *testing.T) {
	store, good := sealedStore(t)
	stack := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "one"}}}
	file := filepath.Join(good, "kept-web", stack.Digest()+".sealed")
	must(t, os.MkdirAll(filepath.Join(file+".new", "in the way"), 0o700)) // nothing can be written
	must(t, store.Keep(kargo.KeptRendering{Stack: stack, Revision: "c1"}))
	if said := store.Trouble(); !strings.HasPrefix(said, "renderings that came up cannot be written and are kept in memory: ") {
		t.Errorf("it says %q", said)
	}
	if kept, err := store.Kept("web"); err != nil || len(kept) != 1 || kept[0].Revision != "c1" {
		t.Errorf("meanwhile there are %v, %v", kept, err)
	}
	must(t, os.RemoveAll(file+".new"))
	if said := store.Trouble(); said != "" {
		t.Errorf("with room it says %q", said)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
