package gitsync_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
	"kargo/gitsync"
)

// clone is a clone made by git.
func (o *origin) clone(address string) string {
	o.t.Helper()
	dir := filepath.Join(o.t.TempDir(), "clone")
	o.git(o.root, "clone", "--quiet", o.bare, dir)
	o.git(dir, "remote", "set-url", "origin", address)
	return dir
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, content string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pull(t *testing.T, dir string) gitsync.Pulled {
	t.Helper()
	pulled, err := gitsync.Pull(deadline(t), dir, gitsync.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return pulled
}

func TestPullUpdatesAClone(t *testing.T) {
	for _, over := range []string{"a local path", "HTTP"} {
		t.Run(over, func(t *testing.T) {
			o := newOrigin(t)
			o.commit("more", "deploy/old.yml", "old\n", "scripts/run.sh", "echo\n", "docs/a.md", "a\n")
			o.push("main")
			address := o.bare
			if over == "HTTP" {
				address = serve(t, gitHandler(t, o.root))
			}
			dir := o.clone(address)
			before := o.head()
			if got := pull(t, dir); got.Before != before || got.After != before {
				t.Errorf("of what is up to date: %+v", got)
			}
			write(t, "mine\n", dir, "notes.txt") // nobody committed it
			if err := os.Chmod(filepath.Join(o.work, "scripts/run.sh"), 0o755); err != nil {
				t.Fatal(err)
			}
			o.commit("second", "deploy/redis.yml", "services: {redis: {}}\n")
			o.git(o.work, "rm", "--quiet", "deploy/old.yml")
			after := o.commit("third", "configs/new/page.txt", "new\n")
			o.push("main")

			got := pull(t, dir)
			if got.Branch != "main" || got.After != after || len(got.Commits) != 2 || got.Commits[0].Subject != "third" || got.Commits[1].Author != "Ada Lovelace" {
				t.Errorf("pulled %+v", got)
			}
			wantText(t, "files", strings.Join(got.Files, "\n"), "added configs/new/page.txt\nremoved deploy/old.yml\nchanged deploy/redis.yml\nchanged scripts/run.sh")
			wantText(t, "a changed file", read(t, dir, "deploy/redis.yml"), "services: {redis: {}}\n")
			wantText(t, "an untracked file", read(t, dir, "notes.txt"), "mine\n")
			// git itself finds nothing wrong.
			wantText(t, "git status", o.git(dir, "status", "--porcelain", "--branch"), "## main...origin/main\n?? notes.txt")
			wantText(t, "git log", o.git(dir, "rev-parse", "HEAD"), after)
			o.git(dir, "fsck", "--strict")
			if got := pull(t, filepath.Join(dir, "deploy")); got.Before != after {
				t.Errorf("again: %+v", got)
			}
		})
	}
}

func TestPullNamesFilesFromTheWorkspace(t *testing.T) {
	o := newOrigin(t)
	o.commit("a workspace below", "prod/.env", "STACKS=a\n")
	o.push("main")
	dir := o.clone(o.bare)
	o.commit("second", "prod/.env", "STACKS=b\n", "deploy/redis.yml", "x\n")
	o.push("main")
	wantText(t, "files", strings.Join(pull(t, filepath.Join(dir, "prod")).Files, "\n"), "changed .env")
}

func TestPullLosesNothing(t *testing.T) {
	for _, test := range []struct {
		name string
		here func(o *origin, dir string)
		want string
	}{
		{"a changed file", func(o *origin, dir string) { write(o.t, "mine\n", dir, "deploy/redis.yml") },
			"DIR: deploy/redis.yml was changed here and is not committed (commit it, or put it away with git stash)"},
		{"a staged file", func(o *origin, dir string) {
			write(o.t, "mine\n", dir, "staged.txt")
			o.git(dir, "add", "staged.txt")
		}, "DIR: staged.txt was changed here and is not committed (commit it, or put it away with git stash)"},
		{"an untracked file in the way", func(o *origin, dir string) { write(o.t, "mine\n", dir, "new.txt") },
			"new.txt: is not committed here, and the remote adds a file of that name (move it away)"},
		{"a commit of one's own", func(o *origin, dir string) { o.git(dir, "commit", "--quiet", "--allow-empty", "--message", "mine") },
			"the histories here and at the remote have diverged (push or rebase them with git)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOrigin(t)
			dir := o.clone(o.bare)
			o.commit("second", "new.txt", "new\n")
			o.push("main")
			test.here(o, dir)
			before, status := o.git(dir, "rev-parse", "HEAD"), o.git(dir, "status", "--porcelain")
			_, err := gitsync.Pull(deadline(t), dir, gitsync.Options{})
			if err == nil || kargo.FaultOf(err) != kargo.Conflict || strings.ReplaceAll(kargo.Explain(err), dir, "DIR") != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			wantText(t, "HEAD then", o.git(dir, "rev-parse", "HEAD"), before)
			wantText(t, "status then", o.git(dir, "status", "--porcelain"), status)
		})
	}
}

func TestPullSaysWhatItCannotPull(t *testing.T) {
	o := newOrigin(t)
	if _, err := gitsync.Pull(deadline(t), t.TempDir(), gitsync.Options{}); kargo.FaultOf(err) != kargo.Invalid || !strings.Contains(kargo.Explain(err), "is not in a git repository") {
		t.Errorf("no repository: %v", err)
	}
	dir := o.clone(o.bare)
	o.git(dir, "switch", "--quiet", "--detach")
	if _, err := gitsync.Pull(deadline(t), dir, gitsync.Options{}); kargo.FaultOf(err) != kargo.Invalid || !strings.Contains(kargo.Explain(err), "no branch is checked out") {
		t.Errorf("no branch: %v", err)
	}
	o.git(dir, "switch", "--quiet", "--create", "mine")
	if _, err := gitsync.Pull(deadline(t), dir, gitsync.Options{}); kargo.FaultOf(err) != kargo.Unavailable || !strings.Contains(kargo.Explain(err), "the remote has no ref") {
		t.Errorf("a branch that the remote does not have: %v", err)
	}
}
