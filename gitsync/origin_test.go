package gitsync_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/gitsync"
)

// origin is a repository that tests push to, and that servers serve.
type origin struct {
	t    *testing.T
	bare string // what a server serves, below root
	root string
	work string
}

// newOrigin creates a repository with one commit on main.
func newOrigin(t *testing.T) *origin {
	t.Helper()
	root := t.TempDir()
	o := &origin{t: t, root: root, bare: filepath.Join(root, "team", "workspace.git"), work: t.TempDir()}
	o.git(root, "init", "--quiet", "--bare", "--initial-branch=main", o.bare)
	o.git(o.bare, "config", "http.receivepack", "false")
	o.git(o.work, "init", "--quiet", "--initial-branch=main")
	o.git(o.work, "remote", "add", "origin", o.bare)
	o.commit("first", "deploy/redis.yml", "services: {}\n", ".env", "STACKS=redis\n")
	o.push("main")
	return o
}

// git runs git without the developer's settings and returns what it printed.
func (o *origin) git(dir string, args ...string) string {
	o.t.Helper()
	command := exec.Command("git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.org",
		"GIT_COMMITTER_NAME=Charles Babbage", "GIT_COMMITTER_EMAIL=charles@example.org",
		"GIT_AUTHOR_DATE=2024-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2024-05-06T07:08:09Z")
	out, err := command.CombinedOutput()
	if err != nil {
		o.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, given as path, content, …, and commits them.
func (o *origin) commit(subject string, files ...string) string {
	o.t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(o.work, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			o.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
	o.git(o.work, "add", "--all")
	o.git(o.work, "commit", "--quiet", "--allow-empty", "--message", subject)
	return o.head()
}

func (o *origin) head() string { return o.git(o.work, "rev-parse", "HEAD") }

// push pushes by force.
func (o *origin) push(refs ...string) {
	o.t.Helper()
	o.git(o.work, append([]string{"push", "--quiet", "--force", "origin"}, refs...)...)
}

// open opens a repository, or fails the test.
func open(t *testing.T, opts gitsync.Options) *gitsync.Repository {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	repository, err := gitsync.Open(opts)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return repository
}

// sync is one poll: Head, then Fetch.
func sync(t *testing.T, repository *gitsync.Repository) (kargo.Revision, fs.FS) {
	t.Helper()
	commit := head(t, repository)
	revision, files, err := repository.Fetch(deadline(t), commit)
	if err != nil {
		t.Fatalf("fetch: %v", err)
	}
	return revision, files.FS
}

func head(t *testing.T, repository *gitsync.Repository) string {
	t.Helper()
	commit, err := repository.Head(deadline(t))
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	return commit
}

// deadline is longer than anything takes that works.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// listing returns every file of a tree with its content, a line each.
func listing(t *testing.T, files fs.FS) string {
	t.Helper()
	var text strings.Builder
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		text.WriteString(path + ": " + strings.TrimSpace(string(data)) + "\n")
		return err
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	return text.String()
}

// walk reads every file, and returns the first error.
func walk(files fs.FS) error {
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			_, err = fs.ReadFile(files, path)
		}
		return err
	})
}

// secret returns a credential from memory.
func secret(text string) func() (string, error) {
	return func() (string, error) { return text, nil }
}

func content(data []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return data, nil }
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// wantError compares the whole message, with the varying address as ADDRESS.
func wantError(t *testing.T, err error, fault kargo.Fault, address, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want: %s", want)
	}
	if got := kargo.FaultOf(err); got != fault {
		t.Errorf("fault %s, want %s", got, fault)
	}
	wantText(t, "error", strings.ReplaceAll(kargo.Explain(err), address, "ADDRESS"), want)
}

// hook installs a git hook in the served repository.
func (o *origin) hook(name, script string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.bare, "hooks", name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		o.t.Fatal(err)
	}
}
