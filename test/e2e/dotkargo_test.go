package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// checkPrivate checks the modes of everything in a merged configuration, and
// that it holds the files of both layers.
func checkPrivate(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = fs.ModeDir | 0o700
		}
		if err == nil && info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{".env", ".env.default", "deploy/site.yml", "deploy/redis.yml", "configs/page.txt"} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestMergedConfigurationIsWritten(t *testing.T) {
	t.Parallel()
	workspace := func(w *workspace) *workspace {
		return w.stack("web", "site").service("site").file("configs/page.txt.tpl", "$GREETING\n").set("GREETING", "hello")
	}
	t.Run("by configure", func(t *testing.T) {
		dir, data := shortTempDir(t), shortTempDir(t)
		workspace(newWorkspace("t")).write(t, dir)
		if got := run(t, "/", nil, "configure", "--workspace", dir, "--data", data); got.code != 0 {
			t.Fatal(got)
		}
		checkPrivate(t, filepath.Join(data, ".kargo"))
	})
	t.Run("by apply", func(t *testing.T) {
		s := inMemory(t)
		s.repo.commit(workspace(s.workspace()))
		got := run(t, "/", s.env, "apply", "--repo", s.repo.dir, "--data", s.data, "--wait", "1m")
		if got.code != 0 {
			t.Fatal(got)
		}
		checkPrivate(t, filepath.Join(s.data, ".kargo"))
	})
	t.Run("by serve", func(t *testing.T) {
		s := inMemory(t)
		s.begin(workspace(s.workspace()))
		checkPrivate(t, filepath.Join(s.data, ".kargo"))
	})
}

// What somebody changes in the merged configuration is mended without a commit.
func TestMergedConfigurationIsMended(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"by the verification", "by sync"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			verify := "1s"
			if how == "by sync" {
				verify = "1h"
			}
			s := inMemory(t, "--verify", verify)
			s.begin(s.workspace().stack("web", "site").service("site").file("configs/page.txt", "hello\n"))
			page := filepath.Join(s.data, ".kargo", "configs", "page.txt")
			writeFile(t, page, "changed by hand\n")
			if how == "by sync" {
				s.sync()
			}
			until(t, "the file is as it was", func() bool {
				text, err := os.ReadFile(page)
				return err == nil && string(text) == "hello\n"
			})
		})
	}
}

// A container writes into a folder that it has bound. Commits and starts of the controller
// leave that alone, and remove what they wrote themselves.
func TestFilesOfContainersStay(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site").file("configs/site/conf", "1\n").file("configs/site/gone", "g\n")
	s.begin(w)
	folder := filepath.Join(s.data, ".kargo", "configs", "site")
	before, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "theirs"), []byte("data\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"2\n", "again", "3\n", "4\n"} {
		if to == "again" {
			s.stop()
			s.start()
			continue
		}
		delete(w.files, "configs/site/gone")
		s.deploy(w.file("configs/site/conf", to).file("configs/other", to))
		bound, err := os.Stat(folder)
		if err != nil || !os.SameFile(before, bound) {
			t.Errorf("after %s the folder is another one: %v", to, err)
		}
		for name, want := range map[string]string{"theirs": "data\n", "conf": to, "gone": ""} {
			if data, _ := os.ReadFile(filepath.Join(folder, name)); string(data) != want {
				t.Errorf("after %s, %s has %q, want %q", to, name, data, want)
			}
		}
	}
}

// Every commit writes one number into two files. Whoever opens the directory
// finds the same in both.
func TestMergedConfigurationIsSwitchedAsAWhole(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	w := s.workspace().stack("web", "site").service("site")
	number := func(n int) *workspace {
		text := fmt.Sprintln(n)
		return w.file("configs/a.txt", text).file("configs/z.txt", text)
	}
	s.begin(number(0))
	stop, result := make(chan struct{}), make(chan error, 1)
	go func() { result <- readPairs(filepath.Join(s.data, ".kargo"), stop) }()
	for n := range 10 {
		s.deploy(number(n + 1))
	}
	close(stop)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// readPairs reads both files again and again. A tree that is taken away under
// the reader is no mixture.
func readPairs(dir string, stop chan struct{}) error {
	pairs := map[string]bool{}
	for {
		select {
		case <-stop:
			if len(pairs) < 2 {
				return fmt.Errorf("the reader saw the numbers %v only", pairs)
			}
			return nil
		default:
		}
		a, z, err := readPair(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case a != z:
			return fmt.Errorf("the files are of two revisions: %q and %q", a, z)
		default:
			pairs[a] = true
		}
	}
}

func readPair(dir string) (a, z string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", "", fmt.Errorf("there is no merged configuration: %v", err) // never, not even for a moment
	}
	defer root.Close()
	first, err := root.ReadFile("configs/a.txt")
	if err != nil {
		return "", "", err
	}
	second, err := root.ReadFile("configs/z.txt")
	return string(first), string(second), err
}
