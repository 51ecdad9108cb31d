package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commitIn makes a repository of a directory, with all that lies in it.
func commitIn(t *testing.T, dir string) {
	t.Helper()
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"}, {"add", "--all"}, {"commit", "--quiet", "--message", "Begin"},
	} {
		command := exec.Command("git", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

// Layers come from directories and repositories, lowest first, by flag, file
// and variable alike.
func TestSharedLayers(t *testing.T) {
	company := workspaceIn(t, ".env=IMAGE=company\nTAG=1\n", "deploy/app.yml=services: {app: {image: '${IMAGE}:${TAG}'}}\n")
	team := workspaceIn(t, ".env=TAG=2\n", "deploy/app.yml=services: {app: {image: '${IMAGE}:${TAG}-team'}}\n")
	commitIn(t, team)
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n")
	file := filepath.Join(t.TempDir(), "settings.yml")
	if err := os.WriteFile(file, []byte("layer:\n  - company=dir:"+company+"\n  - team="+team+"#main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"render", "--layer", "company=dir:" + company, "--layer", "team=" + team + "#main"},
		{"render", "--config", file},
	} {
		code, stdout, stderr := kargoIn(t, dir, args...)
		if code != 0 || !strings.Contains(stdout, "Image: company:2-team\n") {
			t.Errorf("%q: exit %d, %s\n%s", args, code, stderr, stdout)
		}
	}
	t.Setenv("HOME", dir)
	code, stdout, stderr := kargoIn(t, dir, "env", "TAG", "--layer", "team=dir:"+team, "--layer", "company=dir:"+company)
	if code != 0 || strings.Join(strings.Fields(stdout), " ") != `TAG="1" .env.company:2` {
		t.Errorf("in the other order: exit %d, %s\n%s", code, stderr, stdout)
	}
}

func TestLayerSettings(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n")
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--layer", "base"}, 2, `kargo: --layer takes NAME=ADDRESS, not "base"`},
		{[]string{"--layer", "user=dir:" + dir}, 2, `kargo: "user" cannot be the name of a layer: it is one of Kargo's own`},
		{[]string{"--layer", "base=dir:/nowhere"}, 2, "kargo: layer base: open directory: open /nowhere"},
		{[]string{"--layer", "base=" + t.TempDir()}, 3, "kargo: layer base: "},
		{[]string{"--layer", "base=https://user:hunter2@git.example/x"}, 2, "kargo: repository: the URL holds a user or a password"},
		{[]string{"--layer", "base=ssh://git@git.example/x"}, 2, "kargo: repository: SSH needs a private key"},
		{[]string{"--layer-password-file", "base=/run/x"}, 2, `kargo: --layer-password-file: there is no layer "base"`},
	} {
		code, _, stderr := kargoIn(t, dir, append([]string{"check"}, test.args...)...)
		if code != test.code || !strings.HasPrefix(stderr, test.want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%q: exit %d, %q; want %d and %q", test.args, code, stderr, test.code, test.want)
		}
	}
}
