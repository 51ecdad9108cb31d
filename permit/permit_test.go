package permit_test

import (
	"maps"

	"kargo"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"kargo/merge"
	"kargo/permit"
	"kargo/render"
	"kargo/test/golden"
)

// TestS36_S38_PolicyGate runs testdata/*.txtar. Each file shows one kind of
// privilege: prose, the layers under defaults/ and user/, perhaps single rules
// ("rules": RULE=VALUE, or SERVICE: RULE, a line each), then what each of the
// three policies says. An empty answer is left out.
func TestS36_S38_PolicyGate(t *testing.T) {
	golden.Run(t, "testdata/*.txtar", policies, func(t *testing.T, archive *txtar.Archive) map[string]string {
		in := rendered(t, archive)
		got := map[string]string{}
		for _, name := range policies {
			got[name] = golden.Lines(permit.Check(policy(t, name, golden.Section(archive, "rules")), in))
		}
		return got
	})
}

var policies = []string{permit.Open, permit.Baseline, permit.Restricted}

// policy is one of the three with single rules on top.
func policy(t testing.TB, name, rules string) permit.Policy {
	t.Helper()
	p, err := permit.New(name)
	for _, line := range strings.Split(strings.TrimSpace(rules), "\n") {
		if rule, value, ok := strings.Cut(line, "="); ok && err == nil {
			p, err = p.Set(rule, value)
		} else if service, rule, ok := strings.Cut(line, ": "); ok && err == nil {
			p, err = p.Except(service, rule)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rendered is what the layers of an archive come to.
func rendered(t *testing.T, archive *txtar.Archive) permit.Input {
	t.Helper()
	const root = "/srv/.kargo"
	ws, problems, err := merge.Merge(t.Context(), merge.Input{Defaults: golden.Below(archive, "defaults"), User: kargo.Files{FS: golden.Below(archive, "user")}, Root: root, WorkspacePath: "/srv/workspace"})
	if err != nil || problems.Err() != nil {
		t.Fatal(err, problems)
	}
	stacks, provenance, problems := render.Trace(ws)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	return permit.Input{Stacks: stacks, Origins: provenance, Root: root, Files: maps.Keys(ws.Files), Shared: shared(ws)}
}

// shared are the networks that join the stacks.
func shared(ws kargo.Workspace) (networks []permit.SharedNetwork) {
	for _, network := range render.SharedNetworks(ws.Env) {
		networks = append(networks, permit.SharedNetwork(network))
	}
	return networks
}
