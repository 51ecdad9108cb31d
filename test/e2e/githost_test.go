package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// The git host's users and their passwords, as test/bed/githost makes them.
const (
	gitReader, gitReaderPassword = "kargo", "kargo-pw"
	gitWriter, gitWriterPassword = "writer", "writer-pw"
)

// gitHost is the git host of the test bed.
type gitHost struct {
	t   *testing.T
	dir string
}

func newGitHost(t *testing.T) *gitHost {
	t.Helper()
	return &gitHost{t, testBed(t, "KARGO_TEST_GIT_DIR")}
}

func (g *gitHost) run(args ...string) {
	g.t.Helper()
	if out, err := exec.Command("../bed/githost", args...).CombinedOutput(); err != nil {
		g.t.Fatalf("test/bed/githost %v: %v\n%s", args, err, out)
	}
}

var gitRepositories atomic.Int64

// host makes a repository on the git host and lets the local one push to it. It
// returns its path there.
func (g *gitHost) host(local *repository) string {
	g.t.Helper()
	name := fmt.Sprintf("e%x-%d", os.Getpid(), gitRepositories.Add(1))
	g.run("mkrepo", g.dir, name)
	path := name + ".git"
	g.t.Cleanup(func() {
		if err := os.RemoveAll(filepath.Join(g.dir, "repos", path)); err != nil {
			g.t.Errorf("clean up: %v", err)
		}
	})
	local.git("remote", "add", "origin", g.url("HTTPS", gitWriter+":"+gitWriterPassword+"@")+"/"+path)
	return path
}

// url is the host's address by HTTP, HTTPS or SSH, with a user before the host.
func (g *gitHost) url(protocol, user string) string {
	g.t.Helper()
	address := testBed(g.t, "KARGO_TEST_GIT_"+protocol)
	if user == "" {
		return address
	}
	scheme, rest, _ := strings.Cut(address, "://")
	return scheme + "://" + user + rest
}

// file is a file of the git host, such as an SSH key.
func (g *gitHost) file(name string) string { return filepath.Join(g.dir, name) }

// push pushes everything that was committed.
func (r *repository) push() {
	r.t.Helper()
	r.git("push", "-q", "origin", "main")
}

// onGitHost is a scene in memory whose repository the controller reads from
// the git host, by HTTPS with a token.
func onGitHost(t *testing.T, args ...string) (s *scene, path string) {
	t.Helper()
	host := newGitHost(t)
	s = inMemory(t)
	path = host.host(s.repo)
	password := filepath.Join(s.data, "git-password")
	writeFile(t, password, gitReaderPassword+"\n")
	s.args = append(s.args, "--repo", host.url("HTTPS", "")+"/"+path, "--git-username", gitReader,
		"--git-password-file", password, "--git-ca-file", os.Getenv("KARGO_TEST_GIT_CA"))
	s.args = append(s.args, args...)
	return s, path
}
