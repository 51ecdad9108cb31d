package history

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kargo"
)

// fullFile is a file on a disk with so many bytes of room: what does not fit is
// written in part, as on a real one.
type fullFile struct {
	*os.File
	room int
}

func (f *fullFile) WriteAt(data []byte, at int64) (int, error) {
	if len(data) <= f.room {
		f.room -= len(data)
		return f.File.WriteAt(data, at)
	}
	n, _ := f.File.WriteAt(data[:f.room], at)
	f.room = 0
	return n, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
}

// A disk that is full costs nothing as long as the process lives, and nothing at
// all once there is room.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(commit string) {
		t.Helper()
		if _, err := store.Begin(kargo.Deployment{Revision: kargo.Revision{Commit: commit}}); err != nil {
			t.Fatal(err)
		}
	}
	begin("before")
	disk := &fullFile{store.journal.file.(*os.File), 100}
	store.journal.file = disk
	for range 3 {
		begin("full")
	}
	if said := store.Trouble(); !strings.HasPrefix(said, "the history cannot be written and is kept in memory: write ") || !strings.HasSuffix(said, ": no space left on device") {
		t.Errorf("it says %q", said)
	}
	if deployments, err := store.Deployments(0, 0); err != nil || len(deployments) != 4 || deployments[0].Revision.Commit != "full" {
		t.Errorf("meanwhile: %v, %v", deployments, err)
	}
	if onDisk := deploymentsOf(t, path); onDisk != 1 {
		t.Errorf("%d deployments are on the disk, and no half of one should be", onDisk)
	}
	disk.room = 1 << 20
	if said := store.Trouble(); said != "" {
		t.Errorf("with room it says %q", said)
	}
	if onDisk := deploymentsOf(t, path); onDisk != 4 {
		t.Errorf("with room %d deployments are on the disk", onDisk)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// deploymentsOf counts what a copy of the file has, which must be sound.
func deploymentsOf(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "history.journal")
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := Open(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if said := store.Trouble(); said != "" {
		t.Errorf("a copy of the file says %q", said)
	}
	return len(store.index.entries)
}

// What finds no room in memory either is missing in the history, and nothing
// else is.
func TestFullMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.put(suspendedKey, nil); err != nil { // so that there is a file
		t.Fatal(err)
	}
	store.journal.file = &fullFile{store.journal.file.(*os.File), 0}
	if err := os.Mkdir(path+".new", 0o700); err != nil { // so that no other file can be written either
		t.Fatal(err)
	}
	large := kargo.Deployment{Err: strings.Repeat("x", maxPending/2)}
	for range 3 {
		if _, err := store.Begin(large); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Approve("p1", "ann", large.Started); err != nil {
		t.Fatal(err)
	}
	if d, err := store.Deployment(3); d != nil || err != nil {
		t.Errorf("the third deployment is kept: %t, %v", d != nil, err)
	}
	if err := os.Remove(path + ".new"); err != nil {
		t.Fatal(err)
	}
	if d, err := store.Begin(kargo.Deployment{}); err != nil || d.Number != 4 {
		t.Errorf("the fourth deployment has number %d, %v", d.Number, err)
	}
	if plan, err := store.Approved(large.Started); plan != "p1" || err != nil {
		t.Errorf("approved: %q, %v", plan, err)
	}
	if said := store.Trouble(); said != "" {
		t.Errorf("it says %q", said)
	}
}

// The file is rewritten only when half of it does not count any more.
func TestRewritingCostsLittle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.journal")
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := store.Begin(kargo.Deployment{Err: strings.Repeat("x", 100_000)})
	if err != nil {
		t.Fatal(err)
	}
	rewritten, written := 0, store.written
	const records = 400
	for range records {
		if err := store.Record(d, kargo.Memory{}); err != nil {
			t.Fatal(err)
		}
		if store.written != written {
			rewritten, written = rewritten+1, store.written
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > smallest+200_000 || rewritten > records*100_000/smallest+1 || rewritten == 0 {
		t.Errorf("the file has %d bytes and was rewritten %d times", info.Size(), rewritten)
	}
}
