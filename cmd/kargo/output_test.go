package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"kargo/swarm/swarmtest"
)

// printNoData are the commands without -o, and why: they do something, and say what
// they did, or print a file in its own form.
var printNoData = map[string]string{
	"kargo adopt": "does", "kargo apply": "does", "kargo approve": "does", "kargo clean-images": "does", "kargo configure": "does",
	"kargo context add": "does", "kargo context remove": "does", "kargo context use": "does", "kargo deploy": "does", "kargo exec": "does",
	"kargo hold": "does", "kargo init": "does", "kargo man": "does", "kargo pull": "does", "kargo redeploy": "does", "kargo release": "does",
	"kargo remove": "does", "kargo resume": "does", "kargo retry": "does", "kargo serve": "does", "kargo suspend": "does", "kargo sync": "does",
	"kargo use": "does", "kargo try": "does", "kargo build": "does; without a name, the names of recipes are all that it prints",
	"kargo healthcheck": "its exit code says it", "kargo known-hosts": "a file", "kargo settings example": "a file",
}

// runnable returns the commands that do something, by their full names.
func runnable(cmd *cobra.Command) map[string]*cobra.Command {
	commands := map[string]*cobra.Command{}
	for _, child := range cmd.Commands() {
		if child.Runnable() {
			commands[child.CommandPath()] = child
		}
		for name, below := range runnable(child) {
			commands[name] = below
		}
	}
	return commands
}

// TestEveryCommandThatPrintsDataHasOutput: one flag, with the same kinds everywhere.
func TestEveryCommandThatPrintsDataHasOutput(t *testing.T) {
	for name, cmd := range runnable(newRoot(nil)) {
		flag, listed := cmd.Flags().Lookup("output"), printNoData[name] != ""
		switch {
		case flag == nil && !listed:
			t.Errorf("%s has no -o; add output.flag, or say in printNoData why it prints no data", name)
		case flag != nil && listed:
			t.Errorf("%s has -o, and stands in printNoData", name)
		case flag != nil && (flag.Shorthand != "o" || flag.DefValue != "text" || cmd.Annotations[printsNames] == ""):
			t.Errorf("the -o of %s is not made by output.flag", name)
		}
	}
}

// TestGuideHasTheKindsOfOutput compares the table in docs/operating.md with the commands;
// with -update it writes the table.
func TestGuideHasTheKindsOfOutput(t *testing.T) {
	commands := runnable(newRoot(nil))
	var names []string
	for name, cmd := range commands {
		if cmd.Flags().Lookup("output") != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	table := "| command | `-o name` prints | `-o wide` also has |\n|---|---|---|\n"
	for _, name := range names {
		wide := commands[name].Annotations[printsWide]
		if wide == "" {
			wide = "–"
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", strings.TrimPrefix(name, "kargo "), commands[name].Annotations[printsNames], wide)
	}
	replaceInGuide(t, "kinds of output", table)
}

// guide is the page that tests write parts of. Tests change the directory.
var guide = func() string {
	path, err := filepath.Abs("../../docs/operating.md")
	if err != nil {
		panic(err)
	}
	return path
}()

// replaceInGuide compares a part of the guide with what it should be. The part stands
// between the comments "<!-- begin NAME (…) -->" and "<!-- end NAME -->". With -update it
// is written.
func replaceInGuide(t *testing.T, name, want string) {
	t.Helper()
	page, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), "<!-- begin "+name+" ")
	comment, rest, more := strings.Cut(rest, "-->\n")
	got, after, closed := strings.Cut(rest, "<!-- end "+name+" -->")
	if !found || !more || !closed {
		t.Fatalf("%s has no part %q", guide, name)
	}
	switch {
	case got == want:
	case *update:
		page := before + "<!-- begin " + name + " " + comment + "-->\n" + want + "<!-- end " + name + " -->" + after
		if err := os.WriteFile(guide, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s, part %q is not what the program prints; `go test ./cmd/kargo -run %s -update` writes it. It has:\n%swant:\n%s", guide, name, t.Name(), got, want)
	}
}

// operatorsSite is a controller on a Swarm in memory with a repository, for tests that
// ask it as a person does.
type operatorsSite struct {
	dir    string
	env    []string
	engine *swarmtest.Engine
}

// newOperatorsSite makes a site from files, and waits until its first revision runs.
func newOperatorsSite(t *testing.T, files ...string) *operatorsSite {
	t.Helper()
	s := &operatorsSite{dir: t.TempDir(), engine: swarmtest.New(swarmtest.AutoSettle, swarmtest.Clock(time.Now))}
	docker := httptest.NewServer(daemon(s.engine))
	t.Cleanup(docker.Close)
	t.Cleanup(docker.CloseClientConnections)
	s.env = []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "DOCKER_HOST=" + strings.Replace(docker.URL, "http://", "tcp://", 1), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_DATE=2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE=2024-01-01T00:00:00Z",
	}
	s.write(t, files...)
	s.git(t, "init", "-q", "-b", "main")
	s.commit(t, "Ada", "First version of the shop")
	ctx, stop := context.WithCancel(context.Background())
	serve := exec.CommandContext(ctx, "kargo", "serve", "--repo", "repo", "--data", "data", "--listen", "127.0.0.1:0")
	serve.Dir, serve.Env = s.dir, s.env
	var log bytes.Buffer
	serve.Stderr, serve.Stdout = &log, &log
	serve.Cancel = func() error { return serve.Process.Signal(os.Interrupt) }
	if err := serve.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = serve.Wait()
		if t.Failed() {
			t.Logf("the controller said:\n%s", &log)
		}
	})
	s.until(t, `succeeded`, "history", "--data", "data")
	return s
}

// write writes files of the repository, "name=content" each.
func (s *operatorsSite) write(t *testing.T, files ...string) {
	t.Helper()
	for _, file := range files {
		name, content, _ := strings.Cut(file, "=")
		path := filepath.Join(s.dir, "repo", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *operatorsSite) git(t *testing.T, args ...string) {
	t.Helper()
	git := exec.Command("git", append([]string{"-C", filepath.Join(s.dir, "repo")}, args...)...)
	git.Env = s.env
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (s *operatorsSite) commit(t *testing.T, author, subject string) {
	t.Helper()
	s.git(t, "add", "-A")
	s.git(t, "-c", "user.name="+author, "-c", "user.email="+strings.ToLower(author)+"@example.org", "commit", "-q", "-m", subject)
}

// kargo runs a command in the directory of the site.
func (s *operatorsSite) kargo(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(s.dir)
	var out, errs bytes.Buffer
	code = run(t.Context(), args, s.env, &out, &errs)
	return code, out.String(), errs.String()
}

// until runs a command until it prints a text.
func (s *operatorsSite) until(t *testing.T, text string, args ...string) string {
	t.Helper()
	var stdout, stderr string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, stdout, stderr = s.kargo(t, args...); strings.Contains(stdout, text) {
			return stdout
		}
	}
	t.Fatalf("kargo %s never printed %q, but\n%s%s", strings.Join(args, " "), text, stdout, stderr)
	return ""
}

const shopYAML = "deploy/web.yml=services:\n  web:\n    image: shop:1\n    configs: [page]\n    deploy: {update_config: {monitor: 1ms}}\nconfigs: {page: {file: ./../configs/page.txt}}\n"

// TestKindsOfOutput runs every command that prints data with each kind of output.
func TestKindsOfOutput(t *testing.T) {
	site := newOperatorsSite(t, ".env=STACKS=shop\nSHOP_STACK=web\nSHOP_STABLE=50ms\nTAG=1\n", shopYAML, "configs/page.txt=hello\n",
		"kargo.yml=images:\n  TAG: {image: 127.0.0.1:1/shop, semver: 1.x}\n")
	site.write(t, strings.Replace(shopYAML, "shop:1", "shop:2", 1))
	site.commit(t, "Ben", "Second version of the shop")
	site.kargo(t, "sync", "--data", "data")
	site.until(t, "\n2 ", "history", "--data", "data")
	site.until(t, "nothing to do", "plan", "--data", "data")
	site.until(t, "well", "status", "shop", "--data", "data")
	if code, _, stderr := site.kargo(t, "context", "add", "here", "--url", "http://127.0.0.1:1"); code != 0 {
		t.Fatal(stderr)
	}
	calls := map[string][]string{
		"kargo catalogue": {}, "kargo catalogue show": {"redis"}, "kargo check": {"-w", "repo"}, "kargo context list": {}, "kargo diff": {"1..git", "--data", "data"},
		"kargo doctor": {"--data", "data"}, "kargo env": {"-w", "repo", "SHOP_STACK"}, "kargo events": {"--data", "data", "--since", "2024-01-01T00:00:00Z"},
		"kargo history": {"--data", "data"}, "kargo images": {"--data", "data"}, "kargo info": {"-w", "repo"}, "kargo labels": {"-w", "repo", "--data", "other"},
		"kargo logs": {"shop", "--data", "data"}, "kargo plan": {"--data", "data"}, "kargo render": {"-w", "repo"}, "kargo rollback": {"shop", "1", "--data", "data"},
		"kargo settings": {"git"}, "kargo show": {"--data", "data"}, "kargo status": {"--data", "data"}, "kargo tree": {"--data", "data"}, "kargo version": {}, "kargo why": {"-w", "repo", "shop.web.image"},
	}
	for name, cmd := range runnable(newRoot(nil)) {
		if cmd.Flags().Lookup("output") == nil {
			continue
		}
		args, known := calls[name]
		if !known {
			t.Errorf("%s has -o, and no call in this test", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			printed := map[output]string{}
			for _, kind := range outputs {
				code, stdout, stderr := site.kargo(t, append(append(strings.Fields(name)[1:], args...), "-o", kind)...)
				if code != 0 {
					t.Fatalf("-o %s ended with %d: %s", kind, code, stderr)
				}
				printed[output(kind)] = stdout
			}
			if code, _, stderr := site.kargo(t, append(append(strings.Fields(name)[1:], args...), "-o", "xml")...); code != 2 || !strings.Contains(stderr, "-o takes text, wide, json, yaml") {
				t.Errorf("-o xml ended with %d: %s", code, stderr)
			}
			checkKinds(t, name, printed)
		})
	}
}

// changesWhileAsked are the commands whose answers differ between two calls.
var changesWhileAsked = []string{"kargo doctor", "kargo status", "kargo images", "kargo tree", "kargo rollback"}

func checkKinds(t *testing.T, name string, printed map[output]string) {
	t.Helper()
	var fromJSON, fromYAML any
	one := name != "kargo events" && name != "kargo logs" // these print a document for each line
	if one {
		if err := json.Unmarshal([]byte(printed[outputJSON]), &fromJSON); err != nil {
			t.Errorf("-o json is no JSON: %v", err)
		}
		if err := yaml.Unmarshal([]byte(printed[outputYAML]), &fromYAML); err != nil {
			t.Errorf("-o yaml is no YAML: %v", err)
		}
		data, err := json.Marshal(fromYAML)
		if err != nil {
			t.Fatal(err)
		}
		var again any
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(changesWhileAsked, name) && !reflect.DeepEqual(fromJSON, again) {
			t.Errorf("-o json and -o yaml are not the same:\n%s\n%s", printed[outputJSON], printed[outputYAML])
		}
	}
	nothing := []string{"kargo doctor", "kargo check"} // all is well
	if names := printed[outputName]; (names == "") != slices.Contains(nothing, name) {
		t.Errorf("-o name printed %q", names)
	}
	if runnable(newRoot(nil))[name].Annotations[printsWide] != "" && len(printed[outputWide]) < len(printed[outputText]) {
		t.Errorf("-o wide printed less than -o text:\n%s\n%s", printed[outputWide], printed[outputText])
	}
}
