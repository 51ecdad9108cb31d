package defaults_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/types"
	"github.com/joho/godotenv"
	"gopkg.in/yaml.v3"
)

// required are the variables without a default, as a workspace would set them.
var required = map[string]string{
	"SUBDOMAIN":     "example.com",
	"AUTH_USER":     "operator",
	"AUTH_PASSWORD": "$2y$05$notARealHash",
}

// TestServices loads every service with the default environment and compares
// what comes out with a list made for reading. When that list changes, so does
// what runs in somebody's cluster.
func TestServices(t *testing.T) {
	const golden = "testdata/services.txt"
	var got strings.Builder
	for _, file := range serviceFiles(t) {
		config, err := load(t, file, environment(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range config.Services {
			describe(&got, file, config, service)
		}
	}
	if *update {
		writeGolden(t, golden, got.String())
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the services differ from %s; if that is meant, run: go test ./defaults -update\ngot:\n%s", golden, got.String())
	}
}

// A route without a host or without a password must be refused with words that
// help, not deployed unreachable or open. AUTH_USER has no check of its own:
// of several in one string docker/cli reports the last one only, and an empty
// name still needs the password.
func TestRequiredVariables(t *testing.T) {
	for _, file := range []string{"deploy/adminer.yml", "deploy/traefik.yml"} {
		for name, hint := range map[string]string{
			"SUBDOMAIN":     "set SUBDOMAIN",
			"AUTH_PASSWORD": "set AUTH_USER and AUTH_PASSWORD",
		} {
			for _, value := range []string{"unset", "empty"} {
				t.Run(file+"/"+name+"/"+value, func(t *testing.T) {
					env := environment(t)
					delete(env, name)
					if value == "empty" {
						env[name] = ""
					}
					_, err := load(t, file, env)
					if err == nil || !strings.Contains(err.Error(), hint) {
						t.Errorf("load without %s: error %v, want one that says: %s", name, err, hint)
					}
				})
			}
		}
	}
}

func TestConfigFilesExist(t *testing.T) {
	paths := cataloguePaths(t)
	for _, file := range serviceFiles(t) {
		config, err := load(t, file, environment(t))
		if err != nil {
			t.Fatal(err)
		}
		for name, object := range config.Configs {
			source := path.Clean(strings.TrimPrefix(object.File, "/merged/"))
			if !slices.Contains(paths, source) && !slices.Contains(paths, source+".tpl") {
				t.Errorf("%s: config %s: neither %s nor a template of it is in the catalogue", file, name, source)
			}
		}
	}
}

// TestRoutesAgainstTraefik checks that what the labels of services name exists:
// Traefik would only log the mistake, and not route.
func TestRoutesAgainstTraefik(t *testing.T) {
	static := staticConfiguration(t)
	for _, file := range serviceFiles(t) {
		config, err := load(t, file, environment(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range config.Services {
			labels := service.Deploy.Labels
			if labels["traefik.enable"] != "true" {
				continue
			}
			router := "traefik.http.routers." + service.Name + "."
			if entry := labels[router+"entrypoints"]; static.EntryPoints[entry] == nil {
				t.Errorf("%s: traefik.yml.tpl has no entry point %q", file, entry)
			}
			if resolver := labels[router+"tls.certresolver"]; static.CertificatesResolvers[resolver] == nil {
				t.Errorf("%s: traefik.yml.tpl has no certificate resolver %q", file, resolver)
			}
			for _, name := range strings.Split(labels[router+"middlewares"], ",") {
				if !definesMiddleware(labels, name) {
					t.Errorf("%s: no label defines middleware %q", file, name)
				}
			}
			if network := labels["traefik.swarm.network"]; !slices.Contains(networkNames(config, service), network) {
				t.Errorf("%s: Traefik is told to use network %q, which the service is not on", file, network)
			}
			if users, want := labels["traefik.http.middlewares."+service.Name+"-auth.basicauth.users"],
				required["AUTH_USER"]+":"+required["AUTH_PASSWORD"]; users != want {
				t.Errorf("%s: basic authentication for %q, want %q", file, users, want)
			}
		}
	}
}

// traefikStatic is what the tests read of Traefik's static configuration.
type traefikStatic struct {
	EntryPoints           map[string]any `yaml:"entryPoints"`
	CertificatesResolvers map[string]any `yaml:"certificatesResolvers"`
}

func staticConfiguration(t *testing.T) traefikStatic {
	t.Helper()
	env := environment(t)
	text := os.Expand(string(readCatalogue(t, "configs/traefik/traefik.yml.tpl")), func(name string) string { return env[name] })
	var static traefikStatic
	if err := yaml.Unmarshal([]byte(text), &static); err != nil {
		t.Fatal(err)
	}
	return static
}

func definesMiddleware(labels types.Labels, name string) bool {
	for label := range labels {
		if strings.HasPrefix(label, "traefik.http.middlewares."+name+".") {
			return true
		}
	}
	return false
}

// describe writes one service the way a person would ask about it.
func describe(out *strings.Builder, file string, config *types.Config, service types.ServiceConfig) {
	fmt.Fprintf(out, "%s (%s)\n", service.Name, file)
	line := func(name string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			fmt.Fprintf(out, "  %-12s %s\n", name, text)
		}
	}
	line("image", service.Image)
	line("command", strings.Join(service.Command, " "))
	line("environment", environmentOf(service)...)
	line("networks", networkNames(config, service)...)
	for _, port := range service.Ports {
		line("port", fmt.Sprintf("%d -> %d %s, %s mode", port.Published, port.Target, port.Protocol, port.Mode))
	}
	for _, volume := range service.Volumes {
		access := "read-write"
		if volume.ReadOnly {
			access = "read-only"
		}
		line(volume.Type, fmt.Sprintf("%s -> %s, %s", volume.Source, volume.Target, access))
	}
	for _, reference := range service.Configs {
		line("config", fmt.Sprintf("%s -> %s", strings.TrimPrefix(config.Configs[reference.Source].File, "/merged/"), reference.Target))
	}
	if check := service.HealthCheck; check != nil {
		line("health", strings.Join(check.Test, " "))
		line("", healthTimes(check)...)
	}
	line("replicas", fmt.Sprint(*service.Deploy.Replicas))
	line("constraints", service.Deploy.Placement.Constraints...)
	if policy := service.Deploy.RestartPolicy; policy != nil {
		line("restart", policy.Condition)
	}
	for _, name := range slices.Sorted(maps.Keys(service.Deploy.Labels)) {
		line("label", name+" = "+service.Deploy.Labels[name])
	}
	out.WriteString("\n")
}

func environmentOf(service types.ServiceConfig) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(service.Environment)) {
		list = append(list, name+"="+*service.Environment[name])
	}
	return list
}

func networkNames(config *types.Config, service types.ServiceConfig) []string {
	var names []string
	for _, key := range slices.Sorted(maps.Keys(service.Networks)) {
		names = append(names, config.Networks[key].Name)
	}
	return names
}

func healthTimes(check *types.HealthCheckConfig) []string {
	times := []string{
		fmt.Sprintf("every %v", *check.Interval),
		fmt.Sprintf("timeout %v", *check.Timeout),
		fmt.Sprintf("retries %d", *check.Retries),
	}
	if check.StartPeriod != nil {
		times = append(times, fmt.Sprintf("start period %v", *check.StartPeriod))
	}
	return times
}

// load reads a service as `docker stack deploy` would, from a merged
// configuration in /merged.
func load(t *testing.T, file string, env map[string]string) (*types.Config, error) {
	t.Helper()
	parsed, err := loader.ParseYAML(readCatalogue(t, file))
	if err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	return loader.Load(types.ConfigDetails{
		Version:     "3.8",
		WorkingDir:  "/merged/deploy",
		ConfigFiles: []types.ConfigFile{{Filename: file, Config: parsed}},
		Environment: env,
	})
}

// environment is .env.default and what a workspace must add to it.
func environment(t *testing.T) map[string]string {
	t.Helper()
	env, err := godotenv.Parse(bytes.NewReader(readCatalogue(t, ".env.default")))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(env, required)
	return env
}

func serviceFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, file := range cataloguePaths(t) {
		if path.Dir(file) == "deploy" && path.Ext(file) == ".yml" {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		t.Fatal("the catalogue has no services")
	}
	return files
}
