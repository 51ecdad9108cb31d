package hooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/hooks"
)

// Where Kargo is root, hooks run as a user that owns nothing: they read and change
// their copy of the workspace, and neither Kargo's files nor its environment.
func TestS44_HooksRunAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run hooks as another user")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	runner := &hooks.Runner{Timeout: 20 * time.Second, User: &hooks.User{UID: 65534, GID: 65534}}
	ws := workspace("deploy/postgis.yml=", "configs/x.yml=one", "deploy/postgis_before.sh="+
		`export IS="$(id -u):$(id -g):$(id -G)" READS="$(cat configs/x.yml)"`+"\n"+
		`export SECRET="$(cat `+secret+` 2>&1)" PARENT="$(cat /proc/$PPID/environ 2>&1 | tr '\0' ' ')"`+"\n"+
		"echo two > configs/x.yml; echo new > configs/y.yml")
	next, problems, err := runner.Before(t.Context(), ws)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	same(t, "user", next.Env["IS"], "65534:65534:65534")
	same(t, "read from the workspace", next.Env["READS"], "one")
	same(t, "changed", string(next.Files["configs/x.yml"].Data), "two\n")
	same(t, "made", string(next.Files["configs/y.yml"].Data), "new\n")
	for _, name := range []string{"SECRET", "PARENT"} {
		if !strings.Contains(next.Env[name], "Permission denied") {
			t.Errorf("%s: a hook read %q", name, next.Env[name])
		}
	}
	env, problems, err := runner.Environment(t.Context(), kargo.Environment{"WORKSPACE": "/w"}, []kargo.EnvFile{{Name: ".env", Data: []byte("IS=$(id -u)\n")}})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	same(t, "user of environment files", env["IS"], "65534")
}

// What a hook leaves is read up to the limits, and never outside of its copy.
func TestS44_WhatAHookLeavesIsBounded(t *testing.T) {
	_, problems := before(t, workspace("deploy/postgis.yml=", "deploy/postgis_before.sh=truncate -s 1T configs-huge"))
	same(t, "huge", problems, "configs-huge: hooks left more than 20000 files or 67108864 bytes")
	_, problems = before(t, workspace("deploy/postgis.yml=", "deploy/postgis_before.sh=ln -s /etc/passwd out"))
	same(t, "link", problems, "out: a hook left this, and it is not a plain file")
}
