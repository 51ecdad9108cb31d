package conformance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
	"gopkg.in/yaml.v3"
)

// historic is a merged configuration on disk, made and read as the contract
// says that the historic tool did. Nothing of Kargo takes part.
type historic struct {
	t         *testing.T
	root      string
	workspace string
	env       map[string]string
}

func newHistoric(t *testing.T, root string, defaults, user fstest.MapFS) *historic {
	t.Helper()
	h := &historic{t: t, root: root, workspace: filepath.Join(filepath.Dir(root), "workspace")}
	write(t, h.workspace, user)
	write(t, root, defaults)
	write(t, root, user)
	h.env = h.environment()
	for name, value := range h.env {
		t.Setenv(name, value) // docker reads the rest of env_file out of its own environment
	}
	h.templates()
	return h
}

func write(t *testing.T, dir string, files fstest.MapFS) {
	t.Helper()
	for name, file := range files {
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// environment has bash read the two files, in a shell with nothing else in its
// environment (contract, section 4). That the ids of Kargo are exported is
// section 16, item 22.
func (h *historic) environment() map[string]string {
	h.t.Helper()
	const script = `set -a; [ ! -e .kargo/.env.default ] || . .kargo/.env.default; . .kargo/.env; exec env -0`
	command := exec.Command("bash", "--norc", "-c", script)
	command.Dir = filepath.Dir(h.root)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "WORKSPACE=" + h.workspace,
		"KARGO_USER_ID=" + strconv.Itoa(os.Getuid()), "KARGO_GROUP_ID=" + strconv.Itoa(os.Getgid()),
		"KARGO_BUILD_PATH=" + h.root, "KARGO_SCRIPTS_PATH=" + h.root + "/scripts",
	}
	output, err := command.Output()
	if err != nil {
		h.t.Fatalf("read the environment: %v", err)
	}
	env := map[string]string{}
	for entry := range strings.SplitSeq(string(output), "\x00") {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	for _, ofTheShell := range []string{"PATH", "PWD", "OLDPWD", "SHLVL", "_"} {
		delete(env, ofTheShell)
	}
	return env
}

var reference = regexp.MustCompile(`\$([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// templates does what envsubst does (section 10).
func (h *historic) templates() {
	h.t.Helper()
	err := filepath.WalkDir(filepath.Join(h.root, "configs"), func(path string, entry os.DirEntry, err error) error {
		if os.IsNotExist(err) || entry.IsDir() || filepath.Ext(path) != ".tpl" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data = reference.ReplaceAllFunc(data, func(match []byte) []byte {
			return []byte(h.env[strings.Trim(string(match), "${}")])
		})
		return os.WriteFile(strings.TrimSuffix(path, ".tpl"), data, 0o644)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *historic) stacks() []string { return strings.Fields(h.env["STACKS"]) }

// variable is a name in upper case, with "_" for every dash (section 5).
func (h *historic) variable(name, suffix string) string {
	return h.env[strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+suffix]
}

// fileList is what the historic tool hands to docker (sections 6.1 and 6.4).
func (h *historic) fileList(stack string) ([]string, error) {
	var files []string
	for _, service := range strings.Fields(h.variable(stack, "_STACK")) {
		own := "deploy/" + service + ".yml"
		files = append(files, own)
		if extension := h.variable(service, "_EXTENSION"); extension != "" {
			files = append(files, "deploy/"+extension+".yml")
		}
		var err error
		if files, err = h.beforeHook(stack, service, files); err != nil {
			return nil, err
		}
		data, err := os.ReadFile(filepath.Join(h.root, own))
		if err != nil {
			return nil, err
		}
		var content struct {
			Version  string
			Services map[string]yaml.Node
		}
		if err := yaml.Unmarshal(data, &content); err != nil {
			return nil, err
		}
		constrained := map[string]any{}
		for name := range content.Services {
			if constraints := strings.Fields(h.variable(name, "_CONSTRAINTS")); len(constraints) > 0 {
				constrained[name] = map[string]any{"deploy": map[string]any{"placement": map[string]any{"constraints": constraints}}}
			}
		}
		if len(constrained) == 0 {
			continue
		}
		generated := map[string]any{"services": constrained}
		if content.Version != "" {
			generated["version"] = content.Version
		}
		if data, err = yaml.Marshal(generated); err != nil {
			return nil, err
		}
		file := "deploy/" + service + "-deploy-constraints.yml"
		if err := os.WriteFile(filepath.Join(h.root, file), data, 0o644); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// beforeHook has bash source the before hook of a service, if it has one, in
// .kargo, with the list of compose files so far (section 12). It returns the list
// that the hook leaves.
func (h *historic) beforeHook(stack, service string, files []string) ([]string, error) {
	hook := "deploy/" + service + "_before.sh"
	if _, err := os.Stat(filepath.Join(h.root, hook)); err != nil {
		return files, nil
	}
	const script = `SERVICES_TO_DEPLOY=$2; . "./$0" "$1" >&2; set -- $SERVICES_TO_DEPLOY; printf '%s\n' "$@"`
	command := exec.Command("bash", "--norc", "-c", script, hook, stack, "-c "+strings.Join(files, " -c "))
	command.Dir = h.root
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range h.env {
		command.Env = append(command.Env, name+"="+value)
	}
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	var left []string
	for word := range strings.FieldsSeq(string(output)) {
		if word != "-c" {
			left = append(left, word)
		}
	}
	return left, nil
}

// render is what `docker stack deploy` makes of a stack.
func (h *historic) render(stack string) (shape, error) {
	files, err := h.fileList(stack)
	if err != nil {
		return shape{}, err
	}
	details := types.ConfigDetails{Environment: h.env}
	for i, file := range files {
		path := filepath.Join(h.root, file)
		if i == 0 {
			details.WorkingDir = filepath.Dir(path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return shape{}, err
		}
		parsed, err := loader.ParseYAML(data)
		if err != nil {
			return shape{}, err
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: file, Config: parsed})
	}
	config, err := loader.Load(details)
	if err != nil {
		return shape{}, err
	}
	return theirShape(convert.NewNamespace("kargo-"+stack), config)
}

func theirShape(namespace convert.Namespace, config *types.Config) (shape, error) {
	s := shape{Services: map[string]any{}, Files: map[string]string{}, Networks: map[string]any{}}
	specs, err := convert.Services(context.Background(), namespace, config, engine{})
	if err != nil {
		return s, err
	}
	declared := map[string]struct{}{}
	for _, service := range config.Services {
		for network := range service.Networks {
			declared[network] = struct{}{}
		}
		if len(service.Networks) == 0 {
			declared["default"] = struct{}{}
		}
	}
	for name, spec := range specs {
		for _, config := range spec.TaskTemplate.ContainerSpec.Configs {
			config.ConfigID = "" // the engine's
		}
		for _, secret := range spec.TaskTemplate.ContainerSpec.Secrets {
			secret.SecretID = ""
		}
		s.Services[namespace.Scope(name)] = spec
	}
	networks, _ := convert.Networks(namespace, config.Networks, declared)
	for name, network := range networks {
		s.Networks[name] = networkShape{network.Attachable, network.Internal, network.Options}
	}
	return s, theirFiles(s, namespace, config)
}

func theirFiles(s shape, namespace convert.Namespace, config *types.Config) error {
	configs, err := convert.Configs(namespace, config.Configs)
	if err != nil {
		return err
	}
	for _, config := range configs {
		s.Files["config "+config.Name] = string(config.Data)
	}
	secrets, err := convert.Secrets(namespace, config.Secrets)
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		s.Files["secret "+secret.Name] = string(secret.Data)
	}
	return nil
}

// engine stands for a Swarm that has every config and secret it is asked for.
type engine struct{ client.APIClient }

func (engine) ClientVersion() string { return "1.41" }

func (engine) ConfigList(_ context.Context, options swarm.ConfigListOptions) ([]swarm.Config, error) {
	var list []swarm.Config
	for _, name := range names(options.Filters) {
		config := swarm.Config{ID: "id of " + name}
		config.Spec.Name = name
		list = append(list, config)
	}
	return list, nil
}

func (engine) SecretList(_ context.Context, options swarm.SecretListOptions) ([]swarm.Secret, error) {
	var list []swarm.Secret
	for _, name := range names(options.Filters) {
		secret := swarm.Secret{ID: "id of " + name}
		secret.Spec.Name = name
		list = append(list, secret)
	}
	return list, nil
}

func names(args filters.Args) []string { return args.Get("name") }
