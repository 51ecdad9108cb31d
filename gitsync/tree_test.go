package gitsync_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/gitsync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

func TestTreeIsAFileSystem(t *testing.T) {
	o := newOrigin(t)
	o.commit("more", "a/b/c/deep.txt", "deep", "empty", "", "ünï cödé", "name")
	_, files := sync(t, open(t, gitsync.Options{URL: o.work}))
	if err := fstest.TestFS(files, ".env", "deploy/redis.yml", "a/b/c/deep.txt", "empty", "ünï cödé"); err != nil {
		t.Error(err)
	}
}

func TestTreeModes(t *testing.T) {
	o := newOrigin(t)
	o.commit("script", "scripts/build.sh", "#!/bin/sh\n")
	o.git(o.work, "update-index", "--chmod=+x", "scripts/build.sh")
	o.git(o.work, "commit", "--quiet", "--message", "executable")
	_, files := sync(t, open(t, gitsync.Options{URL: o.work}))
	for name, want := range map[string]string{
		"scripts":          "drwxr-xr-x",
		"scripts/build.sh": "-rwxr-xr-x",
		".env":             "-rw-r--r--",
	} {
		info, err := fs.Stat(files, name)
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, name, info.Mode().String(), want)
	}
}

// hostile creates commits that git would refuse to create.
type hostile struct {
	t       *testing.T
	dir     string
	storage *filesystem.Storage
}

type entry struct {
	mode filemode.FileMode
	name string
	hash plumbing.Hash
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{t: t, dir: t.TempDir()}
	h.storage = filesystem.NewStorage(osfs.New(h.dir), cache.NewObjectLRUDefault())
	if err := h.storage.Init(); err != nil {
		t.Fatal(err)
	}
	if err := h.storage.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, plumbing.Main)); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hostile) object(kind plumbing.ObjectType, data []byte) plumbing.Hash {
	h.t.Helper()
	object := h.storage.NewEncodedObject()
	object.SetType(kind)
	object.SetSize(int64(len(data)))
	writer, err := object.Writer()
	if err == nil {
		_, err = writer.Write(data)
	}
	if err := errors.Join(err, writer.Close()); err != nil {
		h.t.Fatal(err)
	}
	hash, err := h.storage.SetEncodedObject(object)
	if err != nil {
		h.t.Fatal(err)
	}
	return hash
}

func (h *hostile) blob(text string) plumbing.Hash {
	return h.object(plumbing.BlobObject, []byte(text))
}

func (h *hostile) tree(entries ...entry) plumbing.Hash {
	var data bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&data, "%o %s\x00%s", uint32(e.mode), e.name, e.hash[:])
	}
	return h.object(plumbing.TreeObject, data.Bytes())
}

// read commits a tree and reads all of it. The error is that of Fetch, or of
// reading the files.
func (h *hostile) read(limits gitsync.Limits, root plumbing.Hash, message string) (fs.FS, error) {
	h.t.Helper()
	const who = "Ada <ada@example.org> 1700000000 +0000"
	commit := h.object(plumbing.CommitObject, fmt.Appendf(nil, "tree %s\nauthor %s\ncommitter %s\n\n%s", root, who, who, message))
	if err := h.storage.SetReference(plumbing.NewHashReference(plumbing.Main, commit)); err != nil {
		h.t.Fatal(err)
	}
	_, files, err := open(h.t, gitsync.Options{URL: h.dir, Limits: limits}).Fetch(deadline(h.t), commit.String())
	if err != nil {
		return nil, err
	}
	return files.FS, walk(files.FS)
}

func TestHostileTrees(t *testing.T) {
	file := func(h *hostile, name string) entry { return entry{filemode.Regular, name, h.blob("x")} }
	nested := func(h *hostile, levels int, bottom ...entry) plumbing.Hash {
		tree := h.tree(bottom...)
		for range levels {
			tree = h.tree(entry{filemode.Dir, "d", tree})
		}
		return tree
	}
	for _, c := range []struct {
		name   string
		limits gitsync.Limits
		root   func(h *hostile) plumbing.Hash
		want   string
	}{
		{"symlink", gitsync.Limits{}, func(h *hostile) plumbing.Hash {
			return nested(h, 1, entry{filemode.Symlink, "passwd", h.blob("/etc/passwd")})
		}, "d/passwd: symbolic links are refused"},
		{"symlink to a directory", gitsync.Limits{}, func(h *hostile) plumbing.Hash {
			return h.tree(entry{filemode.Symlink, "deploy", h.blob("..")})
		}, "deploy: symbolic links are refused"},
		{"symlink for the settings", gitsync.Limits{}, func(h *hostile) plumbing.Hash {
			return h.tree(entry{filemode.Symlink, "kargo.yml", h.blob("README.md")})
		}, "kargo.yml: symbolic links are refused"},
		{"parent", gitsync.Limits{}, func(h *hostile) plumbing.Hash { return h.tree(file(h, "..")) },
			`..: ".." is not a name for a file`},
		{"slash", gitsync.Limits{}, func(h *hostile) plumbing.Hash { return h.tree(file(h, "../../etc/cron.d/x")) },
			"../../etc/cron.d/x: the name holds a slash or a backslash"},
		{"backslash", gitsync.Limits{}, func(h *hostile) plumbing.Hash { return h.tree(file(h, `..\x`)) },
			`..\x: the name holds a slash or a backslash`},
		{"control character", gitsync.Limits{}, func(h *hostile) plumbing.Hash { return h.tree(file(h, "a\x1b[2Jb")) },
			"a\\x1b[2Jb: the name holds a control character"},
		{"not UTF-8", gitsync.Limits{}, func(h *hostile) plumbing.Hash { return h.tree(file(h, "a\xff")) },
			"a�: the name is not UTF-8"},
		{"case", gitsync.Limits{}, func(h *hostile) plumbing.Hash { return h.tree(file(h, "Redis.yml"), file(h, "redis.yml")) },
			"redis.yml: the name differs from Redis.yml in case only, or not at all"},
		{"twice", gitsync.Limits{}, func(h *hostile) plumbing.Hash { return h.tree(file(h, "a"), file(h, "a")) },
			"a: the name differs from a in case only, or not at all"},
		{"file too large", gitsync.Limits{File: 10}, func(h *hostile) plumbing.Hash {
			return h.tree(entry{filemode.Regular, "big", h.blob(strings.Repeat("x", 11))})
		}, "big: the file has 11 bytes, the limit is 10"},
		{"too many bytes", gitsync.Limits{Bytes: 20}, func(h *hostile) plumbing.Hash {
			big := h.blob(strings.Repeat("x", 11))
			return h.tree(entry{filemode.Regular, "a", big}, entry{filemode.Regular, "b", big})
		}, "repository: the commit holds more than 20 bytes (keep data out of the workspace, or raise the limit)"},
		{"too deep", gitsync.Limits{Depth: 3}, func(h *hostile) plumbing.Hash { return nested(h, 4, file(h, "x")) },
			"repository: the commit holds directories nested deeper than 3 (keep data out of the workspace, or raise the limit)"},
		{"too many files, from few objects", gitsync.Limits{}, func(h *hostile) plumbing.Hash {
			tree := h.tree(file(h, "x"))
			for range 12 {
				var entries []entry
				for i := range 10 {
					entries = append(entries, entry{filemode.Dir, fmt.Sprint(i), tree})
				}
				tree = h.tree(entries...)
			}
			return tree
		}, "repository: the commit holds more than 20000 files and directories (keep data out of the workspace, or raise the limit)"},
		{"LFS", gitsync.Limits{}, func(h *hostile) plumbing.Hash {
			return h.tree(entry{filemode.Regular, "map.mbtiles", h.blob("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")})
		}, "map.mbtiles: the file is a git LFS pointer; its content is not in the repository " +
			"(commit the file itself: `git lfs untrack`, then add it again)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHostile(t)
			_, err := h.read(c.limits, c.root(h), "hostile")
			wantError(t, err, kargo.Invalid, "ADDRESS", c.want)
		})
	}
}

// What is refused in one directory does not prevent reading another, and no path
// leads through a link.
func TestRefusalIsLocal(t *testing.T) {
	h := newHostile(t)
	root := h.tree(
		entry{filemode.Dir, "deploy", h.tree(entry{filemode.Regular, "redis.yml", h.blob("services: {}")})},
		entry{filemode.Dir, "docs", h.tree(
			entry{filemode.Symlink, "latest", h.blob("../../..")},
			entry{filemode.Regular, "readme", h.blob("hello")})},
		entry{filemode.Submodule, "vendor", plumbing.NewHash(strings.Repeat("1", 40))},
	)
	files, err := h.read(gitsync.Limits{}, root, "mixed")
	wantError(t, err, kargo.Invalid, "ADDRESS", "docs/latest: symbolic links are refused")
	data, err := fs.ReadFile(files, "deploy/redis.yml")
	if err != nil || string(data) != "services: {}" {
		t.Errorf("deploy/redis.yml: %q, %v", data, err)
	}
	for _, try := range []func(string) error{
		func(name string) error { _, err := fs.ReadFile(files, name); return err },
		func(name string) error { _, err := fs.Stat(files, name); return err },
		func(name string) error { _, err := files.Open(name); return err },
	} {
		wantError(t, try("docs/latest"), kargo.Invalid, "ADDRESS", "docs/latest: symbolic links are refused")
		if err := try("docs/latest/etc/passwd"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("through the link: %v", err)
		}
		if err := try("vendor"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("submodule: %v", err)
		}
	}
}

func TestCommitTextIsPrintable(t *testing.T) {
	h := newHostile(t)
	root := h.tree(entry{filemode.Regular, "a", h.blob("x")})
	if _, err := h.read(gitsync.Limits{}, root, "red \x1b[31malert\x07\u202e\nbody"); err != nil {
		t.Fatal(err)
	}
	revision, _ := sync(t, open(t, gitsync.Options{URL: h.dir}))
	wantText(t, "subject", revision.Subject, `red \x1b[31malert\a\u202e`)
}

// A content that does not match its hash is never returned.
func TestDamagedBlob(t *testing.T) {
	h := newHostile(t)
	blob, other := h.blob("good"), h.blob("evil")
	root := h.tree(entry{filemode.Regular, "a", blob})
	loose := func(hash plumbing.Hash) string {
		return filepath.Join(h.dir, "objects", hash.String()[:2], hash.String()[2:])
	}
	data, err := os.ReadFile(loose(other))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(loose(blob)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loose(blob), data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = h.read(gitsync.Limits{}, root, "damaged")
	wantError(t, err, kargo.Unavailable, "ADDRESS", "a: blob "+blob.String()+" is damaged on disk")
}

// TestPackBombs sends over HTTP what unpacks to more than the limits: it must be
// refused before go-git reads it into memory.
func TestPackBombs(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", 1<<20)
	for _, c := range []struct {
		name   string
		limits gitsync.Limits
		files  []string
		want   string
	}{
		{"file", gitsync.Limits{File: 1000}, []string{"bomb", zeros},
			"repository: the commit holds a file of 1048576 bytes, the limit is 1000 (keep data out of the workspace, or raise the limit)"},
		{"bytes", gitsync.Limits{Bytes: 1 << 20}, []string{"bomb", zeros},
			"repository: the commit holds more than 1048576 bytes (keep data out of the workspace, or raise the limit)"},
		{"files", gitsync.Limits{Files: 2}, many(30),
			"repository: the commit holds 35 files and directories, the limit is 2 (keep data out of the workspace, or raise the limit)"},
		{"download", gitsync.Limits{Bytes: 200}, nil,
			"repository: the commit holds more to download than 200 bytes (keep data out of the workspace, or raise the limit)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOrigin(t)
			commit := o.commit("bomb", c.files...)
			o.push("main")
			dir := t.TempDir()
			repository := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: dir, Limits: c.limits})
			_, _, err := repository.Fetch(deadline(t), commit)
			wantError(t, err, kargo.Invalid, "ADDRESS", c.want)
			wantText(t, "left behind", names(t, dir), "")
		})
	}
}

func many(count int) []string {
	var files []string
	for i := range count {
		files = append(files, fmt.Sprint("file", i), fmt.Sprint("content ", i))
	}
	return files
}
