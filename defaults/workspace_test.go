package defaults_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/defaults"
	"kargo/merge"
	"kargo/render"
)

// perStack is how many services a stack of the tests has.
const perStack = 8

// TestWorkspaceOfAllServices lays a workspace that names every service, and sets
// nothing but what is required, over the catalogue: no problem, and not even a
// warning.
func TestWorkspaceOfAllServices(t *testing.T) {
	ws, problems := workspace(t, required, serviceNames(t))
	stacks, more := render.Render(ws)
	for _, problem := range append(problems, more...) {
		t.Error(problem)
	}
	for _, stack := range stacks {
		for _, config := range stack.Configs {
			if len(config.Data) == 0 {
				t.Errorf("stack %s: %s is empty", stack.Name, config.Name)
			}
		}
	}
	if len(stacks) == 0 {
		t.Error("nothing was rendered")
	}
}

// TestBareWorkspace holds the catalogue silent where it is not used: who names
// one small service hears of no other.
func TestBareWorkspace(t *testing.T) {
	ws, problems := workspace(t, nil, []string{"redis"})
	_, more := render.Render(ws)
	for _, problem := range append(problems, more...) {
		t.Error(problem)
	}
}

// A route without a host or a password, or a database without one, must be
// refused with words that help, not deployed unreachable or open.
func TestRequiredVariables(t *testing.T) {
	for _, test := range []struct{ service, variable string }{
		{"traefik", "SUBDOMAIN"},
		{"traefik", "AUTH_PASSWORD"},
		{"adminer", "SUBDOMAIN"},
		{"postgis", "POSTGIS_ROOT_PASSWORD"},
		{"mariadb", "MARIADB_ROOT_PASSWORD"},
		{"mongors", "MONGORS_MEMORY_LIMIT"},
	} {
		t.Run(test.service+"/"+test.variable, func(t *testing.T) {
			set := maps.Clone(required)
			delete(set, test.variable)
			ws, _ := workspace(t, set, []string{test.service})
			stacks, problems := render.Render(ws)
			if len(stacks) > 0 || !strings.Contains(fmt.Sprint(problems), test.variable+" is required: set ") {
				t.Errorf("rendered %d stacks, problems %v; want none, and the variable asked for", len(stacks), problems)
			}
		})
	}
}

// TestNoBindsOfTheWorkspace keeps services on any node: what they bind is the
// node's own, never the merged configuration on the controller's machine.
func TestNoBindsOfTheWorkspace(t *testing.T) {
	ws, _ := workspace(t, required, serviceNames(t))
	stacks, _ := render.Render(ws)
	for _, stack := range stacks {
		for _, service := range stack.Services {
			for _, mount := range service.Spec.TaskTemplate.ContainerSpec.Mounts {
				if strings.HasPrefix(mount.Source, ws.Root) {
					t.Errorf("%s binds %s", service.Spec.Name, mount.Source)
				}
			}
		}
	}
}

// workspace lays an environment, with the services in as many stacks as they
// take, over the catalogue.
func workspace(t *testing.T, set map[string]string, services []string) (kargo.Workspace, kargo.Problems) {
	t.Helper()
	return workspaceWith(t, set, services, nil)
}

// workspaceWith is a workspace with files of its own.
func workspaceWith(t *testing.T, set map[string]string, services []string, files map[string]string) (kargo.Workspace, kargo.Problems) {
	t.Helper()
	var env strings.Builder
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&env, "%s='%s'\n", name, set[name])
	}
	var stacks []string
	for chunk := range slices.Chunk(services, perStack) {
		name := fmt.Sprintf("s%d", len(stacks))
		stacks = append(stacks, name)
		fmt.Fprintf(&env, "%s_STACK='%s'\n", strings.ToUpper(name), strings.Join(chunk, " "))
	}
	fmt.Fprintf(&env, "STACKS='%s'\n", strings.Join(stacks, " "))

	user := fstest.MapFS{".env": {Data: []byte(env.String())}}
	for name, content := range files {
		user[name] = &fstest.MapFile{Data: []byte(content)}
	}
	ws, problems, err := merge.Merge(t.Context(), merge.Input{
		Defaults: defaults.FS(), User: kargo.Files{FS: user}, Root: "/merged", WorkspacePath: "/workspace", UserID: 1000, GroupID: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ws, problems
}

// environment is .env.default and what a workspace must add to it.
func environment(t *testing.T) map[string]string {
	t.Helper()
	ws, _ := workspace(t, required, []string{"redis"})
	return ws.Env
}

// serviceNames are the services that a workspace may name.
func serviceNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, file := range serviceFiles(t) {
		names = append(names, strings.TrimSuffix(strings.TrimSuffix(path.Base(file), ".tpl"), ".yml"))
	}
	return names
}
