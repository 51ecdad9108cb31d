package render_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/tools/txtar"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/render"
)

// conforming are the tests whose rule is Docker's own: there, rendering must
// come to what the docker command makes of the same files.
var conforming = []string{
	"aliases", "binds", "constraints", "env-file", "env-passed", "example", "files-order", "configs",
	"ignored", "interpolation", "merge", "needs", "networks", "stacks-dash", "version",
}

// TestConformance writes the merged tree to a directory, gives the file list of
// each stack to `docker stack config`, which needs no engine, and compares the
// service specs.
func TestConformance(t *testing.T) {
	docker, err := exec.LookPath("docker")
	if err != nil {
		if testing.Short() {
			t.Skip("no docker command")
		}
		t.Fatal("this test compares with the docker command; install docker-cli, or pass -short: ", err)
	}
	for _, name := range conforming {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			ws := workspace(archive)
			ws.Root = filepath.Join(t.TempDir(), ".kargo")
			writeTree(t, ws)
			stacks, problems := render.Render(ws)
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			for _, stack := range stacks {
				got := map[string]swarm.ServiceSpec{}
				for _, service := range stack.Services {
					delete(service.Spec.TaskTemplate.ContainerSpec.Labels, kargo.LabelFiles)
					got[service.Name] = service.Spec
				}
				want := dockerSpecs(t, docker, ws, stack.Name)
				if a, b := specText(t, got), specText(t, want); a != b {
					t.Errorf("stack %s is\n%s\nand docker makes\n%s", stack.Name, a, b)
				}
			}
		})
	}
}

// writeTree writes the merged configuration. The versions of files go, for
// docker refuses files of different versions.
func writeTree(t *testing.T, ws kargo.Workspace) {
	t.Helper()
	version := regexp.MustCompile(`(?m)^version:.*$`)
	for name, file := range ws.Files {
		target := filepath.Join(ws.Root, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, version.ReplaceAll(file.Data, nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fileList is the list that the historic tool hands to docker, constraint
// files written as it writes them.
func fileList(t *testing.T, ws kargo.Workspace, stack string) []string {
	t.Helper()
	variable := func(name, suffix string) string {
		return ws.Env[strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+suffix]
	}
	var files []string
	for _, service := range strings.Fields(variable(stack, "_STACK")) {
		own := []string{"deploy/" + service + ".yml"}
		if extension := variable(service, "_EXTENSION"); extension != "" {
			own = append(own, "deploy/"+extension+".yml")
		}
		services := map[string]any{}
		for _, file := range own {
			var content struct{ Services map[string]any }
			if err := yaml.Unmarshal(ws.Files[file].Data, &content); err != nil {
				t.Fatal(err)
			}
			for name := range content.Services {
				if constraints := strings.Fields(variable(name, "_CONSTRAINTS")); len(constraints) > 0 {
					services[name] = map[string]any{"deploy": map[string]any{"placement": map[string]any{"constraints": constraints}}}
				}
			}
		}
		files = append(files, own...)
		if len(services) > 0 {
			data, err := yaml.Marshal(map[string]any{"services": services})
			if err != nil {
				t.Fatal(err)
			}
			file := "deploy/" + service + "-deploy-constraints.yml"
			if err := os.WriteFile(filepath.Join(ws.Root, file), data, 0o644); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// dockerSpecs are the service specs by docker's own words: `docker stack
// config` merges the files, docker's converter does the rest.
func dockerSpecs(t *testing.T, docker string, ws kargo.Workspace, stack string) map[string]swarm.ServiceSpec {
	t.Helper()
	args := []string{"stack", "config"}
	for _, file := range fileList(t, ws, stack) {
		args = append(args, "-c", file)
	}
	command := exec.Command(docker, args...)
	command.Dir = ws.Root
	command.Env = []string{"DOCKER_CONFIG=" + t.TempDir()}
	for name, value := range ws.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	dict, err := loader.ParseYAML(output)
	if err != nil {
		t.Fatal(err)
	}
	config, err := loader.Load(types.ConfigDetails{
		WorkingDir:  filepath.Join(ws.Root, "deploy"),
		ConfigFiles: []types.ConfigFile{{Config: dict}},
	}, func(o *loader.Options) { o.SkipInterpolation = true })
	if err != nil {
		t.Fatal(err)
	}
	namespace := convert.NewNamespace("kargo-" + stack)
	specs := map[string]swarm.ServiceSpec{}
	for _, service := range config.Services {
		spec, err := convert.Service("1.41", namespace, service, config.Networks, config.Volumes,
			secretReferences(namespace, config, service), configReferences(namespace, config, service))
		if err != nil {
			t.Fatal(err)
		}
		specs[namespace.Scope(service.Name)] = spec
	}
	return specs
}

func secretReferences(namespace convert.Namespace, config *types.Config, service types.ServiceConfig) []*swarm.SecretReference {
	references := []*swarm.SecretReference{}
	for _, use := range service.Secrets {
		file := swarm.SecretReferenceFileTarget(fileTarget(types.FileReferenceConfig(use)))
		references = append(references, &swarm.SecretReference{
			File: &file, SecretName: objectName(namespace, use.Source, config.Secrets[use.Source].Name),
		})
	}
	sort.Slice(references, func(i, j int) bool { return references[i].SecretName < references[j].SecretName })
	return references
}

func configReferences(namespace convert.Namespace, config *types.Config, service types.ServiceConfig) []*swarm.ConfigReference {
	references := []*swarm.ConfigReference{}
	for _, use := range service.Configs {
		file := fileTarget(types.FileReferenceConfig(use))
		references = append(references, &swarm.ConfigReference{
			File: &file, ConfigName: objectName(namespace, use.Source, config.Configs[use.Source].Name),
		})
	}
	sort.Slice(references, func(i, j int) bool { return references[i].ConfigName < references[j].ConfigName })
	return references
}

func objectName(namespace convert.Namespace, key, name string) string {
	if name != "" {
		return name
	}
	return namespace.Scope(key)
}

// fileTarget is what the docs of compose files promise for a short reference.
func fileTarget(use types.FileReferenceConfig) swarm.ConfigReferenceFileTarget {
	file := swarm.ConfigReferenceFileTarget{Name: use.Target, UID: use.UID, GID: use.GID, Mode: 0o444}
	if file.Name == "" {
		file.Name = use.Source
	}
	if file.UID == "" {
		file.UID = "0"
	}
	if file.GID == "" {
		file.GID = "0"
	}
	if use.Mode != nil {
		file.Mode = os.FileMode(*use.Mode)
	}
	return file
}

// specText is specs as text, the digests of config names left out.
func specText(t *testing.T, specs map[string]swarm.ServiceSpec) string {
	t.Helper()
	data, err := json.MarshalIndent(specs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	digest := regexp.MustCompile(`("(?:Config|Secret)Name": ".*)-[0-9a-f]{12}"`)
	return digest.ReplaceAllString(string(data), `$1"`)
}
