package kargo_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

func TestKindsHasEveryKind(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "change.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(node ast.Node) bool {
		if value, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(value.Names[0].Name, "Kind") {
			declared = append(declared, strings.Trim(value.Values[0].(*ast.BasicLit).Value, `"`))
		}
		return true
	})
	var listed []string
	for _, kind := range kargo.Kinds() {
		listed = append(listed, string(kind))
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if !slices.Equal(declared, listed) {
		t.Errorf("the kinds declared are %v, and Kinds has %v", declared, listed)
	}
}

func TestChangeCheck(t *testing.T) {
	service := kargo.LiveService{ID: "id", Name: "s", Version: 7}
	spec := swarm.ServiceSpec{Annotations: swarm.Annotations{Name: "s"}}
	made := []kargo.Change{
		kargo.CreateService("web", spec, "new"),
		kargo.UpdateService("web", service, spec, "another image"),
		kargo.RemoveService("web", service, "gone"),
		kargo.CreateNetwork("web", kargo.Network{Name: "n"}, "new"),
		kargo.RemoveNetwork("web", kargo.LiveNetwork{ID: "id", Name: "n"}, "gone"),
		kargo.CreateConfig("web", kargo.Config{Name: "c"}, "new"),
		kargo.CreateConfig("web", kargo.Config{Name: "c", Secret: true}, "new"),
		kargo.RemoveConfig("web", kargo.LiveConfig{ID: "id", Name: "c"}, "gone"),
		kargo.RemoveConfig("web", kargo.LiveConfig{ID: "id", Name: "c", Secret: true}, "gone"),
		kargo.UpdateNode(kargo.LiveNode{ID: "id", Hostname: "n1"}, swarm.NodeSpec{}, "labels"),
	}
	covered := map[kargo.Kind]bool{}
	for _, change := range made {
		covered[change.Kind] = true
		if err := change.Check(); err != nil {
			t.Errorf("%s: %v", change, err)
		}
	}
	for _, kind := range kargo.Kinds() {
		if !covered[kind] {
			t.Errorf("no change of a %s is tried here", kind)
		}
	}

	twice, none, other, nameless := made[0], made[0], made[0], made[1]
	twice.Network = &kargo.Network{}
	none.Service = nil
	other.Kind = kargo.KindNetwork
	nameless.ID = ""
	secret := made[5]
	secret.Kind = kargo.KindSecret
	removal := made[2]
	removal.Service = &spec
	for name, change := range map[string]kargo.Change{
		"two payloads": twice, "none": none, "one of another kind": other, "a config as a secret": secret,
		"a removal with a payload": removal, "no object": nameless,
	} {
		if err := change.Check(); kargo.FaultOf(err) != kargo.Internal || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Deployments that earlier versions stored must go on saying the same.
func TestHoldsOfEarlierVersions(t *testing.T) {
	for stored, want := range map[string]kargo.Hold{
		`{"name":"web","reason":"protected","approvable":true}`:                {Name: "web", Reason: "protected", Until: kargo.UntilApproved},
		`{"name":"web","reason":"waits","passing":true}`:                       {Name: "web", Reason: "waits", Until: kargo.UntilSettled},
		`{"kind":"service","name":"web","reason":"no image","failed":true}`:    {Kind: kargo.KindService, Name: "web", Reason: "no image", Failed: true},
		`{"name":"web","reason":"tasks end","until":"settled","failed":false}`: {Name: "web", Reason: "tasks end", Until: kargo.UntilSettled},
	} {
		var got kargo.Hold
		if err := json.Unmarshal([]byte(stored), &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s is read as %+v, want %+v", stored, got, want)
		}
	}
}
