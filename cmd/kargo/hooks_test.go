package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestEnvironmentsThatRunProgramsNeedLeave(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\nHASH=$(seq 3 3)\n", appYAML, "configs/page.txt=hello")
	code, stdout, _ := kargoIn(t, dir, "check")
	if code != 2 || !strings.Contains(stdout, ".env:3: would run the program \"seq\"") || !strings.Contains(stdout, "--allow-hooks") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	code, stdout, stderr := kargoIn(t, dir, "env", "--allow-hooks", "HASH")
	if code != 0 || strings.Join(strings.Fields(stdout), " ") != `HASH="3" .env:3` || stderr != "environment read by bash-process\n" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestWhyKnowsWhatRan(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\neval \"COLOUR=$(echo red)\"\nTAG=1\n", appYAML, "configs/page.txt=hello",
		"deploy/app_before.sh=export TAG=2; echo hi > configs/page.txt\n")
	for what, want := range map[string]string{
		"COLOUR":           "COLOUR=\"red\"\n* .env  user\n",
		"TAG":              "TAG=\"2\"\n  .env:4                  user\n* deploy/app_before.sh:1  user\n",
		"configs/page.txt": "configs/page.txt\n* hook\n",
	} {
		if code, stdout, stderr := kargoIn(t, dir, "why", "--allow-hooks", what); code != 0 || stdout != want {
			t.Errorf("why %s: exit %d, %s\ngot\n%swant\n%s", what, code, stderr, stdout, want)
		}
	}
}

func TestHooksNeedLeave(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n", appYAML,
		"deploy/app_before.sh=mkdir -p configs; echo from $1 > configs/page.txt; export APP_REPLICAS=3\n")
	code, stdout, _ := kargoIn(t, dir, "check")
	if code != 2 || !strings.Contains(stdout, "deploy/app_before.sh:1: service app has a hook, and hooks are not allowed to run") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	code, stdout, stderr := kargoIn(t, dir, "render", "--allow-hooks")
	if code != 0 || !strings.Contains(stdout, "size: 9") {
		t.Errorf("exit %d: %s%s, want the config that the hook made", code, stdout, stderr)
	}
	code, _, stderr = kargoIn(t, workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n", appYAML, "deploy/app_before.sh=echo why; exit 7\n"), "render", "--allow-hooks")
	if code != 2 || !strings.Contains(stderr, "deploy/app_before.sh: hook ended with exit code 7: why") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestS44_UserOfHooks(t *testing.T) {
	for _, c := range []struct {
		flag string
		own  int
		want string
	}{
		{"", 0, "65534:65534"},
		{"", 1000, "same"},
		{"same", 0, "same"},
		{"1000", 0, "1000:1000"},
		{"1000:100", 0, "1000:100"},
		{"1000", 1000, "same"},
		{"-1", 0, "error"},
		{"ada", 0, "error"},
		{"1:2:3", 0, "error"},
		{"4294967295", 0, "error"},
	} {
		var user hookUser
		got := "same"
		if err := user.Set(c.flag); err != nil {
			got = "error"
		} else if found := user.of(c.own); found != nil {
			got = fmt.Sprintf("%d:%d", found.UID, found.GID)
		}
		if got != c.want {
			t.Errorf("--hook-user=%s as user %d: %s, want %s", c.flag, c.own, got, c.want)
		}
	}
}
