package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kargo"
	"kargo/controller"
)

// kargoIn runs the program in a directory, as main does.
func kargoIn(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(dir)
	var out, errs bytes.Buffer
	code = run(t.Context(), args, []string{"HOME=" + dir}, &out, &errs)
	return code, out.String(), errs.String()
}

// workspaceIn writes files, "name=content" each.
func workspaceIn(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		name, content, _ := strings.Cut(file, "=")
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const appYAML = "deploy/app.yml=services:\n  app:\n    image: app:1\n    configs: [page]\nconfigs: {page: {file: ./../configs/page.txt}}\n"

// The form of this document is part of the program's promise.
func TestRenderJSON(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=\"web other\"\nWEB_STACK=app\nOTHER_STACK=nosuch\n", appYAML, "configs/page.txt=hello")
	code, stdout, stderr := kargoIn(t, dir, "render", "web", "-o", "json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var document struct {
		Stacks []struct {
			Name     string
			Services []struct {
				Name string
				Spec struct {
					Name         string
					TaskTemplate struct{ ContainerSpec struct{ Image string } }
				}
			}
			Networks []struct{ Name string }
			Configs  []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(stdout), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Stacks) != 1 {
		t.Fatalf("%d stacks, want the named one only", len(document.Stacks))
	}
	stack := document.Stacks[0]
	service := stack.Services[0]
	if stack.Name != "kargo-web" || service.Name != "kargo-web_app" || service.Spec.Name != "kargo-web_app" ||
		service.Spec.TaskTemplate.ContainerSpec.Image != "app:1" || len(stack.Networks) != 4 {
		t.Errorf("got %+v", stack)
	}
	if got := fmt.Sprint(stack.Configs); got != "[map[name:kargo-web_page-000000000000 secret:false size:5]]" {
		t.Errorf("configs are %s", got)
	}
}

func TestRenderYAML(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n", "deploy/app.yml=services: {app: {image: 'app:1'}}\n")
	code, stdout, stderr := kargoIn(t, dir, "render")
	const begin = "stacks:\n  - name: kargo-web\n    services:\n      - name: kargo-web_app\n        spec:\n          Name: kargo-web_app\n"
	if code != 0 || !strings.HasPrefix(stdout, begin) {
		t.Errorf("exit %d, %s\ngot\n%s\nwant it to begin with\n%s", code, stderr, stdout, begin)
	}
}

func TestCheck(t *testing.T) {
	good := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\n", appYAML, "configs/page.txt=hello")
	if code, stdout, stderr := kargoIn(t, good, "check"); code != 0 || stdout != "" || stderr != "0 errors, 0 warnings; environment read as dotenv\n" {
		t.Errorf("exit %d, output %q, %q", code, stdout, stderr)
	}
	bad := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app ap\n", appYAML)
	code, stdout, stderr := kargoIn(t, bad, "check")
	if code != 2 || !strings.Contains(stdout, ".env:2: ") || !strings.HasPrefix(stderr, "1 error, 0 warnings") {
		t.Errorf("exit %d, output %q, %q", code, stdout, stderr)
	}
}

func TestEnv(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=web\nWEB_STACK=app\nAPP_PASSWORD=hunter22\n", appYAML, "configs/page.txt=hello")
	code, stdout, stderr := kargoIn(t, dir, "env", "APP_PASSWORD", "WEB_STACK")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || len(lines) != 2 || !strings.HasPrefix(lines[0], `APP_PASSWORD="***`) || !strings.HasSuffix(lines[0], "  .env:3") ||
		strings.Fields(lines[1])[0] != `WEB_STACK="app"` || strings.Contains(stdout, "hunter22") {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}
	if code, _, stderr := kargoIn(t, dir, "env", "NOSUCH"); code != 2 || stderr != "kargo: no file declares NOSUCH\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestInfo(t *testing.T) {
	dir := workspaceIn(t, ".env=STACKS=\"web other\"\nWEB_STACK=app\nOTHER_STACK=\"app\"\n", appYAML, "configs/page.txt=hello")
	want := fmt.Sprintf("%d/%d\n%s\n web             app\n other           app\n", os.Getuid(), os.Getgid(), dir)
	if code, stdout, stderr := kargoIn(t, dir, "info"); code != 0 || stdout != want {
		t.Errorf("exit %d, %s\ngot\n%swant\n%s", code, stderr, stdout, want)
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"statsu"}, `kargo: unknown command "statsu", did you mean "status"?; see ` + "`kargo --help`"},
		{[]string{"render", "-o", "xml", "-w", dir}, `kargo: -o takes text, wide, json, yaml or name, not "xml"`},
		{[]string{"check"}, "kargo: which workspace? the current directory has no .env; give --workspace DIR, or say `kargo use DIR`"},
		{[]string{"check", "--nosuch"}, "kargo: unknown flag: --nosuch"},
		{[]string{"serve"}, "kargo: which repository? give --repo or KARGO_REPO"},
		{[]string{"serve", "--repo", dir, "--schedule", "often"}, "kargo: --schedule: expected exactly 5 fields, found 1: [often]"},
		{[]string{"serve", "--repo", dir, "--schedule", "TZ=0"}, "kargo: --schedule: \"TZ=0\": "},
		{[]string{"serve", "--repo", dir, "--interval", "1ms"}, "kargo: --interval 1ms is shorter than a second"},
		{[]string{"serve", "--repo", dir, "--read-memory", "64"}, "kargo: --read-memory 64 is less than 192"},
		{[]string{"approve"}, "kargo: which plan? see `kargo status`"},
		{[]string{"retry"}, "kargo: which stack? see `kargo status`"},
		{[]string{"history", "zero"}, `kargo: deployments are numbered from 1, "zero" is no number`},
		{[]string{"plan", "--repo", dir, "-w", dir}, "kargo: --repo and --workspace exclude each other"},
		{[]string{"status", "--url", "http://kargo.example"}, "kargo: --url: the token would be sent unencrypted; use https://"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			if code, stdout, stderr := kargoIn(t, dir, test.args...); code != 2 || stdout != "" || !strings.HasPrefix(stderr, test.want) {
				t.Errorf("exit %d, output %q, %q; want 2 and %q", code, stdout, stderr, test.want)
			}
		})
	}
}

func TestNoControllerAnswers(t *testing.T) {
	for _, command := range []string{"status", "sync"} {
		if code, _, stderr := kargoIn(t, t.TempDir(), command); code != 3 || !strings.Contains(stderr, "is `kargo serve` running?") {
			t.Errorf("%s: exit %d, %q", command, code, stderr)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("bug"), 1}, {usagef("what?"), 2},
		{fmt.Errorf("write x: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), 3},
		{kargo.Errorf(kargo.Invalid, "x"), 2}, {kargo.Problems{{Message: "x"}}, 2},
		{kargo.Errorf(kargo.Unavailable, "x"), 3}, {fmt.Errorf("wrapped: %w", kargo.Errorf(kargo.Conflict, "x")), 3},
		{kargo.Errorf(kargo.Internal, "x"), 1},
		{errors.Join(kargo.Errorf(kargo.Invalid, "x"), errors.New("bug")), 1},
		{errors.Join(kargo.Errorf(kargo.Invalid, "x"), kargo.Errorf(kargo.Unavailable, "y")), 3},
	} {
		if got := exitCode(controller.BlameOutside(test.err)); got != test.want {
			t.Errorf("%v: exit %d, want %d", test.err, got, test.want)
		}
	}
}
