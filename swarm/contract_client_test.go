package swarm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm"
)

// observe looks, and keeps what belongs to the case.
func (b *bed) observe(t *testing.T) kargo.Cluster {
	t.Helper()
	cluster, err := b.client.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cluster.Services = slices.DeleteFunc(cluster.Services, func(s kargo.LiveService) bool { return !strings.HasPrefix(s.Name, b.prefix) })
	cluster.Networks = slices.DeleteFunc(cluster.Networks, func(n kargo.LiveNetwork) bool { return !strings.HasPrefix(n.Name, b.prefix) })
	cluster.Configs = slices.DeleteFunc(cluster.Configs, func(c kargo.LiveConfig) bool { return !strings.HasPrefix(c.Name, b.prefix) })
	return cluster
}

// service is the one service of the case, as the light look sees it.
func (b *bed) service(t *testing.T) kargo.LiveService {
	t.Helper()
	services, err := b.client.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	services = slices.DeleteFunc(services, func(s kargo.LiveService) bool { return !strings.HasPrefix(s.Name, b.prefix) })
	if len(services) != 1 {
		t.Fatalf("there are %d services", len(services))
	}
	return services[0]
}

// apply carries out changes and returns the outcome of each, a line each, then
// the error's fault.
func (b *bed) apply(t *testing.T, changes ...kargo.Change) string {
	t.Helper()
	var lines []string
	err := b.client.Apply(t.Context(), kargo.Plan{Changes: changes}, nil, func(change kargo.Change, err error) {
		outcome := "ok"
		if err != nil {
			outcome = kargo.FaultOf(err).String() + ": " + err.Error()
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", change.Action, change.Kind, strings.TrimPrefix(change.Name, b.prefix))+": "+outcome)
	})
	if err != nil {
		lines = append(lines, "= "+kargo.FaultOf(err).String())
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), b.prefix, "")
}

func (b *bed) network(name string) kargo.Change {
	return kargo.Change{Action: kargo.Create, Kind: kargo.KindNetwork, Stack: "s", Name: b.name(name), Network: &kargo.Network{
		Name: b.name(name), Attachable: true, Internal: true, Labels: owned(),
	}}
}

// owned are the labels of what Kargo makes for stack s.
func owned() map[string]string {
	return map[string]string{kargo.LabelInstance: "test", kargo.LabelStack: "s"}
}

func (b *bed) config(name string, secret bool) kargo.Change {
	config := &kargo.Config{Name: b.name(name), Data: []byte("content of " + name), Secret: secret, Labels: owned()}
	return kargo.Change{Action: kargo.Create, Kind: config.Kind(), Stack: "s", Name: config.Name, Config: config}
}

func serviceChange(spec dockerswarm.ServiceSpec) kargo.Change {
	return kargo.Change{Action: kargo.Create, Kind: kargo.KindService, Stack: "s", Name: spec.Name, Service: &spec}
}

func updateOf(live kargo.LiveService, edit func(*dockerswarm.ServiceSpec)) kargo.Change {
	spec := live.Spec
	container := *spec.TaskTemplate.ContainerSpec
	spec.TaskTemplate.ContainerSpec = &container
	edit(&spec)
	change := serviceChange(spec)
	change.Action, change.ID, change.Version = kargo.Update, live.ID, live.Version
	return change
}

func removal(kind kargo.Kind, id, name string) kargo.Change {
	return kargo.Change{Action: kargo.Remove, Kind: kind, Stack: "s", Name: name, ID: id}
}

// everything is a service with a network, a config and a secret, by name.
func (b *bed) everything() []kargo.Change {
	spec := b.spec("one")
	spec.Labels = map[string]string{kargo.LabelImage: b.image}
	spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: b.name("net"), Aliases: []string{"one"}}}
	spec.TaskTemplate.ContainerSpec.Configs = []*dockerswarm.ConfigReference{configFile("", b.name("config"), "/config")}
	spec.TaskTemplate.ContainerSpec.Secrets = []*dockerswarm.SecretReference{secretFile("", b.name("secret"), "secret")}
	return []kargo.Change{b.network("net"), b.config("config", false), b.config("secret", true), serviceChange(spec)}
}

func text(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// clientContracts are what this package promises, on top of the facts.
var clientContracts = []contract{
	{"a plan is carried out and seen again in names", func(t *testing.T, b *bed) {
		changes := b.everything()
		sent := text(t, changes[3].Service)
		same(t, "apply", b.apply(t, changes...),
			"create network net: ok\ncreate config config: ok\ncreate secret secret: ok\ncreate service one: ok")
		same(t, "plan afterwards", text(t, changes[3].Service), sent)
		b.running(t, "one", 1)
		cluster := b.observe(t)
		live := cluster.Services[0]
		same(t, "networks of the spec", text(t, live.Spec.TaskTemplate.Networks), text(t, changes[3].Service.TaskTemplate.Networks))
		same(t, "configs of the spec", text(t, live.Spec.TaskTemplate.ContainerSpec.Configs), text(t, changes[3].Service.TaskTemplate.ContainerSpec.Configs))
		same(t, "secrets of the spec", text(t, live.Spec.TaskTemplate.ContainerSpec.Secrets), text(t, changes[3].Service.TaskTemplate.ContainerSpec.Secrets))
		same(t, "image", live.Spec.TaskTemplate.ContainerSpec.Image+" "+live.Image, b.image+" "+b.image)
		same(t, "counts", fmt.Sprint(live.Running, live.Desired, live.Completed), "1 1 0")
		net := cluster.Networks[0]
		same(t, "network", fmt.Sprint(net.Name, net.Driver, net.Attachable, net.Internal, net.Ingress, net.Labels),
			fmt.Sprint(b.name("net"), "overlay", true, true, false, owned()))
		same(t, "configs", fmt.Sprint(cluster.Configs[0].Name, cluster.Configs[0].Secret, cluster.Configs[0].Labels,
			cluster.Configs[1].Name, cluster.Configs[1].Secret), fmt.Sprint(b.name("config"), false, owned(), b.name("secret"), true))
	}},
	{"an update keeps the spec before in names too", func(t *testing.T, b *bed) {
		b.apply(t, b.everything()...)
		b.running(t, "one", 1)
		live := b.service(t)
		same(t, "apply", b.apply(t, updateOf(live, func(s *dockerswarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Env = []string{"A=1"}
			s.TaskTemplate.Networks = nil
		})), "update service one: ok")
		b.updated(t, "one", dockerswarm.UpdateStateCompleted)
		live = b.service(t)
		same(t, "env", fmt.Sprint(live.Spec.TaskTemplate.ContainerSpec.Env), "[A=1]")
		same(t, "previous network", live.Previous.TaskTemplate.Networks[0].Target, b.name("net"))
		same(t, "previous config", text(t, live.Previous.TaskTemplate.ContainerSpec.Configs[0].ConfigID), `""`)
		same(t, "update", string(live.Update.State), "completed")
	}},
	{"a network without its subnet is not allocated", func(t *testing.T, b *bed) {
		wide, inside := b.network("wide"), b.network("inside")
		wide.Network.IPAM = &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: "10.177.0.0/16"}}}
		inside.Network.IPAM = &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: "10.177.4.0/24"}}}
		same(t, "apply", b.apply(t, wide), "create network wide: ok")
		of := func(name string) string {
			name = b.name(name)
			networks := b.observe(t).Networks
			i := slices.IndexFunc(networks, func(n kargo.LiveNetwork) bool { return n.Name == name })
			return fmt.Sprintf("driver %q, subnets %v, local %t", networks[i].Driver, networks[i].Subnets, networks[i].Local)
		}
		b.until(t, "the network is allocated", func() bool { return of("wide") == `driver "overlay", subnets [10.177.0.0/16], local false` })
		same(t, "apply", b.apply(t, inside), "create network inside: ok")
		same(t, "the one inside", of("inside"), `driver "", subnets [], local false`)
	}},
	{"a container knows the service that it is a task of", func(t *testing.T, b *bed) {
		b.apply(t, serviceChange(b.spec("one")))
		b.running(t, "one", 1)
		task := b.tasks(t, b.name("one"))[0]
		for container, want := range map[string]string{task.Status.ContainerStatus.ContainerID: b.name("one"), "0123": ""} {
			if got, err := b.client.ServiceOf(t.Context(), container); got != want || err != nil {
				t.Errorf("container %s is of service %q, want %q (%v)", container, got, want, err)
			}
		}
	}},
	{"a task is outdated until it is replaced", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		b.apply(t, serviceChange(spec))
		b.running(t, "one", 1)
		outdated := func() string {
			tasks, err := b.client.Tasks(t.Context(), b.name("one"))
			if err == nil {
				err = b.client.MarkOutdated(t.Context(), tasks, b.name("one"))
			}
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, task := range tasks {
				all = append(all, fmt.Sprintf("%s outdated %t", task.Desired, task.Outdated))
			}
			return strings.Join(all, ", ")
		}
		same(t, "before", outdated(), "running outdated false")
		b.apply(t, updateOf(b.service(t), func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = []string{"A=1"} }))
		b.updated(t, "one", dockerswarm.UpdateStateCompleted)
		if got := outdated(); strings.Contains(got, "running outdated true") {
			t.Errorf("the update is called completed, and %s", got)
		}
		b.until(t, "the task is replaced", func() bool { return outdated() == "running outdated false, shutdown outdated true" })
		b.apply(t, updateOf(b.service(t), func(s *dockerswarm.ServiceSpec) {
			s.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"node.role == manager"}}
		}))
		same(t, "with constraints that the node meets", outdated(), "running outdated false, shutdown outdated true")
	}},
	{"only the tasks of named services are marked", func(t *testing.T, b *bed) {
		b.apply(t, serviceChange(b.spec("one")))
		b.running(t, "one", 1)
		tasks := []kargo.Task{{ID: "a", Service: b.name("one")}, {ID: "b", Service: b.name("two")}}
		if err := b.client.MarkOutdated(t.Context(), tasks, b.name("one")); err != nil {
			t.Fatal(err)
		}
		same(t, "outdated", fmt.Sprint(tasks[0].Outdated, tasks[1].Outdated), "true false")
	}},
	{"services are read by name", func(t *testing.T, b *bed) {
		b.apply(t, serviceChange(b.spec("one")), serviceChange(b.spec("one-more")), serviceChange(b.spec("two")))
		b.running(t, "one", 1)
		named := func(client *swarm.Client, names ...string) string {
			for i := range names {
				names[i] = b.name(names[i])
			}
			services, err := client.Services(t.Context(), names...)
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, service := range services {
				found = append(found, fmt.Sprintf("%s %t", strings.TrimPrefix(service.Name, b.prefix), service.Running > 0))
			}
			return strings.Join(found, ", ")
		}
		same(t, "one that was created", named(b.client, "one"), "one true")
		same(t, "not known", named(b.client, "one", "three"), "one true")
		same(t, "by another client", named(swarm.New(b.api), "one"), "one true")
		b.apply(t, removal(kargo.KindService, b.inspect(t, "one").ID, b.name("one")))
		same(t, "removed", named(b.client, "one"), "")
	}},
	{"services that were read need not be read again", func(t *testing.T, b *bed) {
		b.apply(t, b.everything()...)
		b.running(t, "one", 1)
		services, err := b.client.Services(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		completed, err := b.client.Complete(t.Context(), services)
		if err != nil {
			t.Fatal(err)
		}
		mine := func(name string) bool { return strings.HasPrefix(name, b.prefix) }
		var names []string
		for _, service := range completed.Services {
			names = append(names, service.Name)
		}
		for _, network := range completed.Networks {
			names = append(names, network.Name)
		}
		for _, config := range completed.Configs {
			names = append(names, config.Name)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !mine(name) })
		same(t, "objects", strings.ReplaceAll(strings.Join(names, " "), b.prefix, ""), "one net config secret")
	}},
	{"a service goes first, its tasks and the rest later", func(t *testing.T, b *bed) {
		b.apply(t, b.everything()...)
		b.running(t, "one", 1)
		before := b.observe(t)
		same(t, "apply", b.apply(t,
			removal(kargo.KindConfig, before.Configs[0].ID, before.Configs[0].Name),
			removal(kargo.KindSecret, before.Configs[1].ID, before.Configs[1].Name),
			removal(kargo.KindService, before.Services[0].ID, before.Services[0].Name),
		), "remove config config: conflict: remove config config: config 'config' is in use by the following service: one\n"+
			"remove secret secret: conflict: remove secret secret: secret 'secret' is in use by the following service: one\n"+
			"remove service one: ok\n= conflict")
		after := b.observe(t)
		same(t, "network", fmt.Sprint(len(after.Networks), after.TasksKnown), "1 true")
		holding := slices.IndexFunc(after.Tasks, func(task kargo.Task) bool { return slices.Contains(task.Networks, b.name("net")) })
		if holding < 0 {
			t.Fatalf("no task holds the network: %+v", after.Tasks)
		}
		same(t, "task", after.Tasks[holding].Service+" "+after.Tasks[holding].State, before.Services[0].ID+" running")
		b.until(t, "no task holds the network", func() bool {
			return !slices.ContainsFunc(b.observe(t).Tasks, func(task kargo.Task) bool { return slices.Contains(task.Networks, b.name("net")) })
		})
		same(t, "apply", b.apply(t,
			removal(kargo.KindNetwork, after.Networks[0].ID, after.Networks[0].Name),
			removal(kargo.KindConfig, before.Configs[0].ID, before.Configs[0].Name),
			removal(kargo.KindSecret, before.Configs[1].ID, before.Configs[1].Name),
			removal(kargo.KindSecret, before.Configs[1].ID, before.Configs[1].Name),
			removal(kargo.KindService, before.Services[0].ID, before.Services[0].Name),
		), "remove network net: ok\nremove config config: ok\nremove secret secret: ok\nremove secret secret: ok\nremove service one: ok")
		end := b.observe(t)
		same(t, "left", fmt.Sprint(len(end.Services), len(end.Networks), len(end.Configs)), "0 0 0")
	}},
	{"Swarm has changed since the plan", func(t *testing.T, b *bed) {
		b.apply(t, b.everything()...)
		live := b.service(t)
		live.Version--
		other := b.spec("other")
		otherStack := serviceChange(other)
		otherStack.Stack = "other"
		same(t, "apply", b.apply(t,
			updateOf(live, func(s *dockerswarm.ServiceSpec) { s.Labels = nil }),
			b.config("config-of-the-same-stack", false), otherStack,
		), "update service one: conflict: update service one: update out of sequence\ncreate service other: ok\n= conflict")
		exists := b.everything()
		for i := range exists {
			exists[i].Stack = fmt.Sprint(i)
		}
		same(t, "apply", b.apply(t, exists...), ""+
			"create network net: conflict: create network net: network with name net already exists\n"+
			"create config config: conflict: create config config: config config already exists\n"+
			"create secret secret: conflict: create secret secret: secret secret already exists\n"+
			"create service one: conflict: create service one: name conflicts with an existing object: service one already exists\n"+
			"= conflict")
	}},
	{"a removed network is gone, although its node may keep a copy for a while", func(t *testing.T, b *bed) {
		id := b.createNetwork(t, "net")
		spec := b.spec("svc")
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: id}}
		service := b.create(t, spec)
		b.running(t, "svc", 1)
		if err := b.api.ServiceRemove(t.Context(), service); err != nil {
			t.Fatal(err)
		}
		remove := kargo.Change{Action: kargo.Remove, Kind: kargo.KindNetwork, Name: b.name("net"), ID: id}
		b.until(t, "the network can be removed", func() bool { return b.apply(t, remove) == "remove network net: ok" })
		for range 3 {
			if networks := b.observe(t).Networks; len(networks) > 0 {
				t.Errorf("networks are %v", networks)
			}
			same(t, "another removal", b.apply(t, remove), "remove network net: ok")
		}
	}},
	{"an object that a spec names does not exist any more", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: b.name("net")}}
		same(t, "network", b.apply(t, serviceChange(spec)),
			"create service one: conflict: create service one: network net not found\n= conflict")
		spec = b.spec("one")
		spec.TaskTemplate.ContainerSpec.Configs = []*dockerswarm.ConfigReference{configFile("", b.name("config"), "/config")}
		same(t, "config", b.apply(t, serviceChange(spec)),
			"create service one: conflict: create service one: look up config config: config config not found\n= conflict")
		// One that was created again has another id than the client knows.
		b.apply(t, b.config("config", false))
		if err := b.api.ConfigRemove(t.Context(), b.name("config")); err != nil {
			t.Fatal(err)
		}
		b.createConfig(t, "config", "anew")
		same(t, "old id", b.apply(t, serviceChange(spec)),
			"create service one: conflict: create service one: config not found: config\n= conflict")
		same(t, "new id", b.apply(t, serviceChange(spec)), "create service one: ok")
	}},
	{"the workspace is wrong", func(t *testing.T, b *bed) {
		bad, shared := b.spec("bad"), b.network("shared")
		bad.TaskTemplate.Resources = &dockerswarm.ResourceRequirements{Limits: &dockerswarm.Limit{MemoryBytes: 5}}
		shared.Stack, shared.Name, shared.Network.Name = "", b.name("not/a/name"), b.name("not/a/name")
		constrained := b.spec("constrained")
		constrained.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"anywhere"}}
		elsewhere := serviceChange(constrained)
		elsewhere.Stack = "elsewhere"
		same(t, "apply", b.apply(t, shared, serviceChange(bad), b.config("later", false), elsewhere), ""+
			"create network not/a/name: invalid: create network not/a/name: name must be valid as a DNS name component\n"+
			"create service bad: invalid: create service bad: invalid memory value 5: Must be at least 4MiB\n"+
			"create service constrained: invalid: create service constrained: constraint expected one operator from ==, !=\n= invalid")
	}},
	{"looking costs few calls", func(t *testing.T, b *bed) {
		b.apply(t, b.everything()...)
		b.running(t, "one", 1)
		b.observe(t)
		count := func(look func()) string {
			before := b.client.Calls()
			look()
			var made []string
			for operation, calls := range b.client.Calls() {
				// On a shared engine the services of other cases may be short
				// of tasks, or have networks made since the last look.
				others := b.engine == nil && (operation == "TaskList" || operation == "NetworkInspect")
				if calls > before[operation] && !others {
					made = append(made, fmt.Sprint(operation, " ", calls-before[operation]))
				}
			}
			slices.Sort(made)
			return strings.Join(made, ", ")
		}
		same(t, "light", count(func() { b.service(t) }), "ServiceList 1")
		same(t, "full", count(func() { b.observe(t) }), "ConfigList 1, NetworkList 1, SecretList 1, ServiceList 1")
	}},
	{"what a stack left behind has all tasks read", func(t *testing.T, b *bed) {
		b.apply(t, b.config("config", false))
		same(t, "known", fmt.Sprint(b.observe(t).TasksKnown), "true")
	}},
	{"tasks say why a service is short of them", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.TaskTemplate.ContainerSpec.Image = "kargo/missing:1"
		b.apply(t, serviceChange(spec))
		says := func(task kargo.Task) bool { return task.Service == b.name("one") && task.Err != "" }
		b.until(t, "a look shows a task that says why it does not start", func() bool {
			return slices.ContainsFunc(b.observe(t).Tasks, says)
		})
		words, err := b.client.Tasks(t.Context(), b.name("one"))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(words, says)
		if i < 0 {
			t.Fatalf("no task says why: %+v", words)
		}
		// From engine 29 on the task goes on trying, and says what the registry says.
		if task := words[i]; task.State != "preparing" || !strings.Contains(task.Err, "kargo/missing:1") && !strings.Contains(task.Err, "registry-1.docker.io") {
			same(t, "words", task.State+": "+task.Err, "rejected: No such image: kargo/missing:1")
		}
	}},
	{"a network that somebody's container uses is not removed, and the container is named", func(t *testing.T, b *bed) {
		b.apply(t, b.network("net"))
		b.attach(t, "net", "holder")
		i := slices.IndexFunc(b.observe(t).Networks, func(n kargo.LiveNetwork) bool { return n.Name == b.name("net") })
		remove := kargo.RemoveNetwork("s", b.observe(t).Networks[i], "no longer used")
		same(t, "in use", b.apply(t, remove), "remove network net: conflict: remove network net: network net is in use by container holder\n= conflict")
		b.detach(t, "net", "holder")
		b.until(t, "it can be removed", func() bool { return b.apply(t, remove) == "remove network net: ok" })
	}},
	{"the watch reports changes until it ends", func(t *testing.T, b *bed) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stirred, ended := make(chan string, 100), make(chan error)
		go func() {
			ended <- b.client.Watch(ctx, func(event kargo.Event) {
				if what := event.String(); strings.Contains(what, b.prefix) {
					stirred <- strings.ReplaceAll(what, b.prefix, "")
				}
			})
		}()
		b.listening(t, stirred)
		want := []string{"config create config", "secret create secret", "network create net", "service create one", "service remove one"}
		b.apply(t, b.everything()...)
		if err := b.api.ServiceRemove(t.Context(), b.name("one")); err != nil {
			t.Fatal(err)
		}
		for len(want) > 0 {
			select {
			case what := <-stirred:
				want = slices.DeleteFunc(want, func(w string) bool { return w == what })
			case <-time.After(time.Minute):
				t.Fatalf("not reported: %q", want)
			}
		}
		cancel()
		err := <-ended
		same(t, "end", kargo.FaultOf(err).String()+": "+err.Error(), "unavailable: watch swarm events: context canceled")
	}},
}

// listening waits until the watch has begun: it hears a config that is made
// and removed until then.
func (b *bed) listening(t *testing.T, stirred <-chan string) {
	t.Helper()
	for range 100 {
		id := b.createConfig(t, "probe", "a")
		if err := b.api.ConfigRemove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		select {
		case <-stirred:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("the watch does not hear a thing")
}
