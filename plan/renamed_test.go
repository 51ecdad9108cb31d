package plan_test

import (
	"testing"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

func withVolume(source string) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: source, Target: "/data"}}
	}
}

func inSwarm(name string, s kargo.Stack) kargo.Stack { s.SwarmName = name; return s }

func inNamespace(name string, s kargo.LiveService) kargo.LiveService {
	s.Spec.Labels[kargo.LabelNamespace] = name
	return s
}

// A stack that gets another name in Swarm would run on empty volumes. It waits,
// and so does the removal of what it was.
func TestRenamedStackWaitsForApproval(t *testing.T) {
	runs := inNamespace("kargo-shop", live("shop", "kargo-shop_db", "pg:1", withVolume("kargo-shop_data")))
	tests := []struct {
		name    string
		desired kargo.Stack
		live    kargo.LiveService
		want    string
	}{
		{
			name:    "the stack gets another name in Swarm",
			desired: inSwarm("shop", stack("shop", service("shop_db", "pg:1", withVolume("shop_data")))), live: runs,
			want: "hold service shop_db: create (new), but stack shop is renamed: it runs as kargo-shop and would start as shop, without what is in kargo-shop_data; approve it, or keep the name: SHOP_NAME=kargo-shop\n" +
				"hold stack shop: the services of kargo-shop would be removed; this waits for the same approval\n",
		},
		{
			name:    "the workspace calls it otherwise",
			desired: stack("store", service("kargo-store_db", "pg:1", withVolume("kargo-store_data"))), live: runs,
			want: "hold service kargo-store_db: create (new), but stack store seems to be stack shop under another name: it runs as kargo-shop and would start as kargo-store, without what is in kargo-shop_data; approve it, or keep the name: STORE_NAME=kargo-shop\n" +
				"hold stack shop: its removal waits for approval: stack store seems to be the same under another name\n",
		},
		{
			name:    "with the name that it has in Swarm it is the same stack",
			desired: inSwarm("kargo-shop", stack("store", service("kargo-shop_db", "pg:1", withVolume("kargo-shop_data"), func(s *swarm.ServiceSpec) { s.Labels[kargo.LabelNamespace] = "kargo-shop" }))), live: runs,
			want: "update service kargo-shop_db: Labels.kargo.stack: \"shop\" -> \"store\"\n",
		},
		{
			name:    "another stack takes its place",
			desired: stack("store", service("kargo-store_web", "app:1")), live: runs,
			want: "create service kargo-store_web: new\n" +
				"hold stack shop: its removal waits for approval: no stack that runs would be left\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			check(t, plan.Make([]kargo.Stack{test.desired}, cluster(test.live), options()), test.want)
		})
	}

	opts := options()
	desired := []kargo.Stack{tests[0].desired}
	opts.Memory.Approved = plan.Make(desired, cluster(runs), opts).ID()
	check(t, plan.Make(desired, cluster(runs), opts), "create service shop_db: new\nremove service kargo-shop_db: no longer in the workspace\n")
}
