package gitsync_test

import (
	"io/fs"
	"testing"

	"kargo/gitsync"
)

// What is kept of one commit for the next one depends on the hashes only: the files of each
// commit are its own, whatever was read before, and whatever a reader does with them.
func TestContentsAreThoseOfTheCommit(t *testing.T) {
	o := newOrigin(t)
	one := o.commit("one", "a", "first", "b", "same")
	two := o.commit("two", "a", "second", "c", "first")
	repository := open(t, gitsync.Options{URL: o.work})
	for _, commit := range []string{one, two, one, two} {
		_, files, err := repository.Fetch(t.Context(), commit)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"a": "first", "b": "same"}
		if commit == two {
			want = map[string]string{"a": "second", "b": "same", "c": "first"}
		}
		for name, content := range want {
			data, err := fs.ReadFile(files.FS, name)
			if err != nil || string(data) != content {
				t.Fatalf("%s of %s is %q, %v", name, commit, data, err)
			}
			info, err := fs.Stat(files.FS, name)
			if err != nil || info.Size() != int64(len(content)) {
				t.Errorf("%s of %s has %v bytes, %v", name, commit, info, err)
			}
			copy(data, "spoiled")
		}
	}
}
