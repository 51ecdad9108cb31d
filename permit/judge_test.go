package permit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/permit"
	"kargo/render/swarmcheck"
)

// web is a stack with one service, as it was rendered.
func web(change func(*swarm.ServiceSpec)) kargo.Stack {
	spec := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "kargo-web_app", Labels: map[string]string{kargo.LabelNamespace: "kargo-web"}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: "app:1", Env: []string{"A=1"}},
			Networks:      []swarm.NetworkAttachmentConfig{{Target: "kargo-back", Aliases: []string{"app"}}},
		},
	}
	if change != nil {
		change(&spec)
	}
	return kargo.Stack{
		Name: "web", Services: []kargo.Service{{Name: "kargo-web_app", Spec: spec}},
		Networks: []kargo.Network{{Name: "kargo-back", Shared: true, Driver: "overlay"}},
	}
}

func socketMount(s *swarm.ServiceSpec) {
	s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: "/var/run/docker.sock", Target: "/s", ReadOnly: true}}
}

// sent is a copy of the stack's service as an update sends it.
func sent(stack kargo.Stack, change func(*swarm.ServiceSpec)) kargo.Change {
	spec := stack.Services[0].Spec
	container := *spec.TaskTemplate.ContainerSpec
	spec.TaskTemplate.ContainerSpec = &container
	spec.TaskTemplate.Networks = slices.Clone(spec.TaskTemplate.Networks)
	if change != nil {
		change(&spec)
	}
	return kargo.UpdateService(stack.Name, kargo.LiveService{ID: "x", Name: spec.Name, Version: 1}, spec, "")
}

var back = kargo.LiveNetwork{ID: "n1", Name: "kargo-back", Driver: "overlay", Labels: map[string]string{kargo.LabelInstance: "mine"}}

func refusals(t *testing.T, rules string, live kargo.Cluster, stack kargo.Stack, change kargo.Change) string {
	t.Helper()
	judge := permit.NewJudge(policy(t, permit.Restricted, rules), permit.Input{
		Instance: "mine", Stacks: []kargo.Stack{stack}, Root: "/srv/.kargo", Files: slices.Values([]string{"configs/app/app.conf"}),
		Shared: []permit.SharedNetwork{{Role: "back", Variable: "DOCKER_BACK_NETWORK", Name: "kargo-back"}},
	}, live)
	return strings.Join(judge.Refuses(stack, change), "\n")
}

// What is judged is what is sent, whatever was rendered.
func TestS41_WhatIsSentIsJudged(t *testing.T) {
	live := kargo.Cluster{Networks: []kargo.LiveNetwork{back}}
	bind := func(source string, readOnly bool) func(*swarm.ServiceSpec) {
		return func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: source, Target: "/x", ReadOnly: readOnly}}
		}
	}
	volume := func(options map[string]string) func(*swarm.ServiceSpec) {
		return func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "kargo-web_x", Target: "/x",
				VolumeOptions: &mount.VolumeOptions{DriverConfig: &mount.Driver{Name: "local", Options: options}}}}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*swarm.ServiceSpec)
		want   string // part of the reason; "" where nothing is refused
	}{
		{"as it was rendered", nil, ""},
		{"the live mount of the socket, left to others", socketMount, "which rule docker-socket of policy restricted"},
		{"a file of the rendering, read-only", bind("/srv/.kargo/configs/app/app.conf", true), ""},
		{"a folder of the rendering, read-only", bind("/srv/.kargo/configs/app", true), ""},
		{"a file of the rendering, writable", bind("/srv/.kargo/configs/app/app.conf", false), "rule bind-mounts"},
		{"what a container made among the files", bind("/srv/.kargo/configs/app/link", true), "rule bind-mounts"},
		{"the root of the rendering", bind("/srv/.kargo", true), "rule bind-mounts"},
		{"a template that spells bind", volume(map[string]string{"type": "tmpfs", "device": "/", "o": `{{print "bi" "nd"}}`}), "rule docker-socket"},
		{"a template in the type", volume(map[string]string{"type": `{{"none"}}`, "device": "/", "o": "size=1m"}), "rule docker-socket"},
		{"a tmpfs of a small size", volume(map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=64m,uid=1000"}), ""},
		{"a tmpfs with a flag that nobody decided on", volume(map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=64m,remount"}), "rule volume-options"},
		{"a file system from the network", volume(map[string]string{"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1"}), "rule volume-drivers"},
		{"layers that are paths of the node", volume(map[string]string{"type": "overlay", "device": "overlay", "o": "lowerdir=/etc,upperdir=/x,workdir=/y"}), "rule bind-mounts"},
		{"a name for others on a shared network", func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Networks[0].Aliases = []string{"app", "kargo-dbs_mongodb"}
		}, `answers to the name "kargo-dbs_mongodb"`},
		{"a hostname that is a name for others", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Hostname = "kargo-dbs_mongodb" }, `answers to its hostname "kargo-dbs_mongodb"`},
		{"a hostname that can become one", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Hostname = "db{{.Task.Slot}}" }, "rule aliases"},
		{"a hostname that is its own name", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Hostname = "{{.Service.Name}}-{{.Task.Slot}}" }, ""},
		{"a network where old clients put it", func(s *swarm.ServiceSpec) {
			s.Networks = []swarm.NetworkAttachmentConfig{{Target: "ops"}} //nolint:staticcheck // the field is what is tested
		}, "rule external-networks"},
		{"a log that is a socket of the node", func(s *swarm.ServiceSpec) {
			s.TaskTemplate.LogDriver = &swarm.Driver{Name: "json-file", Options: map[string]string{"syslog-address": "unix:///run/docker.sock"}}
		}, "rule log-options"},
		{"a file system in memory that is large in the end", volume(map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m,size=1t"}), "rule memory-mounts"},
		{"a rule of Traefik for all hosts", func(s *swarm.ServiceSpec) {
			s.Labels = map[string]string{kargo.LabelNamespace: "kargo-web", "traefik.http.routers.x.rule": "PathPrefix(`/`)"}
		}, "claims requests to any host name, which rule hosts"},
		{"a label that another instance takes for its job", func(s *swarm.ServiceSpec) {
			s.Labels = map[string]string{kargo.LabelNamespace: "kargo-web", kargo.LabelJob: "other"}
		}, "has the label kargo.job"},
		{"a log that the daemon keeps in its memory", func(s *swarm.ServiceSpec) {
			s.TaskTemplate.LogDriver = &swarm.Driver{Name: "json-file", Options: map[string]string{"mode": "non-blocking", "max-buffer-size": "65m"}}
		}, "logs with the option max-buffer-size=65m, which rule log-options"},
		{"a log with a usual buffer", func(s *swarm.ServiceSpec) {
			s.TaskTemplate.LogDriver = &swarm.Driver{Name: "json-file", Options: map[string]string{"mode": "non-blocking", "max-buffer-size": "4m"}}
		}, ""},
		{"a hostname that can be anything", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Hostname = `{{index .Node.Hostname 1}}` }, "rule templates"},
		{"the node's name", func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Hostname = `{{.Node.Hostname}}` }, ""},
	} {
		stack := web(nil)
		got := refusals(t, "", live, stack, sent(stack, test.change))
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// What the catalogue was granted holds for its own program and its own input.
func TestS41_WhatTheCatalogueWasGrantedHoldsForItsProgramOnly(t *testing.T) {
	stack := web(socketMount)
	stack.Services[0].Granted = []string{
		"docker-socket /var/run/docker.sock mounts /var/run/docker.sock, which gives access to Docker itself",
		"bind-mounts /var/run/docker.sock mounts the node's /var/run/docker.sock",
	}
	live := kargo.Cluster{Networks: []kargo.LiveNetwork{back}}
	for name, test := range map[string]struct {
		change  func(*swarm.ServiceSpec)
		refused bool
	}{
		"the same": {nil, false},
		"with a digest": {func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Image = "app:1@sha256:" + strings.Repeat("a", 64)
		}, false},
		"scaled": {func(s *swarm.ServiceSpec) {
			two := uint64(2)
			s.Mode.Replicated = &swarm.ReplicatedService{Replicas: &two}
		}, false},
		"another image":       {func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "evil:1" }, true},
		"another tag":         {func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "app:2" }, true},
		"another command":     {func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Args = []string{"sh"} }, true},
		"another environment": {func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = []string{"A=2"} }, true},
		"writable":            {func(s *swarm.ServiceSpec) { socketMount(s); s.TaskTemplate.ContainerSpec.Mounts[0].ReadOnly = false }, true},
		"with more than was granted": {func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Sysctls = map[string]string{"net.core.somaxconn": "1024"}
		}, true},
		"with another health check": {func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "sh"}}
		}, true},
	} {
		got := refusals(t, "", live, stack, sent(stack, test.change))
		if (got != "") != test.refused {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Other people's things are told by the live cluster.
func TestS42_OthersAreToldByTheLiveCluster(t *testing.T) {
	others := func(name, namespace string, aliases ...string) kargo.LiveService {
		return kargo.LiveService{ID: name, Name: name, Spec: swarm.ServiceSpec{
			Annotations:  swarm.Annotations{Name: name, Labels: map[string]string{kargo.LabelInstance: "other", kargo.LabelNamespace: namespace}},
			TaskTemplate: swarm.TaskSpec{Networks: []swarm.NetworkAttachmentConfig{{Target: "kargo-back", Aliases: aliases}}},
		}}
	}
	foreignBack := back
	foreignBack.Labels = map[string]string{kargo.LabelInstance: "other"}
	for _, test := range []struct {
		name, rules string
		live        kargo.Cluster
		change      func(*swarm.ServiceSpec)
		want        string
	}{
		{"a name that a live service answers to", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Services: []kargo.LiveService{others("kargo-dbs_app", "kargo-dbs", "app")},
		}, nil, `answers to the name "app" on kargo-back, as kargo-dbs_app already does`},
		{"a name that differs from a live one only by the case of its letters", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Services: []kargo.LiveService{others("kargo-dbs_APP", "kargo-dbs", "APP")},
		}, nil, `answers to the name "app" on kargo-back, as kargo-dbs_APP already does`},
		{"the own name, which is the hostname of a live service", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Services: []kargo.LiveService{hostnamed(others("kargo-dbs_db", "kargo-dbs"), "App")},
		}, nil, `answers to the name "app" on kargo-back, as kargo-dbs_db already does`},
		{"a stack that lies in the namespace of somebody else", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Services: []kargo.LiveService{others("kargo_web", "kargo-web_app")},
		}, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "kargo-web_app_data", Target: "/x"}}
		}, "uses the name kargo-web_app_data, which"},
		{"a stack whose name differs from another one only by case", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Services: []kargo.LiveService{others("Kargo-Web_x", "Kargo-Web")},
		}, nil, "uses the name kargo-web_app, which lies in the namespace Kargo-Web of somebody else"},
		{"a volume that a name becomes on a node", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Volumes: []kargo.LiveVolume{{Name: "kargo-web_data-node1"}},
		}, mounts("kargo-web_data-{{.Node.Hostname}}"), "mounts the volume kargo-web_data-node1"},
		{"a network of another instance", "", kargo.Cluster{Networks: []kargo.LiveNetwork{foreignBack}}, nil,
			"joins the network kargo-back, which was not made by this instance"},
		{"a network of another instance that the operator names", "shared-networks=back:kargo-back",
			kargo.Cluster{Networks: []kargo.LiveNetwork{foreignBack}}, nil, ""},
		{"a volume in the namespace of another's stack", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Services: []kargo.LiveService{others("kargo-web_b_app", "kargo-web_b")},
		}, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: "kargo-web_b_data", Target: "/x"}}
		}, "uses the name kargo-web_b_data, which has the form of another stack's"},
		{"a name of a stack that the operator does not give", "stack-names=shop-*", kargo.Cluster{Networks: []kargo.LiveNetwork{back}}, nil,
			"has the name kargo-web in Swarm, which rule stack-names"},
		{"a name of a stack that the operator gives", "stack-names=kargo-w*", kargo.Cluster{Networks: []kargo.LiveNetwork{back}}, nil, ""},
		{"a volume that somebody else made", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Volumes: []kargo.LiveVolume{{Name: "kargo-web_data"}},
		}, mounts("kargo-web_data"), "mounts the volume kargo-web_data, which exists on the manager and was not made by this instance"},
		{"a volume that another instance made", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Volumes: []kargo.LiveVolume{{Name: "kargo-web_data", Labels: map[string]string{kargo.LabelInstance: "other"}}},
		}, mounts("kargo-web_data"), "rule external-volumes"},
		{"a volume that somebody else made and the operator names", "external-volumes=kargo-web_data", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Volumes: []kargo.LiveVolume{{Name: "kargo-web_data"}},
		}, mounts("kargo-web_data"), ""},
		{"a config of another stack with the same content", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Configs: []kargo.LiveConfig{{Name: "kargo-dbs_c", Labels: map[string]string{kargo.LabelNamespace: "kargo-dbs"}}},
		}, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Configs = []*swarm.ConfigReference{{ConfigName: "kargo-dbs_c", File: &swarm.ConfigReferenceFileTarget{Name: "/c"}}}
		}, "uses the external config kargo-dbs_c"},
		{"a config that the stack had before Kargo", "", kargo.Cluster{
			Networks: []kargo.LiveNetwork{back}, Configs: []kargo.LiveConfig{{Name: "kargo-web_c", Labels: map[string]string{kargo.LabelNamespace: "kargo-web"}}},
		}, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Configs = []*swarm.ConfigReference{{ConfigName: "kargo-web_c", File: &swarm.ConfigReferenceFileTarget{Name: "/c"}}}
		}, ""},
	} {
		stack := web(nil)
		got := refusals(t, test.rules, test.live, stack, sent(stack, test.change))
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// Docker looks a name up on all networks of a container, so a name on a network that
// stacks share is also one on the networks that its services have of their own.
func TestS42_NamesOnTheNetworksBeside(t *testing.T) {
	on := func(service string, networks ...string) kargo.LiveService {
		_, short, _ := strings.Cut(service, "_")
		spec := swarm.ServiceSpec{Annotations: swarm.Annotations{Name: service, Labels: map[string]string{kargo.LabelInstance: "other", kargo.LabelNamespace: "kargo-dbs"}}}
		for _, network := range networks {
			spec.TaskTemplate.Networks = append(spec.TaskTemplate.Networks, swarm.NetworkAttachmentConfig{Target: network, Aliases: []string{short}})
		}
		return kargo.LiveService{ID: service, Name: service, Spec: spec}
	}
	join := func(network string, aliases ...string) func(*swarm.ServiceSpec) {
		return func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Networks = append(s.TaskTemplate.Networks, swarm.NetworkAttachmentConfig{Target: network, Aliases: aliases})
		}
	}
	for _, test := range []struct {
		name   string
		others []kargo.LiveService
		change func(*swarm.ServiceSpec)
		want   string
	}{
		{"theirs, on a network that leads there", []kargo.LiveService{on("kargo-dbs_api", "kargo-back", "kargo-dbs_own"), on("kargo-dbs_app", "kargo-dbs_own")}, nil,
			`answers to the name "app" on kargo-back, as kargo-dbs_app already does on kargo-dbs_own for services that are on both`},
		{"theirs, on a network that nobody here is on", []kargo.LiveService{on("kargo-dbs_api", "kargo-back"), on("kargo-dbs_app", "kargo-dbs_own")}, nil, ""},
		{"ours, to which theirs answers", []kargo.LiveService{on("kargo-dbs_redis", "kargo-back")}, join("kargo-web_own", "redis"),
			`finds kargo-dbs_redis under the name "redis" on kargo-back, and a service of the workspace under the same name on kargo-web_own`},
		{"ours alone", []kargo.LiveService{on("kargo-dbs_redis", "kargo-dbs_own")}, join("kargo-web_own", "redis"), ""},
	} {
		stack := web(test.change)
		stack.Networks = append(stack.Networks, kargo.Network{Name: "kargo-web_own", Driver: "overlay"})
		if got := refusals(t, "", kargo.Cluster{Networks: []kargo.LiveNetwork{back}, Services: test.others}, stack, sent(stack, nil)); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func hostnamed(service kargo.LiveService, hostname string) kargo.LiveService {
	service.Spec.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Hostname: hostname}
	return service
}

func mounts(volume string) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: "/data"}}
	}
}

// Networks and labels of nodes are judged, too, as they are sent.
func TestS41_NetworksAndNodesAreJudged(t *testing.T) {
	stack := web(nil)
	macvlan := kargo.CreateNetwork("web", kargo.Network{Name: "kargo-web_lan", Driver: "macvlan", Options: map[string]string{"parent": "eth0"}}, "new")
	if got := refusals(t, "", kargo.Cluster{}, stack, macvlan); !strings.Contains(got, "rule network-drivers") || !strings.Contains(got, "rule network-options") {
		t.Errorf("a network of the node's card: %q", got)
	}
	if got := refusals(t, "", kargo.Cluster{}, stack, kargo.CreateNetwork("web", kargo.Network{Name: "kargo-web_x", Driver: "overlay"}, "new")); got != "" {
		t.Errorf("an overlay: %q", got)
	}
	node := kargo.LiveNode{ID: "n", Hostname: "n", Spec: swarm.NodeSpec{Annotations: swarm.Annotations{Labels: map[string]string{"zone": "a"}}}}
	spec := swarm.NodeSpec{Annotations: swarm.Annotations{Labels: map[string]string{"zone": "b"}}}
	change := kargo.UpdateNode(node, spec, "")
	if got := refusals(t, "", kargo.Cluster{Nodes: []kargo.LiveNode{node}}, kargo.Stack{}, change); !strings.Contains(got, "rule node-labels") {
		t.Errorf("a label of a node: %q", got)
	}
}

// A template may take as many values as a person writes, and no more.
func TestS41_ATemplateTakesAFewValuesOnly(t *testing.T) {
	stack := web(nil)
	for count, refused := range map[int]bool{100: false, 1000: true} {
		config := kargo.Config{Name: "kargo-web_c", Driver: "golang", Data: []byte(strings.Repeat(`{{env "A"}}`, count))}
		if got := refusals(t, "", kargo.Cluster{}, stack, kargo.CreateConfig("web", config, "new")); strings.Contains(got, "rule templates") != refused {
			t.Errorf("%d values: %q", count, got)
		}
	}
}

// What a service claims in Traefik is compared with what the services of others have:
// routers, services and middlewares by their names, and hosts.
func TestS42_RoutesOfOthersAreNotClaimed(t *testing.T) {
	live := kargo.Cluster{Networks: []kargo.LiveNetwork{back}, Services: []kargo.LiveService{{
		ID: "s", Name: "kargo-shop_front", Spec: swarm.ServiceSpec{Annotations: swarm.Annotations{Name: "kargo-shop_front", Labels: map[string]string{
			kargo.LabelInstance:                  "other",
			"traefik.http.routers.shop.rule":     "Host(`shop.example.com`)",
			"traefik.http.middlewares.safe.x":    "y",
			"traefik.tcp.services.db.x":          "y",
			"traefik.http.routers.wild.rule":     "HostRegexp(`.*`)",
			"traefik.http.routers.wild.priority": "1",
		}}},
	}}}
	for _, test := range []struct{ name, label, value, rules, want string }{
		{"another router", "traefik.http.routers.mine.rule", "Host(`mine.example.com`)", "", ""},
		{"a router of the same name", "traefik.http.routers.Shop.rule", "Host(`mine.example.com`)", "", `claims "shop" by the label traefik.http.routers.Shop.rule, which kargo-shop_front has already`},
		{"a host of the same name", "traefik.http.routers.mine.rule", "Path(`/x`) && Host(`SHOP.example.com`)", "", `claims "shop.example.com"`},
		{"a host of the same name, with a dot at its end", "traefik.http.routers.mine.rule", "Host(`shop.example.com.`)", "", `claims "shop.example.com"`},
		{"settings of all", "traefik.tls.stores.default.defaultgeneratedcert.resolver", "acme", "", "changes the settings of TLS"},
		{"a host of the same name, in old labels", "traefik.frontend.rule", "Host:shop.example.com", "", `claims "shop.example.com"`},
		{"all hosts", "traefik.http.routers.mine.rule", "PathPrefix(`/`)", "hosts=allow", `claims requests to any host name by the label traefik.http.routers.mine.rule, so also those to shop.example.com, which kargo-shop_front has`},
		{"all hosts, by TCP", "traefik.tcp.routers.mine.rule", "HostSNI(`*`)", "hosts=allow", `so also those to shop.example.com`},
		{"all hosts, which the operator permits", "traefik.http.routers.mine.rule", "PathPrefix(`/`)", "hosts=allow\nforeign-routes=any", ""},
		{"a host that the operator lets them share", "traefik.http.routers.mine.rule", "Host(`shop.example.com`)", "foreign-routes=shop.example.com", ""},
		{"a middleware of the same name", "traefik.http.middlewares.safe.ipallowlist.sourcerange", "0.0.0.0/0", "", `claims "safe"`},
		{"a name of another protocol", "traefik.http.services.db.loadbalancer.server.port", "1", "", ""},
		{"the service that Traefik makes by itself", "traefik.http.services.kargo-shop-front.loadbalancer.server.port", "1", "", `claims "kargo-shop-front"`},
		{"requests to it", "traefik.http.routers.mine.service", "kargo-shop-front@swarm", "", `sends requests to "kargo-shop-front@swarm"`},
		{"a host that the operator does not give", "traefik.http.routers.mine.rule", "Host(`bank.example.com`)", "hosts=*.shop.example.com", "claims the host name bank.example.com, which rule hosts"},
	} {
		stack := web(nil)
		got := refusals(t, test.rules, live, stack, sent(stack, func(s *swarm.ServiceSpec) {
			s.Labels = map[string]string{kargo.LabelNamespace: "kargo-web", test.label: test.value}
		}))
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A service asks for managers if no worker satisfies its constraints, by whatever they
// name.
func TestS41_PlacementOnManagersIsToldByTheLiveCluster(t *testing.T) {
	node := func(name string, role swarm.NodeRole) kargo.LiveNode {
		return kargo.LiveNode{ID: name, Hostname: name, Spec: swarm.NodeSpec{Role: role}}
	}
	both := []kargo.LiveNode{node("m1", swarm.NodeRoleManager), node("w1", swarm.NodeRoleWorker)}
	for _, test := range []struct {
		name, constraint string
		nodes            []kargo.LiveNode
		refused          bool
	}{
		{"a manager by its name", "node.hostname==m1", both, true},
		{"all but the workers", "node.hostname!=w1", both, true},
		{"a worker", "node.hostname==w1", both, false},
		{"no node", "node.hostname==x", both, false},
		{"a Swarm of managers", "node.hostname==m1", both[:1], false},
	} {
		stack := web(nil)
		change := sent(stack, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{test.constraint}}
		})
		judge := permit.NewJudge(policy(t, permit.Restricted, ""), permit.Input{
			Instance: "mine", Stacks: []kargo.Stack{stack}, Satisfies: swarmcheck.Satisfies,
			Shared: []permit.SharedNetwork{{Role: "back", Variable: "DOCKER_BACK_NETWORK", Name: "kargo-back"}},
		}, kargo.Cluster{Networks: []kargo.LiveNetwork{back}, Nodes: test.nodes})
		if got := strings.Join(judge.Refuses(stack, change), "\n"); strings.Contains(got, "wants to run on managers") != test.refused {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
