package plan_test

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// controllerIn says in the lease that the controller runs in a service.
func controllerIn(service string, live kargo.Cluster) kargo.Cluster {
	live.Configs = append(live.Configs, kargo.LiveConfig{Name: "kargo-lease-test", Labels: map[string]string{kargo.LabelLeaseService: service}})
	return live
}

func TestOwnStack(t *testing.T) {
	undone := func(s *swarm.ServiceSpec) {
		s.UpdateConfig = &swarm.UpdateConfig{FailureAction: swarm.UpdateFailureActionRollback}
	}
	dbs := stack("dbs", service("kargo-dbs_r", "redis:7"))
	kept := stack("ops", service("kargo-ops_kargo", "kargo:1", undone))
	runs := controllerIn("kargo-ops_kargo", cluster(live("dbs", "kargo-dbs_r", "redis:7"), live("ops", "kargo-ops_kargo", "kargo:1", undone)))
	tests := []struct {
		name    string
		desired []kargo.Stack
		live    kargo.Cluster
		want    string
	}{
		{"it is as it should be", []kargo.Stack{dbs, kept}, runs, "nothing to do\n"},
		{"a commit forgets the stack", []kargo.Stack{dbs}, runs,
			"hold stack ops: its removal waits for approval: the controller runs in service kargo-ops_kargo\n"},
		{"a commit forgets the service", []kargo.Stack{dbs, stack("ops", service("kargo-ops_page", "page:1"))}, runs,
			"create service kargo-ops_page: new\n" +
				"hold stack ops: its removal waits for approval: the controller runs in service kargo-ops_kargo\n"},
		{"the controller runs elsewhere", []kargo.Stack{dbs}, controllerIn("other_kargo", cluster(runs.Services...)),
			"remove service kargo-ops_kargo: no longer in the workspace\n"},
		{"a new version is sent last", []kargo.Stack{stack("ops", service("kargo-ops_kargo", "kargo:2", undone)), stack("dbs", service("kargo-dbs_r", "redis:8"))}, runs,
			"update service kargo-dbs_r: TaskTemplate.ContainerSpec.Image: \"redis:7\" -> \"redis:8\"\n" +
				"update service kargo-ops_kargo: TaskTemplate.ContainerSpec.Image: \"kargo:1\" -> \"kargo:2\"\n"},
		{"nobody would undo a bad version", []kargo.Stack{dbs, stack("ops", service("kargo-ops_kargo", "kargo:2"))}, runs,
			"hold service kargo-ops_kargo: the controller runs in it, and nobody would undo a version that does not start; set deploy.update_config.failure_action: rollback\n"},
		{"no replicas", []kargo.Stack{dbs, stack("ops", service("kargo-ops_kargo", "kargo:1", undone, func(s *swarm.ServiceSpec) { *s.Mode.Replicated.Replicas = 0 }))}, runs,
			"hold service kargo-ops_kargo: the controller runs in it, and would end without replicas; take the stack out of the workspace instead\n"},
		{"another mode", []kargo.Stack{dbs, stack("ops", service("kargo-ops_kargo", "kargo:1", undone, func(s *swarm.ServiceSpec) {
			s.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}}
		}))}, runs,
			"hold service kargo-ops_kargo: the controller runs in it, and could not create it again in another mode; give the service another name\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := options()
			opts.Governor = &plan.Governor{Stacks: 5, Percent: 100}
			check(t, plan.Make(test.desired, test.live, opts), test.want)
		})
	}

	t.Run("a person approves the removal", func(t *testing.T) {
		opts := options()
		opts.Memory.Approved = plan.Make([]kargo.Stack{dbs}, runs, opts).ID()
		check(t, plan.Make([]kargo.Stack{dbs}, runs, opts), "remove service kargo-ops_kargo: no longer in the workspace\n")
	})
	t.Run("its network is not recreated", func(t *testing.T) {
		ops := stack("ops", service("kargo-ops_kargo", "kargo:1", undone, on("kargo-ops_net")))
		ops.Options.Recreate = true
		ops.Networks = []kargo.Network{{Name: "kargo-ops_net", Driver: "overlay", Internal: true}}
		there := controllerIn("kargo-ops_kargo", cluster(live("ops", "kargo-ops_kargo", "kargo:1", undone, on("kargo-ops_net"))))
		there.Networks = []kargo.LiveNetwork{{Name: "kargo-ops_net", Driver: "overlay", Labels: owned("ops")}}
		check(t, plan.Make([]kargo.Stack{ops}, there, options()),
			"hold network kargo-ops_net: would be recreated, and the controller's own service kargo-ops_kargo uses it; give the network another name\n")
	})
}
