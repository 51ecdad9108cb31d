package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The policy judges for every command that renders, by flag and by file.
func TestS36_EveryCommandAsksThePolicy(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n", "deploy/app.yml=services:\n  app:\n    image: app:1\n    volumes:\n      - /etc:/etc\n")
	const refused = `deploy/app.yml:5: service kargo-web_app mounts the node's /etc, which rule bind-mounts of policy baseline does not permit (an operator permits it by adding "/etc" to that rule: --policy-rule)`
	for _, command := range []string{"check", "render", "configure", "info", "plan", "apply"} {
		code, stdout, stderr := kargoIn(t, dir, command, "--policy", "baseline")
		if code != 2 || !strings.Contains(stdout+stderr, refused) {
			t.Errorf("%s: exit %d, %s%s", command, code, stdout, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".kargo")); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
	code, stdout, _ := kargoIn(t, dir, "check")
	if want := "deploy/app.yml:5: warning: service kargo-web_app mounts the node's /etc (a stricter policy refuses it: rule bind-mounts)\n"; code != 0 || stdout != want {
		t.Errorf("open: exit %d, %s", code, stdout)
	}
}

func TestPolicySettings(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n", "deploy/app.yml=services: {app: {image: 'app:1', volumes: ['/etc:/etc', '/srv:/srv'], cap_add: [SYS_ADMIN]}}\n")
	file := filepath.Join(t.TempDir(), "policy.yml")
	for _, test := range []struct {
		file string
		args []string
		code int
		want string // of the output's beginning
	}{
		{"policy: baseline\nrules: {bind-mounts: [/etc, /srv], capabilities: allow}\n", nil, 0, ""},
		{"policy: baseline\nservices: {kargo-web_app: [bind-mounts, capabilities]}\n", nil, 0, ""},
		{"policy: baseline\nrules: {capabilities: allow}\n", []string{"--policy-rule", "bind-mounts=/etc", "--policy-rule", "bind-mounts=/srv"}, 0, ""},
		{"policy: baseline\n", []string{"--policy", "open", "--policy-rule", "capabilities=deny", "--policy-rule", "bind-mounts=allow"}, 2, "deploy/app.yml:1: service kargo-web_app adds the capability SYS_ADMIN"},
		{"policy: baselin\n", nil, 2, "kargo: there is no policy \"baselin\"; the policies are open, baseline, restricted\nhint: did you mean baseline?"},
		{"policy:\n", nil, 2, "kargo: " + file + ":1: policy wants a name"},
		{"polcy: baseline\n", nil, 2, "kargo: " + file + `:1: unknown key "polcy"`},
		{"rules:\n  bind-mount: [/etc]\n", nil, 2, "kargo: " + file + ":2: there is no rule \"bind-mount\"\nhint: did you mean bind-mounts?"},
		{"rules:\n  bind-mounts: {}\n", nil, 2, "kargo: " + file + ":2: is neither a value nor a list of values"},
		{"rules: [bind-mounts]\n", nil, 2, "kargo: " + file + ":1: is not a mapping"},
		{"services: {kargo-web_app: [everything]}\n", nil, 2, "kargo: " + file + `:1: there is no rule "everything"`},
		{"- x\n", nil, 2, "kargo: " + file + ":1: settings are a mapping of names to values"},
		{"", []string{"--policy-rule", "bind-mounts"}, 2, `kargo: --policy-rule takes RULE=VALUE, not "bind-mounts"`},
		{"", []string{"--policy-rule", "nosuch=x"}, 2, `kargo: --policy-rule: there is no rule "nosuch"`},
	} {
		if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := kargoIn(t, dir, append([]string{"check", "--policy-file", file}, test.args...)...)
		if code != test.code || !strings.HasPrefix(stdout+stderr, test.want) {
			t.Errorf("%q %q: exit %d\n%s%s\nwant %d and %q", test.file, test.args, code, stdout, stderr, test.code, test.want)
		}
	}
	if code, _, stderr := kargoIn(t, dir, "check", "--policy-file", "/nowhere"); code != 2 || !strings.HasPrefix(stderr, "kargo: read settings: open /nowhere") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
