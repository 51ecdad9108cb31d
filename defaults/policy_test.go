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
		Stacks: stacks, Origins: provenance, Root: ws.Root, Files: slices.Collect(maps.Keys(ws.Files)), Shared: shared(ws),
	}) {
		said = append(said, problem.String())
	}
	return said
}

// The catalogue is the operator's choice: what it gives its services no policy
// takes away, with whatever tags and passwords a workspace sets.
func TestRestrictedPolicyPermitsTheCatalogue(t *testing.T) {
	set := maps.Clone(required)
	ws, _ := workspace(t, required, serviceNames(t))
	for name := range ws.Env {
		if strings.HasSuffix(name, "_TAG") {
			set[name] = "1"
		}
	}
	ws, _ = workspace(t, set, serviceNames(t))
	for _, said := range judged(t, ws) {
		t.Error(said)
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
