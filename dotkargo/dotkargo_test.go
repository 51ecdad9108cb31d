package dotkargo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kargo"
	"kargo/dotkargo"
)

func workspace(files ...string) kargo.Workspace {
	ws := kargo.Workspace{Files: map[string]kargo.File{}}
	for _, file := range files {
		name, data, _ := strings.Cut(file, "=")
		ws.Files[name] = kargo.File{Data: []byte(data)}
	}
	return ws
}

// tree returns the directory as text: mode, path, content. It leaves out the file
// with which the tree ignores itself, and fails where that is missing.
func tree(t *testing.T, dir string) string {
	t.Helper()
	return treeOf(t, dir)
}

func treeOf(t rapid.TB, dir string) string {
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(dir, path)
		if relative == ".written" {
			return nil // the list of what Kargo wrote
		}
		fmt.Fprintf(&text, "%04o %s", info.Mode().Perm(), relative)
		if !entry.IsDir() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&text, " %s", data)
		}
		fmt.Fprintln(&text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const ignore = "0600 .gitignore *\n\n"
	if !strings.Contains(text.String(), ignore) {
		t.Errorf("git would take the tree: it has no .gitignore\n%s", text.String())
	}
	return strings.Replace(text.String(), ignore, "", 1)
}

func write(t *testing.T, dir string, ws kargo.Workspace) {
	t.Helper()
	if err := dotkargo.Write(dir, ws); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, dir, want string) {
	t.Helper()
	wantText(t, dir, want)
	if leftovers, _ := filepath.Glob(dir + ".*"); len(leftovers) > 0 {
		t.Errorf("left behind: %s", leftovers)
	}
}

func wantText(t *testing.T, dir, want string) {
	t.Helper()
	if got := tree(t, dir); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", ".kargo")
	write(t, dir, workspace(".env=A=1", "deploy/a.yml=x", "configs/with space/b=y"))
	check(t, dir, `0700 .
0600 .env A=1
0700 acme
0700 configs
0700 configs/with space
0600 configs/with space/b y
0700 deploy
0600 deploy/a.yml x
0700 logs
`)

	write(t, dir, workspace(".env=A=2", "deploy/c.yml=z"))
	check(t, dir, `0700 .
0600 .env A=2
0700 acme
0700 deploy
0600 deploy/c.yml z
0700 logs
`)
}

func TestWriteTouchesNothingThatIsRight(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	ws := workspace(".env=A=1", "acme.x=1")
	write(t, dir, ws)
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ws)
	after, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the directory was replaced although nothing differs")
	}
}

func TestWriteRepairsModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	ws := workspace(".env=A=1")
	write(t, dir, ws)
	if err := os.Chmod(filepath.Join(dir, ".env"), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, ws)
	check(t, dir, "0700 .\n0600 .env A=1\n0700 acme\n0700 logs\n")
}

// A folder that is left without files goes, also if somebody else removed its last file.
func TestWriteRemovesEmptyFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	write(t, dir, workspace(".env=A=1", "configs/x/one=1"))
	if err := os.Remove(filepath.Join(dir, "configs", "x", "one")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, workspace(".env=A=1"))
	check(t, dir, "0700 .\n0600 .env A=1\n0700 acme\n0700 logs\n")
}

// Whoever can write to the directory could keep Kargo waiting at a pipe, or have it
// read a file of a terabyte.
func TestS44WhatIsNotAFileOfTheRightSizeIsNotRead(t *testing.T) {
	ws := workspace(".env=A=1", "deploy/a.yml=x")
	for name, replace := range map[string]func(path string) error{
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"huge file": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40)) },
		"link":      func(path string) error { return os.Symlink("/proc/self/maps", path) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), ".kargo")
			write(t, dir, ws)
			path := filepath.Join(dir, "deploy", "a.yml")
			if err := errors.Join(os.Remove(path), replace(path)); err != nil {
				t.Fatal(err)
			}
			write(t, dir, ws)
			check(t, dir, "0700 .\n0600 .env A=1\n0700 acme\n0700 deploy\n0600 deploy/a.yml x\n0700 logs\n")
		})
	}
}

func TestWriteKeepsState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	write(t, dir, workspace(".env=A=1", "acme/acme.json=seed"))
	check(t, dir, "0700 .\n0600 .env A=1\n0700 acme\n0600 acme/acme.json seed\n0700 logs\n")

	for name, data := range map[string]string{"acme/acme.json": "grown", "logs/access": "line"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, workspace(".env=A=2", "acme/acme.json=seed"))
	check(t, dir, "0700 .\n0600 .env A=2\n0700 acme\n0600 acme/acme.json grown\n0700 logs\n0600 logs/access line\n")
}

// A process killed between the switch and the cleaning leaves the old tree behind, with the
// state in it: it may have removed the new tree's empty folder for it, or moved the present
// tree away where the file system cannot exchange two.
func TestWriteAfterAKill(t *testing.T) {
	for _, missing := range []string{"", "acme", "logs", "."} {
		dir := filepath.Join(t.TempDir(), ".kargo")
		ws := workspace(".env=A=2")
		write(t, dir, ws)
		old := dir + ".new-123"
		if err := os.MkdirAll(filepath.Join(old, "acme"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(old, "acme", "acme.json"), []byte("grown"), 0o600); err != nil {
			t.Fatal(err)
		}
		if missing != "" {
			if err := os.RemoveAll(filepath.Join(dir, missing)); err != nil {
				t.Fatal(err)
			}
		}
		write(t, dir, ws)
		check(t, dir, "0700 .\n0600 .env A=2\n0700 acme\n0600 acme/acme.json grown\n0700 logs\n")
	}
}

// A file that did not change is not written again, also if others changed. What
// somebody put in its place is.
func TestWriteKeepsWhatDidNotChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	write := func(files ...string) {
		t.Helper()
		if err := dotkargo.Write(dir, workspace(files...)); err != nil {
			t.Fatal(err)
		}
	}
	inode := func(name string) uint64 {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	write("deploy/a.yml=a", "deploy/b.yml=b", "c=c", "d=d", "secret=s")
	a, b := inode("deploy/a.yml"), inode("deploy/b.yml")
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "c"), []byte("by hand"), 0o600),
		os.Remove(filepath.Join(dir, "d")), os.Symlink("secret", filepath.Join(dir, "d")),
	); err != nil {
		t.Fatal(err)
	}
	write("deploy/a.yml=a", "deploy/b.yml=another", "c=c", "d=s", "secret=s")
	if inode("deploy/a.yml") != a || inode("deploy/b.yml") == b {
		t.Error("what did not change was written again, or what changed was not")
	}
	const want = "0700 .\n0700 acme\n0600 c c\n0600 d s\n0700 deploy\n0600 deploy/a.yml a\n0600 deploy/b.yml another\n"
	got := tree(t, dir)
	for line := range strings.Lines(want) {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
	if info, err := os.Lstat(filepath.Join(dir, "d")); err != nil || !info.Mode().IsRegular() {
		t.Error("a link was kept", info, err)
	}
}

// Whatever was written before, and whoever has changed the directory meanwhile: what a
// Writer leaves is what one call of Write makes, and the files that others wrote into
// folders that containers may have bound.
func TestWriterIsTheSameAsWrite(t *testing.T) {
	names := []string{".env", "deploy/a.yml", "deploy/b.yml", "configs/x/one", "configs/y"}
	contents := []string{"one", "two", "longer than both"}
	const state = "acme/acme.json"
	rapid.Check(t, func(t *rapid.T) {
		base, err := os.MkdirTemp("", "dotkargo")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(base)
		dir := filepath.Join(base, "data", ".kargo")
		writer, ws := dotkargo.NewWriter(dir), workspace(".env=A=1", "acme/acme.json=first")
		grown := "first"
		written := map[string]bool{}
		before := func() (trees []string) {
			if trees, _ = filepath.Glob(dir + ".*"); len(trees) > 1 {
				t.Fatalf("left behind: %s", trees)
			}
			return trees
		}
		file := rapid.SampledFrom(names)
		content := rapid.Map(rapid.SampledFrom(contents), func(text string) []byte { return []byte(text) })
		meddle := map[string]func(){
			"nobody": func() {},
			"edits": func() {
				_ = os.WriteFile(filepath.Join(dir, file.Draw(t, "edited")), content.Draw(t, "by hand"), 0o600)
			},
			"removes": func() {
				_ = os.RemoveAll(filepath.Join(dir, rapid.SampledFrom(append(names, "deploy", "configs")).Draw(t, "removed")))
			},
			"adds":  func() { _ = os.WriteFile(filepath.Join(dir, "deploy", "stray"), nil, 0o600) },
			"opens": func() { _ = os.Chmod(filepath.Join(dir, file.Draw(t, "opened")), 0o644) },
			"edits what was before": func() {
				for _, spare := range before() {
					_ = os.WriteFile(filepath.Join(spare, file.Draw(t, "edited")), content.Draw(t, "by hand"), 0o600)
				}
			},
			"removes what was before": func() {
				for _, spare := range before() {
					_ = os.RemoveAll(filepath.Join(spare, "deploy"))
				}
			},
			"adds to what was before": func() {
				for _, spare := range before() {
					_ = os.WriteFile(filepath.Join(spare, state), []byte("stray"), 0o600)
				}
			},
			"restarts": func() { writer = dotkargo.NewWriter(dir) },
			"writes state": func() {
				grown += "+"
				_ = os.WriteFile(filepath.Join(dir, state), []byte(grown), 0o600)
			},
		}
		for i := range rapid.IntRange(1, 10).Draw(t, "writes") {
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				if name := file.Draw(t, "file"); rapid.Bool().Draw(t, "exists") {
					ws.Files[name] = kargo.File{Data: content.Draw(t, "content")}
				} else {
					delete(ws.Files, name)
				}
			}
			theirs := map[string]os.FileInfo{} // what the workspace did not have, and has not now
			if i > 0 {
				meddle[rapid.SampledFrom(slices.Sorted(maps.Keys(meddle))).Draw(t, "who")]()
				for _, name := range names {
					info, err := os.Lstat(filepath.Join(dir, name))
					if _, exists := ws.Files[name]; err == nil && !written[name] && !exists && strings.HasPrefix(name, "configs/") {
						theirs[name] = info
					}
				}
			}
			if err := writer.Write(ws); err != nil {
				t.Fatal(err)
			}
			written = map[string]bool{}
			for name := range ws.Files {
				written[name] = true
			}
			fresh := filepath.Join(base, "fresh")
			if err := errors.Join(os.RemoveAll(fresh), dotkargo.Write(fresh, ws), os.WriteFile(filepath.Join(fresh, state), []byte(grown), 0o600)); err != nil {
				t.Fatal(err)
			}
			for name, info := range theirs {
				data, err := os.ReadFile(filepath.Join(dir, name))
				file := filepath.Join(fresh, name)
				if err := errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, data, 0o600), os.Chmod(file, info.Mode())); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := treeOf(t, dir), treeOf(t, fresh); got != want {
				t.Fatalf("got\n%swant\n%s", got, want)
			}
			before()
		}
		if err := dotkargo.NewWriter(dir).Write(ws); err != nil {
			t.Fatal(err)
		}
		if left := before(); len(left) > 0 {
			t.Fatal("another process left ", left)
		}
	})
}

// One file is replaced in its place: the other files, and the directory, are not touched.
func TestWriterReplacesOneFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	writer := dotkargo.NewWriter(dir)
	for _, test := range []struct {
		ws       kargo.Workspace
		replaced bool // the directory
	}{
		{workspace("deploy/a.yml=a", "deploy/b.yml=b"), true},
		{workspace("deploy/a.yml=other", "deploy/b.yml=b"), false},
		{workspace("deploy/a.yml=other", "deploy/b.yml=b", "deploy/c.yml=c"), false},
		{workspace("deploy/a.yml=1", "deploy/b.yml=2", "deploy/c.yml=c"), true},
		{workspace("deploy/a.yml=1", "deploy/b.yml=2"), true},
	} {
		before, _ := os.Stat(dir)
		if err := writer.Write(test.ws); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(dir)
		if err != nil || os.SameFile(before, after) == test.replaced {
			t.Errorf("%v: replaced as a whole %v, %v", test.ws.Files, !test.replaced, err)
		}
	}
	const want = "0700 .\n0700 acme\n0700 deploy\n0600 deploy/a.yml 1\n0600 deploy/b.yml 2\n0700 logs\n"
	wantText(t, dir, want)
	if err := dotkargo.NewWriter(dir).Write(workspace("deploy/a.yml=1", "deploy/b.yml=2")); err != nil {
		t.Fatal(err)
	}
	check(t, dir, want) // nothing is left of the other Writer
}

// Where several files differ, the tree before becomes the next one, and only what differs
// in it is written. Whoever has an unchanged file open still has the one in the tree.
func TestWriterMakesTheNextTreeOfTheOneBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	writer := dotkargo.NewWriter(dir)
	write := func(files ...string) {
		t.Helper()
		if err := writer.Write(workspace(files...)); err != nil {
			t.Fatal(err)
		}
	}
	numbers := func(names ...string) (inodes []uint64) {
		t.Helper()
		for _, name := range names {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			inodes = append(inodes, info.Sys().(*syscall.Stat_t).Ino)
		}
		return inodes
	}
	write("a=1", "b=1", "same=s", "gone/x=x")
	write("a=2", "b=2", "same=s", "gone/x=x")
	first, file := numbers("."), numbers("same")
	write("a=3", "b=3", "same=s", "new/y=y")
	second := numbers(".")
	write("a=4", "b=4", "same=s", "new/y=y")
	if first[0] == second[0] || numbers(".")[0] != first[0] || numbers("same")[0] != file[0] {
		t.Errorf("directories %v, %v, %v; file %v, %v", first, second, numbers("."), file, numbers("same"))
	}
	wantText(t, dir, "0700 .\n0600 a 4\n0700 acme\n0600 b 4\n0700 logs\n0700 new\n0600 new/y y\n0600 same s\n")
	// One file alone is replaced in its place, and the other tree does not become wrong.
	write("a=5", "b=4", "same=s", "new/y=y")
	write("a=6", "b=6", "same=t", "new/y=y")
	write("a=7", "b=7", "same=t", "new/y=y")
	wantText(t, dir, "0700 .\n0600 a 7\n0700 acme\n0600 b 7\n0700 logs\n0700 new\n0600 new/y y\n0600 same t\n")
	if numbers(".")[0] != first[0] {
		t.Error("a tree was made anew")
	}
}

// later returns when the file system's clock has moved on so far that the Writer relies on
// it.
func later(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, "clock")
	for start := (time.Time{}); ; {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if start.IsZero() {
			start = info.ModTime()
		}
		if info.ModTime().Sub(start) > 100*time.Millisecond {
			return
		}
	}
}

// Somebody changes a file of the tree before: as a container does that has it bound to
// write, and has not been replaced yet. What is of the same size and old by now does not
// come back with the tree.
func TestWriterTakesNothingOverThatSomebodyWrote(t *testing.T) {
	for name, next := range map[string][]string{
		"that file is replaced":            {"a=3", "b=2", "same=s"},
		"another file is replaced":         {"a=2", "b=3", "same=s"},
		"that file goes":                   {"b=3", "same=s"},
		"the tree becomes the next one":    {"a=3", "b=3", "same=s"},
		"the same file is in another tree": {"a=2", "b=2", "same=s", "new=n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			dir := filepath.Join(base, ".kargo")
			writer := dotkargo.NewWriter(dir)
			write := func(files ...string) {
				t.Helper()
				if err := writer.Write(workspace(files...)); err != nil {
					t.Fatal(err)
				}
			}
			spare := func() string {
				t.Helper()
				found, err := filepath.Glob(dir + ".*")
				if err != nil || len(found) != 1 {
					t.Fatal(found, err)
				}
				return found[0]
			}
			write("a=1", "b=1", "same=s")
			later(t, base)
			write("a=2", "b=2", "same=s")
			bound, err := os.OpenFile(filepath.Join(spare(), "a"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer bound.Close()
			if _, err := bound.WriteString("X"); err != nil {
				t.Fatal(err)
			}
			later(t, base)
			write(next...)
			later(t, base)
			write("a=1", "b=4", "same=s")
			wantText(t, dir, "0700 .\n0600 a 1\n0700 acme\n0600 b 4\n0700 logs\n0600 same s\n")
			write("a=5", "b=5", "same=s")
			write("a=1", "b=6", "same=s")
			wantText(t, dir, "0700 .\n0600 a 1\n0700 acme\n0600 b 6\n0700 logs\n0600 same s\n")
		})
	}
}

// A container keeps the folder that it has bound, whatever becomes of the tree. A folder of
// which no file changed is the same one in each tree, also for another process.
func TestUnchangedFoldersStay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".kargo")
	writer := dotkargo.NewWriter(dir)
	number := func(name string) uint64 {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	const unchanged = "configs/x/conf=x configs/x/below/more=m configs/other/y=y "
	tree := func(files string) kargo.Workspace { return workspace(strings.Fields(unchanged + files)...) }
	write := func(ws kargo.Workspace) {
		t.Helper()
		if err := writer.Write(ws); err != nil {
			t.Fatal(err)
		}
	}
	write(tree("a=1 b=1 configs/z/c=1"))
	folders := map[string]uint64{}
	for _, name := range []string{"configs/x", "configs/x/below", "configs/other"} {
		folders[name] = number(name)
	}
	for _, step := range []struct{ what, files string }{
		{"two files", "a=2 b=2 configs/z/c=1"},
		{"two files again", "a=3 b=3 configs/z/c=1"},
		{"a folder beside them", "a=3 b=4 configs/z/c=2"},
		{"folders come and go", "a=5 b=5 configs/new/c=2"},
		{"everything else goes", "a=5"},
		{"a restart", "a=6 b=6 configs/z/c=1"},
		{"and another change", "a=7 b=7 configs/z/c=2"},
		{"a restart", "a=7 b=7 configs/z/c=2"},
		{"a change of one file", "a=7 b=7 configs/z/c=3"},
		{"and of two", "a=8 b=8 configs/z/c=3"},
	} {
		if step.what == "a restart" {
			writer = dotkargo.NewWriter(dir)
		}
		write(tree(step.files))
		for name, want := range folders {
			if got := number(name); got != want {
				t.Errorf("%s: %s is another folder", step.what, name)
			}
		}
		fresh := filepath.Join(t.TempDir(), ".kargo")
		if err := dotkargo.Write(fresh, tree(step.files)); err != nil {
			t.Fatal(err)
		}
		wantText(t, dir, treeOf(t, fresh))
	}
	// What changed in a folder is another one's: a reader sees the old tree or the new one.
	if err := writer.Write(workspace("configs/x/conf=other", "configs/x/below/more=m", "a=9")); err != nil {
		t.Fatal(err)
	}
	if number("configs/x") == folders["configs/x"] || number("configs/x/below") != folders["configs/x/below"] {
		t.Error("a folder that changed was kept, or one that did not was not")
	}
}

// What a container writes into a folder that it has bound stays there, as long as it is no
// file of the workspace. Kargo removes what it wrote itself, and nothing else.
func TestFilesOfContainersStay(t *testing.T) {
	for _, test := range []struct {
		name, first, then, file string
		restart, ours           bool // whether the file is Kargo's own
	}{
		{name: "nothing changes", file: "configs/x/db/1"},
		{name: "a file elsewhere", then: "a=2", file: "configs/x/plugin"},
		{name: "two files elsewhere", then: "a=2 b=2", file: "configs/x/plugin"},
		{name: "two files elsewhere, and a restart", then: "a=2 b=2", file: "configs/x/plugin", restart: true},
		{name: "a file of the folder", then: "configs/x/conf=2", file: "configs/x/plugin"},
		{name: "two files of the folder", then: "configs/x/conf=2 configs/x/more=2", file: "configs/x/plugin"},
		{name: "two files of the folder, and a restart", then: "configs/x/conf=2 configs/x/more=2", file: "configs/x/plugin", restart: true},
		{name: "a folder below", then: "configs/x/new/one=1 configs/x/new/two=2", file: "configs/x/db/1"},
		{name: "a folder of a container becomes one of the workspace", then: "configs/x/db/2=2 a=2", file: "configs/x/db/1"},
		{name: "the folder leaves the workspace", then: "configs/x/conf=- a=2", file: "configs/x/plugin"},
		{name: "the folder leaves the workspace, and a restart", then: "configs/x/conf=- a=2", file: "configs/x/plugin", restart: true},
		{name: "a folder of the workspace's top", then: "a=2 b=2", file: "data/x/1"},
		{name: "a stack directory", first: "stacks/web/site/conf=1", then: "stacks/web/site/conf=2 a=2", file: "stacks/web/site/db"},
		{name: "a file of the workspace goes", first: "configs/x/gone=1", then: "configs/x/gone=- a=2", file: "configs/x/gone", ours: true},
		{name: "a file of the workspace is changed by a container", then: "a=2", file: "configs/x/conf", ours: true},
		{name: "a file becomes one of the workspace", then: "configs/x/plugin=1", file: "configs/x/plugin", ours: true},
		{name: "a folder becomes a file of the workspace", then: "configs/x/db=1", file: "configs/x/db/1", ours: true},
		{name: "a file becomes a folder of the workspace", then: "configs/x/db/1=1 a=2", file: "configs/x/db", ours: true},
		{name: "the folder becomes a file of the workspace", then: "configs/x/conf=- configs/x=1", file: "configs/x/plugin", ours: true},
		{name: "a script", then: "a=2 b=2", file: "scripts/stray", ours: true},
		{name: "a compose file", then: "a=2", file: "deploy/stray", ours: true},
		{name: "a file at the top", then: "a=2", file: "stray", ours: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), ".kargo")
			files := map[string]string{"a": "1", "b": "1", "configs/x/conf": "1", "deploy/a.yml": "1", "scripts/s.sh": "1"}
			writer := dotkargo.NewWriter(dir)
			write := func(change string) {
				t.Helper()
				for _, file := range strings.Fields(change) {
					name, data, _ := strings.Cut(file, "=")
					files[name] = data
					if data == "-" {
						delete(files, name)
					}
				}
				ws := workspace()
				for name, data := range files {
					ws.Files[name] = kargo.File{Data: []byte(data)}
				}
				if err := writer.Write(ws); err != nil {
					t.Fatal(err)
				}
			}
			write(test.first)
			write("a=0 b=0")
			file := filepath.Join(dir, test.file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("theirs"), 0o644)); err != nil {
				t.Fatal(err)
			}
			folder, err := os.Stat(filepath.Dir(file))
			if err != nil {
				t.Fatal(err)
			}
			if test.restart {
				writer = dotkargo.NewWriter(dir)
			}
			write(test.then)
			for _, after := range []string{"", "a=5", "a=6 b=6", "restart", "a=7 b=7"} {
				if after == "restart" {
					writer, after = dotkargo.NewWriter(dir), ""
				}
				write(after)
				data, err := os.ReadFile(file)
				if want, isOurs := files[test.file]; test.ours && (isOurs && string(data) != want || !isOurs && err == nil) || !test.ours && string(data) != "theirs" {
					t.Fatalf("%q: %s has %q, %v", after, test.file, data, err)
				}
				if now, err := os.Stat(filepath.Dir(file)); !test.ours && (err != nil || !os.SameFile(folder, now)) {
					t.Errorf("%q: the folder is another one, %v", after, err)
				}
			}
			for name, data := range files {
				if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != data {
					t.Errorf("%s has %q, %v, want %q", name, got, err, data)
				}
			}
		})
	}
}
