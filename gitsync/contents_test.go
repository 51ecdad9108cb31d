package gitsync_test

import (
	"io/fs"
	"os"
	"path/filepath"
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

// What one process has read, another one takes instead of reading it: the files are the
// same, also where the disk has them no more.
func TestWhatAnotherProcessRemembersIsNotReadAgain(t *testing.T) {
	o := newOrigin(t)
	one := o.commit("one", "a", "first", "b", "same")
	two := o.commit("two", "a", "second")
	here := open(t, gitsync.Options{URL: o.work})
	read := func(repository *gitsync.Repository, commit string, want map[string]string) {
		t.Helper()
		_, files, err := repository.Fetch(t.Context(), commit)
		if err != nil {
			t.Fatal(err)
		}
		if repository != here {
			if err := repository.Remember(here.Remembered(true), true); err != nil {
				t.Fatal(err)
			}
		}
		for name, content := range want {
			data, err := fs.ReadFile(files.FS, name)
			info, errStat := fs.Stat(files.FS, name)
			if err != nil || errStat != nil || string(data) != content || info.Size() != int64(len(content)) {
				t.Errorf("%s is %q, %v, %v", name, data, err, errStat)
			}
		}
	}
	read(here, one, map[string]string{"a": "first", "b": "same"})
	for commit := range 2 { // also after a commit of which nobody read a file
		if commit == 1 {
			read(here, two, nil)
		}
		there := open(t, gitsync.Options{URL: o.work})
		if err := there.Remember(here.Remembered(false), false); err != nil {
			t.Fatal(err)
		}
		read(there, two, map[string]string{"a": "second", "b": "same"})
	}

	blob := o.git(o.work, "rev-parse", two+":b")
	if err := os.Remove(filepath.Join(o.work, ".git", "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	there := open(t, gitsync.Options{URL: o.work})
	if err := there.Remember(here.Remembered(false), false); err != nil {
		t.Fatal(err)
	}
	read(there, two, map[string]string{"a": "second", "b": "same"})
}

// A directory that the commit before had is not read again, by no process.
func TestDirectoriesAreNotReadAgain(t *testing.T) {
	o := newOrigin(t)
	one := o.commit("one", "configs/a", "a", "configs/deep/b", "b")
	two := o.commit("two", "configs/deep/b", "c", "README.md", "new")
	here, there := open(t, gitsync.Options{URL: o.work}), open(t, gitsync.Options{URL: o.work})
	if _, _, err := here.Fetch(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if err := there.Remember(here.Remembered(false), false); err != nil {
		t.Fatal(err)
	}
	same := o.git(o.work, "rev-parse", two+":deploy")
	if err := os.Remove(filepath.Join(o.work, ".git", "objects", same[:2], same[2:])); err != nil {
		t.Fatal(err)
	}
	for name, repository := range map[string]*gitsync.Repository{"the same process": here, "another process": there} {
		_, files, err := repository.Fetch(t.Context(), two)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantText(t, name, listing(t, files.FS), ".env: STACKS=redis\nREADME.md: new\nconfigs/a: a\nconfigs/deep/b: c\ndeploy/redis.yml: services: {}\n")
	}
	if _, _, err := open(t, gitsync.Options{URL: o.work}).Fetch(t.Context(), two); err == nil {
		t.Error("a process that knows nothing found a directory that is gone")
	}
}

func TestWhatIsRememberedMayBeCutOff(t *testing.T) {
	o := newOrigin(t)
	commit := o.commit("one", "a", "first")
	here := open(t, gitsync.Options{URL: o.work})
	_, files, err := here.Fetch(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(files.FS, "a"); err != nil {
		t.Fatal(err)
	}
	for _, contents := range []bool{false, true} {
		whole := here.Remembered(contents)
		for _, length := range []int{1, 20, len(whole) / 2, len(whole) - 1} {
			if err := open(t, gitsync.Options{URL: o.work}).Remember(whole[:length], contents); err == nil {
				t.Errorf("%d bytes of %d are taken for all", length, len(whole))
			}
		}
	}
}
