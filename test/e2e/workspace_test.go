package e2e_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// workspace is a user configuration in the making. Stacks and networks have
// the prefix of their scene, so that tests can share an engine.
type workspace struct {
	prefix string
	stacks []string            // in order, without the prefix
	lists  map[string][]string // stack → services
	env    map[string]string
	files  map[string]string
	links  map[string]string // path → target of a symlink
	stable string            // how long tasks must run to count as good
}

func newWorkspace(prefix string) *workspace {
	return &workspace{
		prefix: prefix, stable: "0s",
		lists: map[string][]string{}, files: map[string]string{}, links: map[string]string{},
		env: map[string]string{
			"DOCKER_FRONT_NETWORK":  prefix + "-front",
			"DOCKER_BACK_NETWORK":   prefix + "-back",
			"DOCKER_SOCKET_NETWORK": prefix + "-socket",
		},
	}
}

// stack adds a stack, or takes the place of the one of that name.
func (w *workspace) stack(name string, services ...string) *workspace {
	if _, known := w.lists[name]; !known {
		w.stacks = append(w.stacks, name)
	}
	w.lists[name] = services
	return w
}

// drop takes a stack out.
func (w *workspace) drop(stack string) *workspace {
	w.stacks = slices.DeleteFunc(w.stacks, func(name string) bool { return name == stack })
	delete(w.lists, stack)
	return w
}

func (w *workspace) set(variable, value string) *workspace {
	w.env[variable] = value
	return w
}

func (w *workspace) file(name, content string) *workspace {
	w.files[name] = content
	return w
}

// service writes deploy/<name>.yml: a service without tasks, so that nothing
// has to start, unless one of the options says otherwise.
func (w *workspace) service(name string, options ...func(*compose)) *workspace {
	c := &compose{replicas: 0, networks: []string{"own"}, image: "kargo/testserver:1"}
	for _, option := range options {
		option(c)
	}
	return w.file("deploy/"+name+".yml", c.text(name))
}

// compose is what the tests vary of a compose file.
type compose struct {
	image       string
	command     string
	replicas    int
	environment []string
	networks    []string
	configs     map[string]string // target in the container → file of the workspace
	secrets     map[string]string
}

func image(name string) func(*compose)        { return func(c *compose) { c.image = name } }
func replicas(count int) func(*compose)       { return func(c *compose) { c.replicas = count } }
func environment(e ...string) func(*compose)  { return func(c *compose) { c.environment = e } }
func networks(names ...string) func(*compose) { return func(c *compose) { c.networks = names } }
func command(words string) func(*compose)     { return func(c *compose) { c.command = words } }

func config(target, file string) func(*compose) {
	return func(c *compose) {
		if c.configs == nil {
			c.configs = map[string]string{}
		}
		c.configs[target] = file
	}
}

func secret(target, file string) func(*compose) {
	return func(c *compose) {
		if c.secrets == nil {
			c.secrets = map[string]string{}
		}
		c.secrets[target] = file
	}
}

// text is the compose file. Rollouts are watched for a moment only, and
// services do without virtual addresses, which not every kernel offers.
func (c *compose) text(name string) string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("services:")
	line("  %s:", name)
	line("    image: %s", c.image)
	if c.command != "" {
		line("    command: %s", c.command)
	}
	if len(c.environment) > 0 {
		line("    environment:")
		for _, entry := range c.environment {
			line("      - %s", entry)
		}
	}
	for _, section := range []struct {
		name  string
		files map[string]string
	}{{"configs", c.configs}, {"secrets", c.secrets}} {
		if len(section.files) > 0 {
			line("    %s:", section.name)
			for _, target := range slices.Sorted(maps.Keys(section.files)) {
				line("      - {source: %s, target: %s}", objectKey(section.files[target]), target)
			}
		}
	}
	line("    networks: [%s]", strings.Join(c.networks, ", "))
	line("    stop_grace_period: 1s")
	line("    deploy:")
	line("      endpoint_mode: dnsrr")
	line("      replicas: %d", c.replicas)
	line("      update_config: {monitor: 500ms}")
	line("      restart_policy: {delay: 500ms}")
	line("networks:")
	for _, network := range c.networks {
		if network == "own" {
			line("  own: {}")
		} else {
			line("  %s: {external: true, name: \"${DOCKER_%s_NETWORK}\"}", network, strings.ToUpper(network))
		}
	}
	c.objects(line)
	return text.String()
}

func (c *compose) objects(line func(string, ...any)) {
	for _, section := range []struct {
		name  string
		files map[string]string
	}{{"configs", c.configs}, {"secrets", c.secrets}} {
		if len(section.files) > 0 {
			line("%s:", section.name)
			for _, target := range slices.Sorted(maps.Keys(section.files)) {
				line("  %s: {file: ../%s}", objectKey(section.files[target]), section.files[target])
			}
		}
	}
}

// objectKey is the key of a config in the compose file: its file's base name.
func objectKey(file string) string {
	base, _, _ := strings.Cut(filepath.Base(file), ".")
	return base
}

// envFile is the text of .env, with the variables in order of name.
func (w *workspace) envFile() string {
	if text, given := w.files[".env"]; given {
		return text
	}
	var text strings.Builder
	var full []string
	for _, stack := range w.stacks {
		full = append(full, w.prefix+"-"+stack)
	}
	fmt.Fprintf(&text, "STACKS=%q\n", strings.Join(full, " "))
	for _, stack := range w.stacks {
		fmt.Fprintf(&text, "%s=%q\n", w.variable(stack, "STACK"), strings.Join(w.lists[stack], " "))
	}
	for _, stack := range w.stacks {
		fmt.Fprintf(&text, "%s=%s\n", w.variable(stack, "STABLE"), w.stable)
	}
	for _, name := range slices.Sorted(maps.Keys(w.env)) {
		fmt.Fprintf(&text, "%s='%s'\n", name, w.env[name])
	}
	for _, stack := range w.stacks {
		if stable := w.variable(stack, "STABLE"); w.env[stable] == "" {
			fmt.Fprintf(&text, "%s=0s\n", stable) // tests of something else need not wait
		}
	}
	return text.String()
}

// variable is the name of a variable of a stack: WEB_STACK, WEB_NEEDS.
func (w *workspace) variable(stack, suffix string) string {
	return strings.ToUpper(strings.ReplaceAll(w.prefix+"-"+stack, "-", "_")) + "_" + suffix
}

// write writes the workspace into a directory. A workspace whose .env is the
// empty text has none.
func (w *workspace) write(t testing.TB, dir string) {
	t.Helper()
	all := maps.Clone(w.files)
	all[".env"] = w.envFile()
	for name, content := range all {
		if name == ".env" && content == "" {
			continue
		}
		writeFile(t, filepath.Join(dir, name), content)
	}
	for name, target := range w.links {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// clone is a copy to go on from.
func (w *workspace) clone() *workspace {
	return &workspace{
		prefix: w.prefix, stable: w.stable, stacks: slices.Clone(w.stacks), lists: maps.Clone(w.lists),
		env: maps.Clone(w.env), files: maps.Clone(w.files), links: maps.Clone(w.links),
	}
}
