package directory_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"kargo"
	"kargo/directory"
	"kargo/merge"
)

// The commit of a directory covers what is read of it and nothing else.
func TestHeadCoversWhatIsRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(".env", "source settings/more.env\nSTACKS=web\n")
	write("settings/more.env", "A=1\n")
	write("deploy/app.yml", "services: {}\n")
	write("build.log", "one\n")
	repository := directory.Repository{Path: dir, Reads: merge.Reads, Key: func(context.Context) ([]byte, error) { return []byte("key"), nil }}
	head := func() string {
		t.Helper()
		commit, err := repository.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		revision, _, err := repository.Fetch(t.Context(), commit)
		if err != nil || revision.Commit != commit {
			t.Fatalf("fetched %s, %v; the head is %s", revision.Commit, err, commit)
		}
		return commit
	}
	before := head()
	for _, step := range []struct {
		name  string
		act   func()
		moves bool
	}{
		{"a file beside the workspace", func() { write("build.log", "two\n") }, false},
		{"a file in .git", func() { write(".git/HEAD", "x") }, false},
		{"a file that the environment sources", func() { write("settings/more.env", "A=2\n") }, true},
		{"a file beside that one", func() { write("settings/other.txt", "A=2\n") }, false},
		{"a stack file", func() { write("deploy/app.yml", "services: {a: {}}\n") }, true},
		{"a file that can be executed now", func() { chmod(t, filepath.Join(dir, "deploy/app.yml"), 0o755) }, true},
		{"an environment that runs programs", func() { write(".env", "STACKS=web\nB=$(cat data/b)\n") }, true},
		{"what they read", func() { write("data/b", "b") }, true},
	} {
		step.act()
		after := head()
		if moved := after != before; moved != step.moves {
			t.Errorf("%s: another commit is %v, want %v", step.name, moved, step.moves)
		}
		before = after
	}
}

// Nobody can try passwords on the commit: it depends on a key.
func TestS43_TheCommitIsKeyed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("A_PASSWORD=hunter22\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	head := func(key string) string {
		t.Helper()
		repository := directory.Repository{Path: dir, Reads: merge.Reads, Key: func(context.Context) ([]byte, error) { return []byte(key), nil }}
		commit, err := repository.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return commit
	}
	digest, err := directory.Digest(os.DirFS(dir), merge.Reads)
	if err != nil {
		t.Fatal(err)
	}
	if one := head("1"); one != head("1") || one == head("2") || one == directory.Prefix+digest {
		t.Errorf("the commit is %s", one)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestHeadOfNoDirectory(t *testing.T) {
	repository := directory.Repository{Path: filepath.Join(t.TempDir(), "none"), Reads: merge.Reads}
	if _, err := repository.Head(t.Context()); kargo.FaultOf(err) != kargo.Invalid {
		t.Errorf("%v", err)
	}
}
