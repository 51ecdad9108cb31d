package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// A setting is a flag, a variable and a key of the settings file, under one
// name; a flag beats a variable, a variable beats the file. The workspace says
// which of them counted.
func TestFlagBeatsVariableBeatsFile(t *testing.T) {
	t.Parallel()
	place := func(name string) string {
		dir := filepath.Join(shortTempDir(t), name)
		newWorkspace("t").file(".env", "STACKS=a\nA_STACK="+name+"\n").write(t, dir)
		return dir
	}
	file := filepath.Join(shortTempDir(t), "settings.yml")
	writeFile(t, file, "workspace: "+place("by-file")+"\n")
	variable, flag := place("by-variable"), place("by-flag")

	for _, test := range []struct {
		env, args []string
		want      string
	}{
		{nil, []string{"--config", file}, "by-file"},
		{[]string{"KARGO_CONFIG=" + file}, nil, "by-file"},
		{[]string{"KARGO_WORKSPACE=" + variable}, []string{"--config", file}, "by-variable"},
		{[]string{"KARGO_WORKSPACE=" + variable}, []string{"--config", file, "--workspace", flag}, "by-flag"},
		{[]string{"KARGO_WORKSPACE="}, []string{"--config", file}, "by-file"},
	} {
		got := run(t, "/", test.env, append([]string{"check"}, test.args...)...)
		if !strings.Contains(got.stdout, "there is no file deploy/"+test.want+".yml") {
			t.Errorf("with %q and %q, want the workspace %s: %s", test.env, test.args, test.want, got)
		}
	}
}

func TestUnknownSettingsAreErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(shortTempDir(t), "settings.yml")
	for _, test := range []struct {
		name, file string
		env, args  []string
		want       string
	}{
		{name: "a flag", args: []string{"--intervall", "1m"}, want: "unknown flag: --intervall"},
		{name: "a variable", env: []string{"KARGO_INTERVALL=1m"},
			want: "unknown setting in the environment: KARGO_INTERVALL\nhint: did you mean KARGO_INTERVAL?"},
		{name: "a key of the file", file: "# of ours\nrepo: /srv/git/platform\nintervall: 1m\n", args: []string{"--config", file},
			want: file + ":3: unknown setting \"intervall\"\nhint: did you mean interval?"},
		{name: "a key of the file that is no name", file: "repo: /srv/git/platform\nref: [main, next]\n", args: []string{"--config", file},
			want: file + ":2: setting ref: wants a single value"},
		{name: "a value that is none", env: []string{"KARGO_INTERVAL=often"}, want: "KARGO_INTERVAL: "},
		{name: "a value of the file that is none", file: "interval: often\n", args: []string{"--config", file}, want: file + ":1: setting interval: "},
		{name: "a file that is not there", args: []string{"--config", "/nowhere/settings.yml"}, want: "read settings: open /nowhere/settings.yml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			writeFile(t, file, test.file)
			got := run(t, "/", test.env, append([]string{"serve", "--data", shortTempDir(t)}, test.args...)...)
			if got.code != 2 || !strings.Contains(got.stderr, test.want) {
				t.Errorf("want exit 2 and %q, got %s", test.want, got)
			}
		})
	}
}

// The variables of the test bed and of Docker are nobody's slip of the pen.
func TestOtherVariablesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := shortTempDir(t)
	soundWorkspace().write(t, dir)
	got := run(t, dir, []string{"KARGO_TEST_DOCKER=unix:///nowhere", "DOCKER_HOST=unix:///nowhere", "GREETING=leaked"}, "render", "--output", "json")
	if got.code != 0 || strings.Contains(got.stdout, "leaked") || !strings.Contains(got.stdout, "GREETING=hello") {
		t.Errorf("kargo render: %s", got)
	}
}
