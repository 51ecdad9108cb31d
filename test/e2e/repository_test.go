package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a git repository with a work tree. Equal histories have equal
// hashes: times and authors are fixed.
type repository struct {
	t      testing.TB
	dir    string
	hashes []string // of the commits, oldest first
}

func newRepository(t testing.TB) *repository {
	t.Helper()
	r := &repository{t: t, dir: shortTempDir(t)}
	r.git("init", "-q", "-b", "main")
	return r
}

// git runs git in the work tree and returns its output.
func (r *repository) git(args ...string) string {
	r.t.Helper()
	date := fmt.Sprintf("2024-01-01T00:%02d:%02dZ", len(r.hashes)/60, len(r.hashes)%60)
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org", "GIT_COMMITTER_DATE=" + date,
		"GIT_TERMINAL_PROMPT=0", "GIT_SSL_CAINFO=" + os.Getenv("KARGO_TEST_GIT_CA"),
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes a commit that holds the files of the workspace and no others.
func (r *repository) commit(w *workspace) string {
	r.t.Helper()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != ".git" {
			if err := os.RemoveAll(filepath.Join(r.dir, entry.Name())); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	w.write(r.t, r.dir)
	return r.commitAll()
}

// commitAll commits whatever lies in the work tree.
func (r *repository) commitAll() string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", fmt.Sprintf("Commit %d", len(r.hashes)+1))
	hash := r.git("rev-parse", "HEAD")
	r.hashes = append(r.hashes, hash)
	return hash
}

// shortTempDir is a temporary directory whose path leaves room for the name of
// a socket, which t.TempDir does not.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(testRoot, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove temporary directory: %v", err)
		}
	})
	return dir
}
