package defaults_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/permit"
	"kargo/render"
)

// judged is what the strictest policy says to a workspace.
func judged(t *testing.T, ws kargo.Workspace) []string {
	t.Helper()
	stacks, provenance, problems := render.Trace(ws)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	policy, err := permit.New(permit.Restricted)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, problem := range permit.Check(policy, permit.Input{
		Stacks: stacks, Origins: provenance, Root: ws.Root, Files: maps.Keys(ws.Files), Shared: shared(ws),
	}) {
		said = append(said, problem.String())
	}
	return said
}

// nearDocker are the services of the catalogue that look into their node or reach
// Docker. Their tags are no choice of a restricted workspace.
var nearDocker = []string{"DOCKER_SOCKET_PROXY_TAG", "PROMETHEUS_CADVISOR_TAG", "PROMETHEUS_NODE_EXPORTER_TAG"}

// The catalogue is the operator's choice: what it gives its services no policy
// takes away, with whatever passwords a workspace sets, and with the tags of most.
// Two services are root on their nodes for a purpose, and not for this policy.
func TestRestrictedPolicyPermitsTheCatalogue(t *testing.T) {
	set := maps.Clone(required)
	ws, _ := workspace(t, required, serviceNames(t))
	for name := range ws.Env {
		if strings.HasSuffix(name, "_TAG") && !slices.Contains(nearDocker, name) {
			set[name] = "1"
		}
	}
	ws, _ = workspace(t, set, serviceNames(t))
	refused := map[string]bool{}
	for _, said := range judged(t, ws) {
		file, _, _ := strings.Cut(said, ":")
		refused[file] = true
	}
	if want := map[string]bool{"deploy/kontrol.yml": true, "deploy/logspout.yml": true}; !maps.Equal(refused, want) {
		t.Errorf("restricted refuses something of %v", slices.Sorted(maps.Keys(refused)))
	}
}

// The allowance of what reaches Docker ends with any input of the workspace's.
func TestS41_TheCatalogueIsNotALever(t *testing.T) {
	for _, test := range []struct {
		service, variable, value string
		user                     map[string]string
		want                     string // the rule that speaks
	}{
		{"docker-socket-proxy", "DOCKER_SOCKET_PROXY_TAG", "old", nil, "docker-socket"},
		{"docker-socket-proxy", "DOCKER_SOCKET_PROXY_EXTENSION", "more", map[string]string{
			"deploy/more.yml": "version: '3.8'\nservices: {docker-socket-proxy: {deploy: {labels: {traefik.enable: 'true'}}}}\n",
		}, "docker-socket"},
		{"traefik", "TRAEFIK_TAG", "v3", map[string]string{"configs/traefik/dynamic.yml": "http: {}\n"}, "socket-network"},
		{"traefik", "TRAEFIK_ACME_EMAIL", "a@b.example\nproviders: {}", nil, "socket-network"},
		{"prometheus", "PROMETHEUS_ADDITIONAL_TARGETS", "'docker-socket-proxy:2375'", nil, "socket-network"},
	} {
		set := maps.Clone(required)
		set[test.variable] = test.value
		ws, _ := workspaceWith(t, set, []string{test.service}, test.user)
		if said := strings.Join(judged(t, ws), "\n"); !strings.Contains(said, "rule "+test.want+" ") {
			t.Errorf("%s with %s: %s", test.service, test.variable, said)
		}
	}
}

// Another image, or a path of the workspace's choice, is the workspace's word.
func TestRestrictedPolicyJudgesWhatAWorkspaceSets(t *testing.T) {
	set := maps.Clone(required)
	set["DOCKER_SOCKET_PROXY_IMAGE"] = "evil.example/shell"
	set["REDIS_VOLUME_PATH"] = "/etc/"
	ws, _ := workspace(t, set, []string{"docker-socket-proxy", "redis"})
	said := strings.Join(judged(t, ws), "\n")
	for _, rule := range []string{"docker-socket", "bind-mounts"} {
		if !strings.Contains(said, "rule "+rule+" ") {
			t.Errorf("nothing of rule %s:\n%s", rule, said)
		}
	}
	if !slices.ContainsFunc(strings.Split(said, "\n"), func(line string) bool { return strings.Contains(line, "mounts the node's /etc/") }) {
		t.Errorf("REDIS_VOLUME_PATH passes:\n%s", said)
	}
}

// shared are the networks that join the stacks.
func shared(ws kargo.Workspace) (networks []permit.SharedNetwork) {
	for _, network := range render.SharedNetworks(ws.Env) {
		networks = append(networks, permit.SharedNetwork(network))
	}
	return networks
}
