package plan_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// Tests speak of stacks "dbs" and "web" with small services; want is the plan
// as people read it.

func spec(name, image string, change ...func(*swarm.ServiceSpec)) swarm.ServiceSpec {
	replicas := uint64(1)
	s := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: name, Labels: map[string]string{kargo.LabelImage: image}},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{
			Image: image, Env: []string{"A=1", "B_PASSWORD=hunter22"},
		}},
		Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func service(name, image string, change ...func(*swarm.ServiceSpec)) kargo.Service {
	return kargo.Service{Name: name, Spec: spec(name, image, change...)}
}

func stack(name string, services ...kargo.Service) kargo.Stack {
	return kargo.Stack{Name: name, Services: services}
}

func env(values ...string) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = values }
}

func uses(configs ...string) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) {
		for _, name := range configs {
			s.TaskTemplate.ContainerSpec.Configs = append(s.TaskTemplate.ContainerSpec.Configs,
				&swarm.ConfigReference{ConfigName: name, File: &swarm.ConfigReferenceFileTarget{Name: "/etc/conf"}})
		}
	}
}

func on(networks ...string) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) {
		for _, name := range networks {
			s.TaskTemplate.Networks = append(s.TaskTemplate.Networks, swarm.NetworkAttachmentConfig{Target: name})
		}
	}
}

func publishes(port uint32) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) {
		s.EndpointSpec = &swarm.EndpointSpec{Ports: []swarm.PortConfig{{Protocol: "tcp", PublishedPort: port, TargetPort: 80}}}
	}
}

// live is a service as this instance once made it, settled.
func live(stack, name, image string, change ...func(*swarm.ServiceSpec)) kargo.LiveService {
	s := spec(name, image, change...)
	s.Labels[kargo.LabelInstance] = "test"
	s.Labels[kargo.LabelStack] = stack
	s.Labels[kargo.LabelRevision] = "earlier"
	return kargo.LiveService{ID: "id-" + name, Name: name, Version: 7, Spec: s, Image: image + "@sha256:pinned", Running: 1, Desired: 1}
}

func cluster(services ...kargo.LiveService) kargo.Cluster {
	return kargo.Cluster{Services: services, TasksKnown: true}
}

func owned(stack string) map[string]string {
	return map[string]string{kargo.LabelInstance: "test", kargo.LabelStack: stack}
}

func options() plan.Options {
	return plan.Options{
		Instance: "test", Revision: kargo.Revision{Commit: "new"},
		Mask: kargo.NewMask([]byte("key"), kargo.Environment{"B_PASSWORD": "hunter22"}),
	}
}

func check(t *testing.T, got kargo.Plan, want string) {
	t.Helper()
	if got.String() != want {
		t.Errorf("plan is\n%swant\n%s", got, want)
	}
}

func TestMake(t *testing.T) {
	tests := []struct {
		name    string
		desired []kargo.Stack
		live    kargo.Cluster
		options func(*plan.Options)
		want    string
	}{
		{
			name:    "an empty Swarm gets the stacks in the order of STACKS",
			desired: []kargo.Stack{stack("web", service("kargo-web_app", "app:1")), stack("dbs", service("kargo-dbs_redis", "redis:7"))},
			want: "create service kargo-web_app: new\n" +
				"create service kargo-dbs_redis: new\n",
		},
		{
			name:    "what runs as it should is not changed, whatever revision changed it last",
			desired: []kargo.Stack{stack("web", service("kargo-web_app", "app:1"))},
			live:    cluster(live("web", "kargo-web_app", "app:1")),
			want:    "nothing to do\n",
		},
		{
			name:    "a variable changes its service and no other",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1", env("A=2", "B_PASSWORD=hunter22")), service("kargo-web_b", "app:1"))},
			live:    cluster(live("web", "kargo-web_a", "app:1"), live("web", "kargo-web_b", "app:1")),
			want:    "update service kargo-web_a: TaskTemplate.ContainerSpec.Env[A]: \"1\" -> \"2\"\n",
		},
		{
			name:    "an image change names both places it is written in",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:2"))},
			live:    cluster(live("web", "kargo-web_a", "app:1")),
			want:    "update service kargo-web_a: TaskTemplate.ContainerSpec.Image: \"app:1\" -> \"app:2\"\n",
		},
		{
			name:    "a secret shows that it changed, not what it is",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1", env("A=1", "B_PASSWORD=correct-horse")))},
			live:    cluster(live("web", "kargo-web_a", "app:1")),
			want:    "update service kargo-web_a: TaskTemplate.ContainerSpec.Env[B_PASSWORD]: \"***6699cab6\" -> \"***fb6ddfd6\"\n",
		},
		{
			name:    "a service that left the repository is removed",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1"))},
			live:    cluster(live("web", "kargo-web_a", "app:1"), live("web", "kargo-web_b", "app:1")),
			want:    "remove service kargo-web_b: no longer in the workspace\n",
		},
		{
			name:    "somebody else's services are not touched",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1"))},
			live: cluster(live("web", "kargo-web_a", "app:1"),
				kargo.LiveService{Name: "portainer", Spec: spec("portainer", "p:1")},
				foreign(live("old", "kargo-old_x", "x:1"), "another")),
			want: "nothing to do\n",
		},
		{
			name:    "a service of the same name without an owner holds the stack",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1"), service("kargo-web_b", "app:1"))},
			live:    cluster(kargo.LiveService{Name: "kargo-web_a", Spec: spec("kargo-web_a", "app:1")}),
			want:    "hold service kargo-web_a: exists and is not Kargo's; set WEB_ADOPT=true to take it over\n",
		},
		{
			name:    "and is adopted when the workspace asks for it",
			desired: []kargo.Stack{adopting(stack("web", service("kargo-web_a", "app:1")))},
			live:    cluster(kargo.LiveService{Name: "kargo-web_a", Spec: spec("kargo-web_a", "app:1")}),
			want:    "update service kargo-web_a: Labels.kargo.instance: (none) -> \"test\"; Labels.kargo.stack: (none) -> \"web\"\n",
		},
		{
			name:    "another instance's service is never adopted",
			desired: []kargo.Stack{adopting(stack("web", service("kargo-web_a", "app:1")))},
			live:    cluster(foreign(live("web", "kargo-web_a", "app:1"), "another")),
			want:    "hold service kargo-web_a: belongs to the Kargo instance another\n",
		},
		{
			name:    "a service's mode cannot change in place",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1", func(s *swarm.ServiceSpec) { s.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}} }))},
			live:    cluster(live("web", "kargo-web_a", "app:1")),
			want:    "hold service kargo-web_a: Swarm cannot change the mode of a service (replicated -> global); give it another name, or set WEB_RECREATE=true\n",
		},
		{
			name:    "a published port is freed before it is taken again",
			desired: []kargo.Stack{stack("web", service("kargo-web_new", "app:1", publishes(80)))},
			live:    cluster(live("web", "kargo-web_old", "app:1", publishes(80)), live("web", "kargo-web_other", "app:1", publishes(81))),
			want: "remove service kargo-web_old: no longer in the workspace\n" +
				"create service kargo-web_new: new\n" +
				"remove service kargo-web_other: no longer in the workspace\n",
		},
		{
			name: "a stack waits for the stack it needs to have nothing to change",
			desired: []kargo.Stack{
				needing(stack("web", service("kargo-web_a", "app:2")), "dbs"),
				stack("dbs", service("kargo-dbs_redis", "redis:7")),
			},
			live: cluster(live("web", "kargo-web_a", "app:1")),
			want: "create service kargo-dbs_redis: new\n" +
				"hold stack web: waits for stack dbs\n",
		},
		{
			name: "and to have settled",
			desired: []kargo.Stack{
				needing(stack("web", service("kargo-web_a", "app:2")), "dbs"),
				stack("dbs", service("kargo-dbs_redis", "redis:7")),
			},
			live: cluster(live("web", "kargo-web_a", "app:1"), starting(live("dbs", "kargo-dbs_redis", "redis:7"))),
			want: "hold stack web: waits for stack dbs, which is progressing (0 of 1 tasks run)\n",
		},
		{
			name:    "what Swarm rolled back is not sent again",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:2"))},
			live:    cluster(rolledBack(live("web", "kargo-web_a", "app:1"))),
			options: func(o *plan.Options) {
				o.Memory.Sent = kargo.Sent{"kargo-web_a": {Digest: digestOf("kargo-web_a", "app:2")}}
			},
			want: "hold service kargo-web_a: Swarm rolled back this change: update rolled back due to failure; waits for another revision, or `kargo retry`\n",
		},
		{
			name:    "what a person rolled back is drift",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:2"))},
			live:    cluster(rolledBackByHand(live("web", "kargo-web_a", "app:1"))),
			options: func(o *plan.Options) {
				o.Memory.Sent = kargo.Sent{"kargo-web_a": {Digest: digestOf("kargo-web_a", "app:2"), Seen: true}}
			},
			want: "update service kargo-web_a: TaskTemplate.ContainerSpec.Image: \"app:1\" -> \"app:2\"\n",
		},
		{
			name:    "but something else is",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:3"))},
			live:    cluster(rolledBack(live("web", "kargo-web_a", "app:1"))),
			options: func(o *plan.Options) {
				o.Memory.Sent = kargo.Sent{"kargo-web_a": {Digest: digestOf("kargo-web_a", "app:2")}}
			},
			want: "update service kargo-web_a: TaskTemplate.ContainerSpec.Image: \"app:1\" -> \"app:3\"\n",
		},
		{
			name:    "a change that Swarm accepted and that is still needed is not sent again and again",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1", env("A=2")))},
			live:    cluster(live("web", "kargo-web_a", "app:1", env("A=1"))),
			options: func(o *plan.Options) {
				o.Memory.Sent = kargo.Sent{"kargo-web_a": {Digest: digestOf("kargo-web_a", "app:1", env("A=2")), Reason: `TaskTemplate.ContainerSpec.Env[A]: "1" -> "2"`}}
			},
			want: "hold service kargo-web_a: does not converge: Swarm accepted this change before, and the service still differs: TaskTemplate.ContainerSpec.Env[A]: \"1\" -> \"2\"\n",
		},
		{
			name:    "unless it had arrived in between: then it is drift",
			desired: []kargo.Stack{stack("web", service("kargo-web_a", "app:1", env("A=2")))},
			live:    cluster(live("web", "kargo-web_a", "app:1", env("A=1"))),
			options: func(o *plan.Options) {
				o.Memory.Sent = kargo.Sent{"kargo-web_a": {Digest: digestOf("kargo-web_a", "app:1", env("A=2")), Reason: `TaskTemplate.ContainerSpec.Env[A]: "1" -> "2"`, Seen: true}}
			},
			want: "update service kargo-web_a: TaskTemplate.ContainerSpec.Env[A]: \"1\" -> \"2\"\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opts := options()
			if test.options != nil {
				test.options(&opts)
			}
			check(t, plan.Make(test.desired, test.live, opts), test.want)
		})
	}
}

func foreign(s kargo.LiveService, instance string) kargo.LiveService {
	s.Spec.Labels[kargo.LabelInstance] = instance
	return s
}

func adopting(s kargo.Stack) kargo.Stack { s.Options.Adopt = true; return s }

func needing(s kargo.Stack, needs ...string) kargo.Stack { s.Needs = needs; return s }

func starting(s kargo.LiveService) kargo.LiveService { s.Running = 0; return s }

func rolledBack(s kargo.LiveService) kargo.LiveService {
	s.Update = &swarm.UpdateStatus{State: swarm.UpdateStateRollbackCompleted, Message: "update rolled back due to failure"}
	return s
}

// rolledBackByHand is a service after `docker service rollback`: it could be rolled back again.
func rolledBackByHand(s kargo.LiveService) kargo.LiveService {
	s.Update = &swarm.UpdateStatus{State: swarm.UpdateStateRollbackCompleted, Message: "rollback completed"}
	previous := s.Spec
	s.Previous = &previous
	return s
}

// digestOf is what Sent remembers of a service of stack web.
func digestOf(name, image string, change ...func(*swarm.ServiceSpec)) string {
	p := plan.Make([]kargo.Stack{stack("web", service(name, image, change...))}, kargo.Cluster{}, options())
	return p.Changes[0].Digest
}

func TestNetworksAndConfigs(t *testing.T) {
	shared := kargo.Network{Name: "kargo-front", Shared: true, Driver: "overlay", Attachable: true}
	own := kargo.Network{Name: "kargo-web_inner", Driver: "overlay"}
	conf := func(name string) kargo.Config { return kargo.Config{Name: name, Data: []byte(name)} }
	web := func(config string) kargo.Stack {
		s := stack("web", service("kargo-web_a", "app:1", uses(config), on("kargo-front", "kargo-web_inner")))
		s.Networks = []kargo.Network{shared, own}
		s.Configs = []kargo.Config{conf(config)}
		return s
	}
	first := plan.Make([]kargo.Stack{web("conf-1")}, kargo.Cluster{TasksKnown: true}, options())
	check(t, first, "create network kargo-front: shared by stacks\n"+
		"create network kargo-web_inner: new\n"+
		"create config conf-1: new content\n"+
		"create service kargo-web_a: new\n")

	// The cluster as that plan leaves it.
	running := live("web", "kargo-web_a", "app:1", uses("conf-1"), on("kargo-front", "kargo-web_inner"))
	there := cluster(running)
	for _, change := range first.Changes {
		if change.Network != nil {
			there.Networks = append(there.Networks, kargo.LiveNetwork{Name: change.Name, Driver: "overlay", Labels: change.Network.Labels})
		}
	}
	there.Configs = []kargo.LiveConfig{{Name: "conf-1", Labels: owned("web")}}
	check(t, plan.Make([]kargo.Stack{web("conf-1")}, there, options()), "nothing to do\n")

	t.Run("new content makes a new config and rolls the service", func(t *testing.T) {
		check(t, plan.Make([]kargo.Stack{web("conf-2")}, there, options()),
			"create config conf-2: new content\n"+
				"update service kargo-web_a: TaskTemplate.ContainerSpec.Configs[/etc/conf].ConfigName: \"conf-1\" -> \"conf-2\"\n")
	})
	t.Run("the old config stays while a rollback would need it", func(t *testing.T) {
		before := live("web", "kargo-web_a", "app:1", uses("conf-1"), on("kargo-front", "kargo-web_inner")).Spec
		now := live("web", "kargo-web_a", "app:1", uses("conf-2"), on("kargo-front", "kargo-web_inner"))
		now.Previous = &before
		later := there
		later.Services = []kargo.LiveService{now}
		later.Configs = []kargo.LiveConfig{{Name: "conf-1", Labels: owned("web")}, {Name: "conf-2", Labels: owned("web")}}
		check(t, plan.Make([]kargo.Stack{web("conf-2")}, later, options()), "nothing to do\n")

		now.Previous = nil
		later.Services = []kargo.LiveService{now}
		check(t, plan.Make([]kargo.Stack{web("conf-2")}, later, options()), "remove config conf-1: no longer used\n")
	})
	t.Run("a stack leaves: services, then tasks, then networks, then configs", func(t *testing.T) {
		stays := stack("dbs", service("kargo-dbs_r", "redis:7"))
		going := there
		going.Services = []kargo.LiveService{running, live("dbs", "kargo-dbs_r", "redis:7")}
		check(t, plan.Make([]kargo.Stack{stays}, going, options()),
			"remove service kargo-web_a: no longer in the workspace\n"+
				"hold config conf-1: its removal waits for the last task to end\n"+
				"hold network kargo-web_inner: its removal waits for the last task to end\n")

		going.Services = going.Services[1:]
		going.Tasks = []kargo.Task{{Service: "id-kargo-web_a", Namespace: "kargo-web", State: "running"}}
		check(t, plan.Make([]kargo.Stack{stays}, going, options()),
			"hold config conf-1: its removal waits for the last task to end\n"+
				"hold network kargo-web_inner: its removal waits for the last task to end\n")

		lost := kargo.Task{Service: "id-kargo-web_a", Namespace: "kargo-web", State: "running", NodeDown: "worker-1"}
		going.Tasks = []kargo.Task{going.Tasks[0], lost, lost}
		check(t, plan.Make([]kargo.Stack{stays}, going, options()),
			"hold config conf-1: its removal waits for the last task to end; not waited for: 2 on node worker-1, which is down\n"+
				"hold network kargo-web_inner: its removal waits for the last task to end; not waited for: 2 on node worker-1, which is down\n")

		going.Tasks = []kargo.Task{lost}
		check(t, plan.Make([]kargo.Stack{stays}, going, options()),
			"remove network kargo-web_inner: no longer used\n"+
				"remove config conf-1: no longer used\n")

		going.Tasks = nil
		check(t, plan.Make([]kargo.Stack{stays}, going, options()),
			"remove network kargo-web_inner: no longer used\n"+
				"remove config conf-1: no longer used\n")
	})
	t.Run("another network has the subnet", func(t *testing.T) {
		with := func(subnet string) kargo.Stack {
			s := web("conf-1")
			s.Networks = []kargo.Network{shared, {Name: "kargo-web_inner", Driver: "overlay", IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}}}
			return s
		}
		taken := cluster()
		taken.Networks = []kargo.LiveNetwork{{ID: "1", Name: "docker0", Local: true, Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
			{ID: "2", Name: "corp", Driver: "overlay", Subnets: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}}}
		check(t, plan.Make([]kargo.Stack{with("10.77.4.0/24")}, taken, options()),
			"create network kargo-front: shared by stacks\n"+
				"hold network kargo-web_inner: its subnet 10.77.4.0/24 overlaps with 10.77.0.0/16 of network corp; give it another subnet\n")

		going := cluster()
		going.Networks = []kargo.LiveNetwork{{ID: "2", Name: "kargo-old_net", Driver: "overlay", Labels: owned("old"), Subnets: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}}}
		check(t, plan.Make([]kargo.Stack{with("10.77.4.0/24")}, going, options()),
			"create network kargo-front: shared by stacks\n"+
				"remove network kargo-old_net: no longer used\n"+
				"hold network kargo-web_inner: its subnet 10.77.4.0/24 overlaps with 10.77.0.0/16 of network kargo-old_net, which is to be removed\n")

		// It was created before the other one was seen, and Swarm gave it nothing.
		dead := cluster(running)
		dead.Configs = there.Configs
		created := plan.Make([]kargo.Stack{with("10.77.4.0/24")}, cluster(), options()).Changes[1].Network
		dead.Networks = append(taken.Networks, kargo.LiveNetwork{ID: "3", Name: "kargo-front", Driver: "overlay"},
			kargo.LiveNetwork{ID: "4", Name: "kargo-web_inner", Labels: created.Labels})
		check(t, plan.Make([]kargo.Stack{with("10.77.4.0/24")}, dead, options()),
			"hold network kargo-web_inner: Swarm has not allocated it, so no task on it starts; its subnet 10.77.4.0/24 overlaps with 10.77.0.0/16 of network corp; give it another subnet\n")
		check(t, plan.Make([]kargo.Stack{with("10.99.0.0/24")}, dead, options()),
			"remove service kargo-web_a: recreated because its network kargo-web_inner is recreated\n"+
				"hold network kargo-web_inner: is recreated because its options differ\n")
	})
	t.Run("a network's options cannot change", func(t *testing.T) {
		changed := web("conf-1")
		changed.Networks = []kargo.Network{shared, {Name: "kargo-web_inner", Driver: "overlay", Internal: true}}
		check(t, plan.Make([]kargo.Stack{changed}, there, options()),
			"hold network kargo-web_inner: its options differ, and Swarm cannot change a network; give it another name, or set WEB_RECREATE=true\n")
	})
	t.Run("a network that has the name only is an obstacle", func(t *testing.T) {
		s := web("conf-1")
		s.Networks = append(s.Networks, kargo.Network{Name: "corp", External: true}, kargo.Network{Name: "host", External: true})
		wrong := cluster()
		wrong.Networks = []kargo.LiveNetwork{
			{ID: "1", Name: "corp", Driver: "bridge", Local: true}, {ID: "2", Name: "host", Driver: "host", Local: true},
			{ID: "3", Name: "kargo-front", Driver: "macvlan"}, {ID: "4", Name: "kargo-front-old", Driver: "overlay"},
		}
		check(t, plan.Make([]kargo.Stack{s}, wrong, options()),
			"hold network kargo-front: a network of this name exists with the driver macvlan, and stacks are joined by an overlay one; remove it, or choose another name\n"+
				"hold network corp: a network of this name exists on the manager's node only, where services cannot use it; remove it: docker network rm corp\n")
	})
	t.Run("what is external must exist", func(t *testing.T) {
		s := stack("web", service("kargo-web_b", "app:1"))
		s.Networks = []kargo.Network{{Name: "corp", External: true}}
		s.Configs = []kargo.Config{{Name: "ca", External: true}, {Name: "key", External: true, Secret: true}}
		check(t, plan.Make([]kargo.Stack{s}, cluster(), options()),
			"hold network corp: does not exist; create it: docker network create --driver overlay corp\n"+
				"hold config ca: does not exist; create it, or name a file in place of external: true\n"+
				"hold secret key: does not exist; create it, or name a file in place of external: true\n")
	})
}

// Somebody deploys a stack of the same name by other means.
func TestAStackWithoutItsMarks(t *testing.T) {
	stripped := live("web", "kargo-web_a", "app:1")
	stripped.Spec.Labels = map[string]string{kargo.LabelImage: "app:1", kargo.LabelNamespace: "kargo-web"}
	wanted := []kargo.Stack{stack("web", service("kargo-web_a", "app:1", func(s *swarm.ServiceSpec) { s.Labels[kargo.LabelNamespace] = "kargo-web" }))}
	const foreign = "hold service kargo-web_a: exists and is not Kargo's; set WEB_ADOPT=true to take it over\n"
	for _, test := range []struct {
		name   string
		sent   kargo.Sent
		labels map[string]string
		want   string
	}{
		{"what this controller sent is put back", kargo.Sent{"kargo-web_a": {Seen: true}}, nil,
			"update service kargo-web_a: Labels.kargo.instance: (none) -> \"test\"; Labels.kargo.stack: (none) -> \"web\"\n"},
		{"what nobody sent is another's", nil, nil, foreign},
		{"so is what is in another namespace", kargo.Sent{"kargo-web_a": {Seen: true}}, map[string]string{kargo.LabelNamespace: "other"}, foreign},
		{"and what another instance marked", kargo.Sent{"kargo-web_a": {Seen: true}}, map[string]string{kargo.LabelInstance: "other"},
			"hold service kargo-web_a: belongs to the Kargo instance other\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			there := cluster(stripped)
			there.Services[0].Spec.Labels = maps.Clone(stripped.Spec.Labels)
			maps.Copy(there.Services[0].Spec.Labels, test.labels)
			opts := options()
			opts.Memory.Sent = test.sent
			check(t, plan.Make(wanted, there, opts), test.want)
		})
	}
}

func TestGovernor(t *testing.T) {
	many := func(n int) (stacks []kargo.Stack, there kargo.Cluster) {
		var services []kargo.LiveService
		for i := range n {
			name := fmt.Sprintf("s%02d", i)
			stacks = append(stacks, stack(name, service("kargo-"+name+"_a", "app:1")))
			services = append(services, live(name, "kargo-"+name+"_a", "app:1"))
		}
		return stacks, cluster(services...)
	}
	tests := []struct{ stacks, removed, held int }{
		{10, 1, 0}, {10, 2, 0}, {10, 3, 3}, {10, 9, 9}, {10, 10, 10},
		{20, 4, 0}, {20, 5, 5}, {3, 2, 0}, {2, 1, 0}, {1, 1, 1},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d of %d", test.removed, test.stacks), func(t *testing.T) {
			stacks, there := many(test.stacks)
			opts := options()
			p := plan.Make(stacks[test.removed:], there, opts)
			if got := p.Count(kargo.Remove, kargo.KindService); got != test.removed-test.held || len(p.Held) != test.held {
				t.Fatalf("%d removed, %d held, want %d held:\n%s", got, len(p.Held), test.held, p)
			}
			opts.Memory.Approved = p.ID()
			if got := plan.Make(stacks[test.removed:], there, opts).Count(kargo.Remove, ""); got != test.removed {
				t.Errorf("%d removed once approved, want %d", got, test.removed)
			}
			opts.Memory.Approved = "another plan"
			if got := plan.Make(stacks[test.removed:], there, opts); got.String() != p.String() {
				t.Errorf("an approval of another plan made a difference:\n%s", got)
			}
		})
	}
	t.Run("says so", func(t *testing.T) {
		_, there := many(3)
		check(t, plan.Make(nil, there, options()),
			"hold stack s00: its removal waits for approval: no stack that runs would be left\n"+
				"hold stack s01: its removal waits for approval: no stack that runs would be left\n"+
				"hold stack s02: its removal waits for approval: no stack that runs would be left\n")
	})
}

func TestAnUnrelatedUpdateKeepsWhatRuns(t *testing.T) {
	running := live("web", "kargo-web_a", "app:1")
	running.Spec.TaskTemplate.ForceUpdate = 3
	running.Spec.TaskTemplate.Placement = &swarm.Placement{Platforms: []swarm.Platform{{Architecture: "amd64"}}}
	desired := service("kargo-web_a", "app:1", env("A=2"))

	change := plan.Make([]kargo.Stack{stack("web", desired)}, cluster(running), options()).Changes[0]
	sent := change.Service.TaskTemplate
	if sent.ContainerSpec.Image != "app:1@sha256:pinned" || change.Unresolved != "" {
		t.Errorf("image %s, to ask for %q: an unrelated update must not roll out another build", sent.ContainerSpec.Image, change.Unresolved)
	}
	if sent.ForceUpdate != 3 {
		t.Errorf("ForceUpdate %d: its change would restart tasks", sent.ForceUpdate)
	}
	if len(sent.Placement.Platforms) != 1 {
		t.Error("platforms were lost")
	}
	if desired.Spec.TaskTemplate.ContainerSpec.Image != "app:1" {
		t.Error("the desired spec was changed")
	}
	if change.Service.Labels[kargo.LabelRevision] != "new" {
		t.Error("the service does not carry the revision that changes it")
	}
}

// TestPortsOfTheLongSyntax: there a compose file may leave out what the short
// one implies, and the daemon fills it in.
func TestPortsOfTheLongSyntax(t *testing.T) {
	sent := func(s *swarm.ServiceSpec) {
		s.EndpointSpec = &swarm.EndpointSpec{Ports: []swarm.PortConfig{{PublishedPort: 80, TargetPort: 8080}}}
	}
	kept := func(s *swarm.ServiceSpec) {
		s.EndpointSpec = &swarm.EndpointSpec{Mode: "vip", Ports: []swarm.PortConfig{
			{Protocol: "tcp", PublishMode: "ingress", PublishedPort: 80, TargetPort: 8080},
		}}
	}
	desired := []kargo.Stack{stack("web", service("kargo-web_app", "app:1", sent)), stack("keep", service("kargo-keep_app", "app:1"))}
	keep := live("keep", "kargo-keep_app", "app:1")
	check(t, plan.Make(desired, cluster(keep, live("web", "kargo-web_app", "app:1", kept)), options()), "nothing to do\n")

	udp := func(s *swarm.ServiceSpec) { kept(s); s.EndpointSpec.Ports[0].Protocol = "udp" }
	if plan.Make(desired, cluster(keep, live("web", "kargo-web_app", "app:1", udp)), options()).Empty() {
		t.Error("another protocol is no change")
	}
	// The service with the port is removed before the one that wants it is created.
	check(t, plan.Make(desired, cluster(keep, live("old", "kargo-old_app", "app:1", kept)), options()), `
remove service kargo-old_app: no longer in the workspace
create service kargo-web_app: new
`[1:])
}

func TestListOrderDoesNotMatter(t *testing.T) {
	desired := []kargo.Stack{stack("web", service("kargo-web_a", "app:2"), service("kargo-web_b", "app:1"))}
	there := cluster(live("web", "kargo-web_a", "app:1"), live("web", "kargo-web_c", "app:1"), live("web", "kargo-web_d", "app:1"))
	there.Configs = []kargo.LiveConfig{{Name: "x", Labels: owned("web")}, {Name: "a", Labels: owned("web")}, {Name: "a", Secret: true, Labels: owned("web")}}
	want := plan.Make(desired, there, options()).String()
	slices.Reverse(there.Services)
	slices.Reverse(there.Configs)
	check(t, plan.Make(desired, there, options()), want)
	if !strings.Contains(want, "hold secret a") {
		t.Errorf("the case has lost its point:\n%s", want)
	}
}
