package plan_test

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// Two renderings are compared by their objects, whatever runs; the secrets of either
// are hidden.
func TestCompareRenderings(t *testing.T) {
	service := func(name, image, password string) kargo.Service {
		return kargo.Service{Name: name, Spec: swarm.ServiceSpec{
			Annotations:  swarm.Annotations{Name: name},
			TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: image, Env: []string{"DB_PASSWORD=" + password}, Args: []string{"-p", password}}},
		}}
	}
	before := []kargo.Stack{
		{Name: "shop", Services: []kargo.Service{service("shop_web", "web:1", "first-one"), service("shop_old", "old:1", "")},
			Configs: []kargo.Config{{Name: "shop_page-1"}}, Networks: []kargo.Network{{Name: "shop_back"}, {Name: "front", Shared: true}}},
		{Name: "gone", Services: []kargo.Service{service("gone_x", "x", "")}},
	}
	after := []kargo.Stack{
		{Name: "new", Services: []kargo.Service{service("new_x", "x", "")}},
		{Name: "shop", Services: []kargo.Service{service("shop_web", "web:2", "other-one")},
			Configs: []kargo.Config{{Name: "shop_page-2"}}, Networks: []kargo.Network{{Name: "shop_back"}}},
	}
	mask := kargo.NewMask(nil, nil)
	diff := kargo.Diff{Changes: plan.Compare(before, after, mask)}
	want := `+ new/x  new
+ config shop_page-2  new
~ shop/web
    command ["-p","***"] → ["-p","***"]
    environment DB_PASSWORD: "***" → "***"
    image "web:1" → "web:2"
- shop/old  no longer in the workspace
- config shop_page-1  no longer in the workspace
- gone/x  no longer in the workspace
`
	if got := diff.InWords(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := diff.Summary(); got != "6 differences in 3 stacks" {
		t.Error(got)
	}
	if same := plan.Compare(after, after, mask); len(same) != 0 {
		t.Errorf("a state differs from itself: %v", same)
	}
}
