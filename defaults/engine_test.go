package defaults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/render"
)

// TestEngineTakesEveryService hands every service to a real engine, with no
// task to run: what the specs say must be to the daemon's liking.
func TestEngineTakesEveryService(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the test bed")
	}
	docker := os.Getenv("KARGO_TEST_DOCKER")
	if docker == "" {
		t.Fatal("KARGO_TEST_DOCKER is not set: run `testbed/run -- go test ./defaults`, or add -short")
	}
	names := serviceNames(t)
	root := t.TempDir()
	writeWorkspace(t, filepath.Join(root, "workspace"), names)

	apply := exec.Command("go", "run", "kargo/cmd/kargo", "apply", "--instance", "defaults",
		"--workspace", filepath.Join(root, "workspace"), "--data", filepath.Join(root, "data"))
	apply.Env = append(os.Environ(), "CGO_ENABLED=0", "DOCKER_HOST="+docker)
	out, err := apply.CombinedOutput()
	if err != nil {
		t.Fatalf("kargo apply: %v\n%s", err, out)
	}

	list := exec.Command("docker", "service", "ls", "--format", "{{.Name}}")
	list.Env = append(os.Environ(), "DOCKER_HOST="+docker)
	created, err := list.Output()
	if err != nil {
		t.Fatalf("docker service ls: %v", err)
	}
	ws, _ := workspace(t, required, names)
	stacks, _ := render.Render(ws)
	for _, stack := range stacks {
		for _, service := range stack.Services {
			if !slices.Contains(strings.Fields(string(created)), service.Spec.Name) {
				t.Errorf("the engine has no service %s", service.Spec.Name)
			}
		}
	}
	if t.Failed() {
		t.Logf("kargo apply:\n%s", out)
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
