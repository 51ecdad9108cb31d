// Package demo_test holds the sample workspace to what it is there for: people
// copy it, and the tour edits it.
package demo_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/compile"
	"kargo/defaults"
	"kargo/hooks"
	"kargo/plan"
	"kargo/secrets"
)

func TestSampleWorkspace(t *testing.T) {
	var lines []string
	for _, stack := range read(t, sample(t)) {
		for _, service := range stack.Services {
			lines = append(lines, describe(stack, service))
		}
	}
	got, want := strings.Join(lines, "\n"), strings.TrimSpace(`
kargo-dbs_cache: kargo/testserver:1, networks back
kargo-dbs_database: kargo/testserver:1, networks back, secrets database-password
kargo-web_api: kargo/testserver:1, networks back
kargo-web_site: kargo/testserver:1, networks back front, configs page, ports 8080
kargo-monitoring_probe: kargo/testserver:1, networks back, configs targets
`)
	if got != want {
		t.Errorf("the workspace renders to\n%s\nwant\n%s", got, want)
	}
}

// TestSecretStaysSecret: the password reaches Swarm as a secret, and nothing
// else has it.
func TestSecretStaysSecret(t *testing.T) {
	const password = "correct-horse-battery-staple"
	var found []string
	for _, stack := range read(t, sample(t)) {
		for _, config := range stack.Configs {
			if strings.Contains(string(config.Data), password) {
				found = append(found, fmt.Sprintf("secret=%t %q", config.Secret, config.Data))
			}
		}
		for _, service := range stack.Services {
			if strings.Contains(fmt.Sprintf("%+v", service.Spec.TaskTemplate.ContainerSpec), password) {
				t.Errorf("service %s shows the password", service.Name)
			}
		}
	}
	if want := []string{`secret=true "` + password + `"`}; !slices.Equal(found, want) {
		t.Errorf("the password is in %v, want %v", found, want)
	}
}

// TestOneVariableChangesOneService: the commit that the tour makes, and the
// ones it asks people to make.
func TestOneVariableChangesOneService(t *testing.T) {
	tests := []struct{ file, old, new, changed string }{
		{".env", "SITE_TAG=1", "SITE_TAG=2", "kargo-web_site"},
		{".env", "SITE_TITLE=", "SITE_TITLE=Another", "kargo-web_site"},
		{".env", "DATABASE_PASSWORD=", "DATABASE_PASSWORD=another", "kargo-dbs_database"},
		{".env", "SITE_EXTENSION=site-public", "SITE_EXTENSION=", "kargo-web_site"},
		{"configs/probe/targets.txt", "http://api/health\n", "", "kargo-monitoring_probe"},
		{"README.md", "# A sample", "# Our", ""},
	}
	before := digests(t, sample(t))
	for _, test := range tests {
		t.Run(test.new, func(t *testing.T) {
			files := sample(t)
			edited := strings.Replace(string(files[test.file].Data), test.old, test.new, 1)
			if edited == string(files[test.file].Data) {
				t.Fatalf("%s has no %q", test.file, test.old)
			}
			files[test.file] = &fstest.MapFile{Data: []byte(edited)}
			var changed []string
			for name, digest := range digests(t, files) {
				if before[name] != digest {
					changed = append(changed, name)
				}
			}
			if got := strings.Join(changed, " "); got != test.changed {
				t.Errorf("changed: %q, want %q", got, test.changed)
			}
		})
	}
}

// sample is the workspace, in memory so that a test can edit it.
func sample(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	workspace := os.DirFS("workspace")
	err := fs.WalkDir(workspace, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(workspace, path)
		files[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// read renders a workspace as `kargo check` does, which must have nothing to
// say: an example has no warnings.
func read(t *testing.T, files fs.FS) []kargo.Stack {
	t.Helper()
	compiler := compile.Compiler{
		Defaults: defaults.FS(), Catalogue: defaults.Version, Root: "/var/lib/kargo/.kargo", Workspace: "/var/lib/kargo/workspace",
		Secrets: secrets.Options{}.Open, Hooks: hooks.Refuse,
		Keys: func(context.Context) (kargo.Keys, error) { return kargo.Keys{}, nil },
	}
	desired, err := compiler.Compile(t.Context(), kargo.Tree{User: kargo.Files{FS: files}})
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range desired.Problems {
		t.Error(problem)
	}
	return desired.Stacks
}

// describe is what a reader of the workspace expects of a service.
func describe(stack kargo.Stack, service kargo.Service) string {
	spec := service.Spec.TaskTemplate
	lists := map[string][]string{}
	for _, network := range spec.Networks {
		lists["networks"] = append(lists["networks"], strings.TrimPrefix(network.Target, kargo.StackPrefix))
	}
	for _, config := range spec.ContainerSpec.Configs {
		lists["configs"] = append(lists["configs"], shortName(stack, config.ConfigName))
	}
	for _, secret := range spec.ContainerSpec.Secrets {
		lists["secrets"] = append(lists["secrets"], shortName(stack, secret.SecretName))
	}
	for _, port := range service.Spec.EndpointSpec.Ports {
		lists["ports"] = append(lists["ports"], fmt.Sprint(port.PublishedPort))
	}
	line := service.Name + ": " + spec.ContainerSpec.Image
	for _, what := range []string{"networks", "configs", "secrets", "ports"} {
		if names := lists[what]; len(names) > 0 {
			line += ", " + what + " " + strings.Join(slices.Sorted(slices.Values(names)), " ")
		}
	}
	return line
}

// shortName is a config's name without stack and digest.
func shortName(stack kargo.Stack, name string) string {
	name = strings.TrimPrefix(name, stack.Namespace()+"_")
	return name[:strings.LastIndexByte(name, '-')]
}

func digests(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, stack := range read(t, files) {
		for _, service := range stack.Services {
			all[service.Name] = plan.SpecDigest(nil, service.Spec)
		}
	}
	return all
}
