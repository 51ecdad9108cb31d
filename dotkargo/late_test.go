package dotkargo

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kargo"
)

// A container writes into a folder that changes, after it was looked at and before the new tree
// is in its place. The folder stays, with what the container wrote and with the new files.
func TestWhatIsWrittenMeanwhileStays(t *testing.T) {
	files := func(named ...string) kargo.Workspace {
		ws := kargo.Workspace{Files: map[string]kargo.File{}}
		for i := 0; i < len(named); i += 2 {
			ws.Files[named[i]] = kargo.File{Data: []byte(named[i+1])}
		}
		return ws
	}
	for _, late := range []string{"configs/x/late", "configs/x/db/late", "configs/late"} {
		t.Run(late, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), ".kargo")
			first := files("a", "1", "configs/x/conf", "1", "configs/x/gone", "1", "configs/x/same/s", "s", "configs/y/conf", "y")
			wanted := onDisk(files("a", "2", "configs/x/conf", "2", "configs/x/new", "2", "configs/x/same/s", "s", "configs/y/conf", "y"))
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(Write(dir, first))
			folder := filepath.Join(dir, "configs/x")
			inodes := []uint64{inodeOf(folder), inodeOf(folder + "/same"), inodeOf(dir + "/configs/y")}
			w := NewWriter(dir)
			w.ours = readManifest(dir)
			next, err := makeNext(dir)
			must(err)
			kept, err := w.foldersToKeep(describe(dir, onDisk(first), time.Time{}), wanted, true)
			must(err)
			found, err := replace(dir, next, func() error {
				must(fill(next, dir, wanted, func(string, string) bool { return false }))
				must(w.note(next, wanted, kept))
				must(os.MkdirAll(filepath.Dir(filepath.Join(dir, late)), 0o700))
				return os.WriteFile(filepath.Join(dir, late), []byte("theirs"), 0o600)
			})
			must(err)
			if !found {
				t.Error("nothing was found")
			}
			for name, want := range map[string]string{late: "theirs", "a": "2", "configs/x/conf": "2", "configs/x/new": "2", "configs/x/same/s": "s", "configs/y/conf": "y"} {
				if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != want {
					t.Errorf("%s has %q, %v", name, data, err)
				}
			}
			if _, err := os.Lstat(folder + "/gone"); !os.IsNotExist(err) {
				t.Errorf("what has left the workspace is there: %v", err)
			}
			now := []uint64{inodeOf(folder), inodeOf(folder + "/same"), inodeOf(dir + "/configs/y")}
			for i := range now {
				if now[i] != inodes[i] && (i > 0 || late != "configs/late") {
					t.Errorf("folder %d is another one", i)
				}
			}
		})
	}
}
