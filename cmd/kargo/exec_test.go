package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestExec(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\nGREETING=hello\nFROM_SHELL=declared\n", appYAML, "configs/page.txt=hello",
		"scripts/greet.sh=echo $GREETING $#: \"$@\"; pwd; echo \"$KARGO_SCRIPTS_PATH $FROM_SHELL $SECRET_OF_MINE\"; exit 5\n")
	if code, _, stderr := kargoIn(t, dir, "exec", "greet"); code != 2 || stderr != "kargo: there is no merged configuration yet\nhint: kargo configure\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if code, _, stderr := kargoIn(t, dir, "configure"); code != 0 {
		t.Fatal(stderr)
	}
	t.Setenv("SECRET_OF_MINE", "hunter22")
	scripts := filepath.Join(dir, ".kargo", "scripts")
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "0:"},
		{[]string{"-t osm -z 0,9"}, "4: -t osm -z 0,9"},
		{[]string{"--wait", "a b"}, "2: --wait a b"},
	} {
		want := fmt.Sprintf("hello %s\n%s\n%s declared \n", test.want, scripts, scripts)
		code, stdout, stderr := kargoIn(t, dir, append([]string{"exec", "greet"}, test.args...)...)
		if got := strings.ReplaceAll(stdout, ": \n", ":\n"); code != 5 || got != want || stderr != "" {
			t.Errorf("%q: exit %d, %q\ngot\n%swant\n%s", test.args, code, stderr, stdout, want)
		}
	}
	if code, _, stderr := kargoIn(t, dir, "exec", "gret"); code != 2 || stderr != "kargo: there is no script \"gret\"\nhint: did you mean greet?\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if code, _, stderr := kargoIn(t, dir, "exec", "../../etc/x"); code != 2 || !strings.Contains(stderr, "cannot be the name of a script") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}
