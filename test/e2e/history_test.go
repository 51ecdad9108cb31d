package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kargo"
)

// damages are what can happen to the file of the history.
var damages = []struct {
	about string
	do    func(t *testing.T, path string)
}{
	{"cut in half", func(t *testing.T, path string) { must(t, os.WriteFile(path, half(t, path), 0o600)) }},
	{"garbage", func(t *testing.T, path string) {
		must(t, os.WriteFile(path, bytes.Repeat([]byte{0, 1, 0xfe}, 20_000), 0o600))
	}},
	{"empty", func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) }},
	{"removed", func(t *testing.T, path string) { must(t, os.Remove(path)) }},
}

func half(t *testing.T, path string) []byte {
	content, err := os.ReadFile(path)
	must(t, err)
	return content[:len(content)/2]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestADamagedHistoryStopsNothing damages the history of a controller that was
// killed. The next one starts, says so where there was something to damage,
// touches no service, and carries out the next commit.
func TestADamagedHistoryStopsNothing(t *testing.T) {
	t.Parallel()
	for _, damage := range damages {
		t.Run(damage.about, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t)
			w := s.workspace().stack("web", "site", "api").service("site").service("api")
			s.begin(w)
			s.kill()
			path := filepath.Join(s.data, ".kargo-state", "history.journal")
			damage.do(t, path)
			before := s.services()
			s.start()
			status := s.awaitStatus("it is in sync", func(k kargo.Status) bool { return k.Ready() && len(k.Stacks) == 1 && k.Stacks[0].InSync })
			if said := strings.HasPrefix(status.HistoryTrouble, "the history was damaged: "); said == (damage.about == "removed") {
				t.Errorf("status says %q of the history", status.HistoryTrouble)
			}
			if touched := moved(before, s.services()); len(touched) > 0 {
				t.Errorf("it touched %q", touched)
			}
			w.service("site", environment("ROUND=2"))
			d := s.deploy(w)
			if d.Outcome != kargo.OutcomeSucceeded || len(d.Changes) != 1 {
				t.Errorf("the next commit: %s, %v", d.Outcome, d.Changes)
			}
		})
	}
}

// TestAHistoryThatIsTakenAwayStopsNothing removes the file under a running
// controller, and puts a directory in its place.
func TestAHistoryThatIsTakenAwayStopsNothing(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site")
	s.begin(w)
	path := filepath.Join(s.data, ".kargo-state", "history.journal")
	must(t, os.Remove(path))
	w.service("site", environment("ROUND=2"))
	s.deploy(w)
	if said := s.status().HistoryTrouble; !strings.Contains(said, "was removed or replaced; it was written again") {
		t.Errorf("removed: status says %q", said)
	}
	must(t, os.Remove(path))
	must(t, os.Mkdir(path+".new", 0o700)) // nothing can be written from now on
	w.service("site", environment("ROUND=3"))
	s.deploy(w)
	if said := s.status().HistoryTrouble; !strings.Contains(said, "the history cannot be written and is kept in memory: ") {
		t.Errorf("not writable: status says %q", said)
	}
	if metrics, err := s.get("/metrics"); err != nil || !strings.Contains(string(metrics), "\nkargo_history_trouble 1\n") {
		t.Errorf("not writable: the metric does not say so: %v", err)
	}
	must(t, os.Remove(path+".new"))
	if said := s.status().HistoryTrouble; strings.Contains(said, "cannot be written") {
		t.Errorf("writable again: status says %q", said)
	}
	s.kill()
	s.start()
	var numbers []uint64
	for _, d := range s.history() {
		numbers = append(numbers, d.Number)
	}
	if !slices.Equal(numbers, []uint64{3, 2, 1}) {
		t.Errorf("after a restart the history has %v", numbers)
	}
}

// A file that is in the place of the fetched commits is set aside, and that is said until
// somebody removes it.
func TestAFileInThePlaceOfTheCloneIsSaid(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	_, address := serveGit(t, s.repo, "127.0.0.1")
	s.args = append(s.args, "--repo", address) // a local repository has no clone
	clone := filepath.Join(s.data, ".kargo-state", "git")
	must(t, os.MkdirAll(filepath.Dir(clone), 0o700))
	must(t, os.WriteFile(clone, []byte("no directory\n"), 0o600))
	s.begin(s.workspace().stack("web", "site").service("site"))
	said := s.status().HistoryTrouble
	_, file, found := strings.Cut(said, "a file was in the place of the directory of fetched commits; it is set aside as ")
	file, _, _ = strings.Cut(file, " and can be removed")
	if !found || !strings.HasPrefix(file, clone+".damaged-") {
		t.Fatalf("status says %q", said)
	}
	if metrics, err := s.get("/metrics"); err != nil || !strings.Contains(string(metrics), "\nkargo_history_trouble 1\n") {
		t.Errorf("the metric does not say so: %v", err)
	}
	must(t, os.Remove(file))
	if said := s.status().HistoryTrouble; said != "" {
		t.Errorf("after the file was removed status says %q", said)
	}
}
