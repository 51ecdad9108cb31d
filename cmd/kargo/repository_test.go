package main

import (
	"io"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestKnownHostsOfNobody(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "kargo: which host? kargo known-hosts HOST[:PORT]"},
		{[]string{"git@host"}, 2, "kargo: repository: this is not a host"},
		{[]string{"127.0.0.1:1"}, 3, "kargo: ask 127.0.0.1:1 for its keys: "},
		{[]string{"host", "--git-proxy", "ftp://proxy"}, 2, "kargo: repository: the proxy's URL has a scheme that is not supported"},
	} {
		code, stdout, stderr := kargoIn(t, dir, append([]string{"known-hosts"}, c.args...)...)
		if code != c.code || stdout != "" || !strings.HasPrefix(stderr, c.want) {
			t.Errorf("%q: exit %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
}

// Each way of access reaches the repository's options.
func TestAccessSettings(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("pl4nt3d"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--git-bearer-token-file", secret, "--git-password-file", secret}, "a password, a bearer token and a GitHub App exclude each other"},
		{[]string{"--git-client-cert-file", secret}, "a client certificate and its key go together"},
		{[]string{"--github-app-id", "1"}, "a GitHub App needs its ID and its private key"},
		{[]string{"--github-app-key-file", secret}, "a GitHub App needs its ID and its private key"},
		{[]string{"--github-app-id", "1", "--github-app-key-file", secret, "--github-api", "http://host"}, "the address of GitHub's API is not usable"},
		{[]string{"--git-proxy-password-file", secret}, "a user or a password is given for a proxy, but no proxy"},
		{[]string{"--verify-signatures", "commit"}, "signatures are to be verified, but no keys are allowed"},
		{[]string{"--path", "../x"}, "the path in the repository is not a plain relative one"},
	} {
		code, _, stderr := kargoIn(t, dir, append([]string{"plan", "--repo", "https://git.invalid/ops/platform.git"}, c.args...)...)
		if code != 2 || !strings.HasPrefix(stderr, "kargo: repository: "+c.want) || strings.Contains(stderr, "pl4nt3d") {
			t.Errorf("%q: exit %d, %q", c.args, code, stderr)
		}
	}
	if code, _, stderr := kargoIn(t, dir, "plan", "--repo", dir, "--depth", "20"); code != 2 || stderr != "kargo: --depth takes 1 or 0, not 20\n" {
		t.Errorf("--depth 20: exit %d, %q", code, stderr)
	}
	code, _, stderr := kargoIn(t, dir, "plan", "--workspace", dir, "--path", "x")
	if code != 2 || !strings.HasPrefix(stderr, "kargo: --path and --verify-signatures are about a repository") {
		t.Errorf("--path without --repo: exit %d, %q", code, stderr)
	}
}

// A file that git LFS keeps elsewhere does not become a Swarm config of three
// lines that mean nothing.
func TestS08LFSPointerAsAConfig(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=site\n",
		"deploy/site.yml=services: {site: {image: 'nginx:1', configs: [style]}}\nconfigs: {style: {file: ../configs/style.css}}\n",
		"configs/style.css=version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
	commitIn(t, dir)
	code, stdout, stderr := kargoIn(t, t.TempDir(), "plan", "--repo", dir)
	const want = "configs/style.css: the file is a git LFS pointer; its content is not in the repository " +
		"(commit the file itself: `git lfs untrack`, then add it again)"
	if code != 2 || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// A command reads layers without their history, as the controller does by default.
func TestLayersOfADirectoryAreFetchedWithoutHistory(t *testing.T) {
	git := func(in string, args ...string) string {
		t.Helper()
		command := exec.Command("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
		command.Dir, command.Env = in, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	base := workspaceIn(t, "deploy/web.yml=services: {web: {image: nginx}}\n", ".env=WEB_STACK=web\n")
	git(base, "init", "--quiet", "--initial-branch=main")
	git(base, "add", "--all")
	git(base, "commit", "--quiet", "--message", "one")
	git(base, "commit", "--quiet", "--allow-empty", "--message", "two")
	server := httptest.NewServer(&cgi.Handler{
		Path: git(base, "--exec-path") + "/git-http-backend", Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + base, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	})
	t.Cleanup(server.Close)
	dir := workspaceIn(t, ".env=STACKS=web\n")
	code, stdout, stderr := kargoIn(t, dir, "render", "--layer", "base="+server.URL+"/.git#main", "-o", "name")
	if code != 0 || stdout != "kargo-web\n" {
		t.Fatalf("exit %d, %q, %s", code, stdout, stderr)
	}
	store := filepath.Join(dir, ".kargo-state", "layers", "base")
	entries, err := os.ReadDir(store)
	if err != nil || len(entries) != 1 || entries[0].Name() != git(base, "rev-parse", "HEAD") {
		t.Errorf("the layer is kept in %v, %v", entries, err)
	}
}
