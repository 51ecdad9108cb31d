package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

func TestPull(t *testing.T) {
	work := workspaceIn(t, ".env=STACKS=\"web other\"\nWEB_STACK=app\nOTHER_STACK=app\nIMAGE=1\n", appYAML, "configs/page.txt=hello")
	git := func(dir string, args ...string) {
		t.Helper()
		command := exec.Command("git", append([]string{"-c", "user.name=Ann", "-c", "user.email=ann@example.org"}, args...)...)
		command.Dir = dir
		command.Env = append(command.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git(work, "init", "--quiet", "--initial-branch=main")
	git(work, "add", "--all")
	git(work, "commit", "--quiet", "--message", "one")
	clone := filepath.Join(t.TempDir(), "clone")
	git(work, "clone", "--quiet", work, clone)
	git(work, "mv", "configs/page.txt", "configs/other.txt")
	git(work, "commit", "--quiet", "--message", "Move the page")
	if code, stdout, stderr := kargoIn(t, clone, "pull"); code != 2 || !regexp.MustCompile(`(?s)^main: \w+ → \w+, 1 commit\n  \w+ “Move the page” by Ann\n\nfiles:\n.*\nstacks:\n`).MatchString(stdout) {
		t.Errorf("of a revision that is not sound: exit %d, %s\n%s", code, stdout, stderr)
	}
	git(work, "mv", "configs/other.txt", "configs/page.txt")
	git(work, "commit", "--quiet", "--message", "Move it back")
	if code, stdout, stderr := kargoIn(t, clone, "pull"); code != 0 || !regexp.MustCompile(`files:\n  added configs/page.txt\n  removed configs/other.txt\n|files:\n  removed configs/other.txt\n  added configs/page.txt\n`).MatchString(stdout) {
		t.Errorf("exit %d, %s\n%s", code, stdout, stderr)
	}
	if code, stdout, _ := kargoIn(t, clone, "pull"); code != 0 || !regexp.MustCompile(`^main is up to date: \w+\n$`).MatchString(stdout) {
		t.Errorf("exit %d, %s", code, stdout)
	}
}
