package defaults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/defaults"
	"kargo/merge"
	"kargo/render"
	"kargo/swarm/swarmtest"
)

// TestEngineTakesEveryService hands every service to a real engine, with no
// task to run: what the specs say must be to the daemon's liking, and come back
// as it was sent, so that a second plan has nothing to do.
func TestEngineTakesEveryService(t *testing.T) {
	engine := newEngine(t)
	names := serviceNames(t)
	writeWorkspace(t, engine.workspace, names)
	engine.roundTrip(t)

	created := strings.Fields(engine.run(t, "docker", "service", "ls", "--format", "{{.Name}}"))
	ws, _ := workspace(t, required, names)
	stacks, _ := render.Render(ws)
	for _, stack := range stacks {
		for _, service := range stack.Services {
			if !slices.Contains(created, service.Spec.Name) {
				t.Errorf("the engine has no service %s", service.Spec.Name)
			}
		}
	}
}

// TestEngineTakesTheExamples does the same with the examples, as they are but
// for a constraint that no node satisfies.
func TestEngineTakesTheExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*/.env")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			engine := newEngine(t)
			if err := os.CopyFS(engine.workspace, os.DirFS(filepath.Dir(file))); err != nil {
				t.Fatal(err)
			}
			constrainAll(t, engine.workspace)
			engine.roundTrip(t)
		})
	}
}

// engine is a real one, and a workspace that is applied to it.
type engine struct{ kargo, docker, workspace, data string }

func newEngine(t *testing.T) engine {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the test bed")
	}
	docker := os.Getenv("KARGO_TEST_DOCKER")
	if docker == "" {
		t.Fatal("KARGO_TEST_DOCKER is not set: run `test/bed/run -- go test ./defaults`, or add -short")
	}
	swarmtest.ShareEngine(t, docker)
	root := t.TempDir()
	e := engine{filepath.Join(root, "kargo"), docker, filepath.Join(root, "workspace"), filepath.Join(root, "data")}
	e.run(t, "go", "build", "-o", e.kargo, "kargo/cmd/kargo")
	return e
}

// run runs a program that must succeed, and returns its output.
func (e engine) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	command := exec.Command(program, args...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "DOCKER_HOST="+e.docker)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// roundTrip applies the workspace, plans it again, which must come to nothing but
// warnings of the constraint, and removes it in the end.
func (e engine) roundTrip(t *testing.T) {
	t.Helper()
	arguments := []string{"--instance", "defaults", "--workspace", e.workspace, "--data", e.data}
	t.Cleanup(func() { e.run(t, e.kargo, append([]string{"remove", "all"}, arguments...)...) })
	applied := e.run(t, e.kargo, append([]string{"apply"}, arguments...)...)
	if plan := e.run(t, e.kargo, append([]string{"plan"}, arguments...)...); !nothingToDo.MatchString(plan) {
		t.Errorf("the second plan is\n%s\nafter\n%s", plan, applied)
	}
}

var nothingToDo = regexp.MustCompile(`^nothing to do\n(?:warning service \S+: no node of the Swarm satisfies .*\n)*$`)

// nodeLabels are about nodes that the test bed has not.
var nodeLabels = regexp.MustCompile(`(?m)^\w+_LABELS=.*\n`)

// constrainAll keeps every service of a workspace from running, and lets the
// stacks come and go: what they wait for would never come.
func constrainAll(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, ".env")
	env, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	env = nodeLabels.ReplaceAll(env, nil)
	ws, _, err := merge.Merge(t.Context(), merge.Input{Defaults: defaults.FS(), User: kargo.Files{FS: os.DirFS(dir)}, Root: "/merged", WorkspacePath: "/workspace"})
	if err != nil {
		t.Fatal(err)
	}
	stacks, problems := render.Render(ws)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, stack := range stacks {
		env = fmt.Appendf(env, "%[1]s_NEEDS=\n%[1]s_PROTECT=\n", kargo.EnvName(stack.Name))
		for _, service := range stack.Services {
			composed := strings.TrimPrefix(service.Name, stack.Namespace()+"_")
			env = fmt.Appendf(env, "%s_CONSTRAINTS=node.labels.nowhere==true\n", kargo.EnvName(composed))
		}
	}
	if err := os.WriteFile(name, env, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeWorkspace writes a workspace of all services in which nothing runs:
// replicas are none, and what runs on every node is constrained to no node.
func writeWorkspace(t *testing.T, dir string, names []string) {
	t.Helper()
	ws, _ := workspace(t, required, names)
	files := map[string][]byte{".env": ws.Files[".env"].Data}
	for _, name := range names {
		var extension strings.Builder
		extension.WriteString("services:\n")
		config, err := load(t, serviceFile(t, name), environment(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range config.Services {
			fmt.Fprintf(&extension, "  %s:\n    deploy:\n", service.Name)
			if service.Deploy.Mode == "global" {
				extension.WriteString("      placement:\n        constraints: [node.labels.nowhere == true]\n")
			} else {
				extension.WriteString("      replicas: 0\n")
			}
		}
		files["deploy/nothing-of-"+name+".yml"] = []byte(extension.String())
		files[".env"] = fmt.Appendf(files[".env"], "%s_EXTENSION=nothing-of-%s\n", kargo.EnvName(name), name)
		if file, ok := ws.Files["deploy/"+name+".yml"]; ok {
			files["deploy/"+name+".yml"] = file.Data
		}
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// serviceFile is the compose file of a service, or its template.
func serviceFile(t *testing.T, name string) string {
	t.Helper()
	file := "deploy/" + name + ".yml"
	if !slices.Contains(cataloguePaths(t), file) {
		file += ".tpl"
	}
	return file
}
