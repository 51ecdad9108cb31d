package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
	"kargo/render/swarmcheck"
)

// machines are the nodes of a small Swarm.
func machines() []kargo.LiveNode {
	node := func(name string, role swarm.NodeRole, availability swarm.NodeAvailability, labels map[string]string) kargo.LiveNode {
		return kargo.LiveNode{
			ID: "id-" + name, Hostname: name, Addr: "10.0.0.1",
			Spec:         swarm.NodeSpec{Role: role, Availability: availability, Annotations: swarm.Annotations{Labels: labels}},
			Platform:     swarm.Platform{OS: "linux", Architecture: "x86_64"},
			EngineLabels: map[string]string{"storage": "nvme"},
			Resources:    swarm.Resources{NanoCPUs: 4e9, MemoryBytes: 8 << 30},
		}
	}
	down := node("spare", swarm.NodeRoleWorker, swarm.NodeAvailabilityActive, map[string]string{"zone": "far"})
	down.Down = true
	return []kargo.LiveNode{
		node("boss", swarm.NodeRoleManager, swarm.NodeAvailabilityActive, map[string]string{"zone": "near"}),
		node("worker", swarm.NodeRoleWorker, swarm.NodeAvailabilityDrain, map[string]string{"ssd": "true"}),
		down,
	}
}

func TestUnplaceableSaysWhatNoNodeCanRun(t *testing.T) {
	for _, test := range []struct {
		constraints string // separated by ";"
		cpus        int64
		memory      int64
		want        string
	}{
		{constraints: "node.role == manager"},
		{constraints: "node.role==manager;node.labels.zone != far"},
		{constraints: "engine.labels.storage == nvme;node.platform.os == linux"},
		{constraints: "node.ip == 10.0.0.0/8"},
		{constraints: "node.hostname == Boss"}, // Swarm ignores the case
		{cpus: 4, memory: 8 << 30},
		{constraints: "node.labels.gpu == true", want: `no node of the Swarm satisfies "node.labels.gpu == true"; its tasks wait until one does`},
		{constraints: "node.role == manager;node.hostname == nowhere", want: `no node of the Swarm satisfies "node.hostname == nowhere"; its tasks wait until one does`},
		{constraints: "node.role == manager;node.labels.ssd == true", want: `no node of the Swarm satisfies all of "node.role == manager" and "node.labels.ssd == true"; its tasks wait until one does`},
		{constraints: "node.labels.ssd == true", want: `no node that satisfies "node.labels.ssd == true" takes tasks (worker is drained); its tasks wait until one does`},
		{constraints: "node.role == worker", want: `no node that satisfies "node.role == worker" takes tasks (worker is drained, spare is down); its tasks wait until one does`},
		{memory: 16 << 30, want: `no suitable node has the 16GiB of memory that it reserves; its tasks wait until one does`},
		{cpus: 5, memory: 1 << 30, want: `no suitable node has the 5 cpus and 1GiB of memory that it reserves; its tasks wait until one does`},
	} {
		t.Run(test.constraints, func(t *testing.T) {
			placement := plan.Placement{Stack: "shop", Service: "shop_web", Reserved: swarm.Resources{NanoCPUs: test.cpus * 1e9, MemoryBytes: test.memory}}
			if test.constraints != "" {
				placement.Constraints = strings.Split(test.constraints, ";")
			}
			var got string
			for _, warning := range plan.Unplaceable([]plan.Placement{placement}, machines(), kargo.Mask{}, swarmcheck.Satisfies) {
				got += warning.Text
			}
			if got != test.want {
				t.Errorf("the warning is\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestUnplaceableHidesSecrets(t *testing.T) {
	mask := kargo.NewMask([]byte("key"), kargo.Environment{"NODE_TOKEN": "swordfish"})
	placement := plan.Placement{Service: "shop_web", Constraints: []string{"node.labels.key == swordfish"}}
	for _, warning := range plan.Unplaceable([]plan.Placement{placement}, machines(), mask, swarmcheck.Satisfies) {
		if strings.Contains(warning.Text, "swordfish") {
			t.Errorf("the warning tells a secret: %s", warning.Text)
		}
	}
}

func TestPlacementsAreOfServicesThatWaitForANode(t *testing.T) {
	constrained := func(name string) kargo.Service {
		spec := swarm.ServiceSpec{Annotations: swarm.Annotations{Name: name}}
		spec.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{"node.role == worker"}}
		return kargo.Service{Name: name, Spec: spec}
	}
	live := func(service kargo.Service, running uint64) kargo.LiveService {
		return kargo.LiveService{ID: service.Name, Name: service.Name, Spec: service.Spec, Running: running, Desired: 1}
	}
	runs, short, isNew, changes := constrained("shop_runs"), constrained("shop_short"), constrained("shop_new"), constrained("shop_changes")
	anywhere := kargo.Service{Name: "shop_anywhere"}
	stack := kargo.Stack{Name: "shop", Services: []kargo.Service{runs, short, isNew, changes, anywhere}}
	cluster := kargo.Cluster{Services: []kargo.LiveService{live(runs, 1), live(short, 0), live(changes, 1)}}
	next := kargo.Plan{Changes: []kargo.Change{{Action: kargo.Update, Kind: kargo.KindService, Stack: "shop", Name: "shop_changes", Service: &changes.Spec}}}

	var names []string
	for _, placement := range plan.Placements([]kargo.Stack{stack}, cluster, next) {
		names = append(names, placement.Service)
	}
	if want := []string{"shop_short", "shop_new", "shop_changes"}; !slices.Equal(names, want) {
		t.Errorf("the services are %v, want %v", names, want)
	}
}
