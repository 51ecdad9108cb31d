package defaults_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/types"
	"gopkg.in/yaml.v3"
)

// required are the variables that some service asks for, as a workspace would
// set them.
var required = map[string]string{
	"SUBDOMAIN":             "example.com",
	"AUTH_USER":             "operator",
	"AUTH_PASSWORD":         "$2y$05$notARealHash",
	"POSTGIS_ROOT_PASSWORD": "not-a-real-password",
	"MARIADB_ROOT_PASSWORD": "not-a-real-password",
	"MONGORS_MEMORY_LIMIT":  "2G",
}

// open are the services whose routes ask for no password: they do so
// themselves, or their data are public.
var open = []string{"express-gateway", "kano", "thredds"}

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
			for _, name := range strings.FieldsFunc(labels[router+"middlewares"], func(r rune) bool { return r == ',' }) {
				if !definesMiddleware(labels, name) {
					t.Errorf("%s: no label defines middleware %q", file, name)
				}
			}
			if network := labels["traefik.swarm.network"]; !slices.Contains(networkNames(config, service), network) {
				t.Errorf("%s: Traefik is told to use network %q, which the service is not on", file, network)
			}
			users := labels["traefik.http.middlewares."+service.Name+"-auth.basicauth.users"]
			asks := strings.Contains(labels[router+"middlewares"], service.Name+"-auth") &&
				users == required["AUTH_USER"]+":"+required["AUTH_PASSWORD"]
			if asks == slices.Contains(open, service.Name) {
				t.Errorf("%s: basic authentication: %v (users %q)", file, asks, users)
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
	line("user", service.User)
	line("hostname", service.Hostname)
	line("entrypoint", oneLine(service.Entrypoint))
	line("command", oneLine(service.Command))
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
	for _, reference := range service.Secrets {
		target := path.Join("/run/secrets", cmp.Or(reference.Target, reference.Source))
		if path.IsAbs(reference.Target) {
			target = reference.Target
		}
		line("secret", fmt.Sprintf("%s -> %s", strings.TrimPrefix(config.Secrets[reference.Source].File, "/merged/"), target))
	}
	if check := service.HealthCheck; check != nil {
		line("health", oneLine(check.Test))
		line("", healthTimes(check)...)
	}
	describeDeployment(line, service.Deploy)
	out.WriteString("\n")
}

func describeDeployment(line func(name string, values ...string), deploy types.DeployConfig) {
	if deploy.Mode == "global" {
		line("replicas", "one on each node")
	} else {
		line("replicas", fmt.Sprint(*deploy.Replicas))
	}
	if most := deploy.Placement.MaxReplicas; most > 0 {
		line("", fmt.Sprintf("at most %d on a node", most))
	}
	line("constraints", deploy.Placement.Constraints...)
	if update := deploy.UpdateConfig; update != nil {
		line("update", fmt.Sprintf("delay %v, monitor %v", update.Delay, update.Monitor))
	}
	if policy := deploy.RestartPolicy; policy != nil {
		line("restart", policy.Condition)
	}
	if limits := deploy.Resources.Limits; limits != nil {
		line("limits", resources(limits.NanoCPUs, limits.MemoryBytes)...)
	}
	if reservations := deploy.Resources.Reservations; reservations != nil {
		line("reserved", resources(reservations.NanoCPUs, reservations.MemoryBytes)...)
	}
	for _, name := range slices.Sorted(maps.Keys(deploy.Labels)) {
		line("label", name+" = "+deploy.Labels[name])
	}
}

func resources(cpus string, memory types.UnitBytes) []string {
	var list []string
	if cpus != "" {
		list = append(list, cpus+" cpus")
	}
	return append(list, fmt.Sprintf("memory %d MiB", memory>>20))
}

// oneLine writes a command as a shell would take it, more or less.
func oneLine(words []string) string {
	return strings.ReplaceAll(strings.TrimSpace(strings.Join(words, " ")), "\n", "; ")
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
	parsed, err := loader.ParseYAML(composeFile(t, file))
	if err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	config, err := loader.Load(types.ConfigDetails{
		Version:     "3.8",
		WorkingDir:  "/merged/deploy",
		ConfigFiles: []types.ConfigFile{{Filename: file, Config: parsed}},
		Environment: env,
	})
	if err == nil {
		// The loader walks a map.
		slices.SortFunc(config.Services, func(a, b types.ServiceConfig) int { return cmp.Compare(a.Name, b.Name) })
	}
	return config, err
}

// composeFile returns a compose file of the catalogue. In a template the name
// of the replica set is replaced, and nothing else.
func composeFile(t *testing.T, file string) []byte {
	t.Helper()
	data := readCatalogue(t, file)
	if path.Ext(file) == ".tpl" {
		data = bytes.ReplaceAll(data, []byte("${MONGORS_NAME}"), []byte("mongors"))
	}
	return data
}

// serviceFiles are the compose files, and templates of such, of the catalogue.
func serviceFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, file := range cataloguePaths(t) {
		if path.Dir(file) == "deploy" {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		t.Fatal("the catalogue has no services")
	}
	return files
}
