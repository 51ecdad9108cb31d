package swarm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	dockerswarm "github.com/docker/docker/api/types/swarm"
)

// specContracts are about what Swarm does to a spec, and what it refuses.
var specContracts = []contract{
	{"spec is read back with defaults", func(t *testing.T, b *bed) {
		spec := b.spec("full")
		task := &spec.TaskTemplate
		task.ContainerSpec.Env = []string{"A=1"}
		task.ContainerSpec.Labels = map[string]string{}
		task.ContainerSpec.Healthcheck = &container.HealthConfig{Interval: time.Second}
		task.ContainerSpec.Mounts = []mount.Mount{
			{Type: mount.TypeTmpfs, Target: "/t", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 100000}},
			{Type: mount.TypeBind, Source: "/tmp", Target: "/b", BindOptions: &mount.BindOptions{}},
			{Type: mount.TypeBind, Source: "/tmp", Target: "/c", BindOptions: &mount.BindOptions{NonRecursive: true}},
			{Source: "/tmp", Target: "/d"},
		}
		task.Placement = &dockerswarm.Placement{}
		task.Resources = &dockerswarm.ResourceRequirements{Limits: &dockerswarm.Limit{}}
		spec.RollbackConfig = &dockerswarm.UpdateConfig{}
		spec.EndpointSpec = &dockerswarm.EndpointSpec{Ports: []dockerswarm.PortConfig{
			{TargetPort: 80, PublishMode: dockerswarm.PortConfigPublishModeHost},
			{TargetPort: 81},
		}}
		spec.Mode = dockerswarm.ServiceMode{}
		b.create(t, spec)
		got, err := json.Marshal(b.inspect(t, "full").Spec)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "spec", strings.ReplaceAll(string(got), b.image, "IMAGE"), `{"Name":"`+b.name("full")+`","Labels":{},`+
			`"TaskTemplate":{"ContainerSpec":{"Image":"IMAGE","Env":["A=1"],`+
			`"Mounts":[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":100000}},`+
			`{"Type":"bind","Source":"/tmp","Target":"/b"},`+
			`{"Type":"bind","Source":"/tmp","Target":"/c","BindOptions":{"Propagation":"rprivate","NonRecursive":true}},`+
			`{"Type":"bind","Source":"/tmp","Target":"/d"}],`+
			`"Healthcheck":{"Interval":1000000000},"Isolation":"default"},`+
			`"Resources":{"Limits":{}},"RestartPolicy":{"Condition":"any","Delay":100000000,"MaxAttempts":0},`+
			`"Placement":{},"ForceUpdate":0,"Runtime":"container"},`+
			`"Mode":{"Replicated":{"Replicas":1}},`+
			`"UpdateConfig":{"Parallelism":1,"FailureAction":"pause","Monitor":500000000,"MaxFailureRatio":0,"Order":"stop-first"},`+
			`"RollbackConfig":{"Parallelism":0,"FailureAction":"pause","MaxFailureRatio":0,"Order":"stop-first"},`+
			`"EndpointSpec":{"Mode":"vip","Ports":[{"Protocol":"tcp","TargetPort":80,"PublishMode":"host"},`+
			`{"Protocol":"tcp","TargetPort":81,"PublishMode":"ingress"}]}}`)
	}},
	{"names of networks become ids", func(t *testing.T, b *bed) {
		id := b.createNetwork(t, "net")
		spec := b.spec("one")
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: b.name("net")}}
		b.create(t, spec)
		same(t, "target", b.inspect(t, "one").Spec.TaskTemplate.Networks[0].Target, id)
	}},
	{"an unknown network is no 404", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: b.name("nope")}}
		_, err := b.api.ServiceCreate(t.Context(), spec, dockerswarm.ServiceCreateOptions{})
		same(t, "error", message(err), "Error response from daemon: network "+b.name("nope")+" not found")
	}},
	{"specs that make no sense are refused", func(t *testing.T, b *bed) {
		const invalid = "Error response from daemon: rpc error: code = InvalidArgument desc = "
		const unknown = "Error response from daemon: rpc error: code = Unknown desc = "
		for want, edit := range map[string]func(*dockerswarm.ServiceSpec){
			invalid + "invalid memory value 5: Must be at least 4MiB": func(s *dockerswarm.ServiceSpec) {
				s.TaskTemplate.Resources = &dockerswarm.ResourceRequirements{Limits: &dockerswarm.Limit{MemoryBytes: 5}}
			},
			invalid + "name must be valid as a DNS name component": func(s *dockerswarm.ServiceSpec) { s.Name = "a.b" },
			invalid + "name must be 63 characters or fewer":        func(s *dockerswarm.ServiceSpec) { s.Name = strings.Repeat("a", 64) },
			unknown + "constraint expected one operator from ==, !=": func(s *dockerswarm.ServiceSpec) {
				s.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"anywhere"}}
			},
			unknown + "key 'a b' is invalid": func(s *dockerswarm.ServiceSpec) {
				s.TaskTemplate.Placement = &dockerswarm.Placement{Constraints: []string{"a b==c"}}
			},
			`Error response from daemon: invalid RestartCondition: "maybe"`: func(s *dockerswarm.ServiceSpec) {
				s.TaskTemplate.RestartPolicy.Condition = "maybe"
			},
			invalid + "ContainerSpec: duplicate mount point: /a": func(s *dockerswarm.ServiceSpec) {
				s.TaskTemplate.ContainerSpec.Mounts = []mount.Mount{{Source: "/a", Target: "/a"}, {Source: "/b", Target: "/a"}}
			},
			invalid + "EndpointSpec: port published with ingress mode can't be used with dnsrr mode": func(s *dockerswarm.ServiceSpec) {
				s.EndpointSpec.Ports = []dockerswarm.PortConfig{{TargetPort: 80}}
			},
			invalid + "config not found: gone": func(s *dockerswarm.ServiceSpec) {
				s.TaskTemplate.ContainerSpec.Configs = []*dockerswarm.ConfigReference{configFile("someid", "gone", "/x")}
			},
			invalid + "malformed secret reference": func(s *dockerswarm.ServiceSpec) {
				s.TaskTemplate.ContainerSpec.Secrets = []*dockerswarm.SecretReference{secretFile("", "gone", "/x")}
			},
		} {
			spec := b.spec("one")
			edit(&spec)
			_, err := b.api.ServiceCreate(t.Context(), spec, dockerswarm.ServiceCreateOptions{})
			same(t, "error", message(err), want)
		}
	}},
	{"a published port belongs to one service", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.EndpointSpec = &dockerswarm.EndpointSpec{Ports: []dockerswarm.PortConfig{{TargetPort: 80, PublishedPort: 30080}}}
		id := b.create(t, spec)
		spec.Name = b.name("two")
		_, err := b.api.ServiceCreate(t.Context(), spec, dockerswarm.ServiceCreateOptions{})
		same(t, "error", message(err), "Error response from daemon: rpc error: code = InvalidArgument desc = "+
			"port '30080' is already in use by service '"+b.name("one")+"' ("+id+") as an ingress port")
	}},
	{"mode and name stay", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		const unimplemented = "Error response from daemon: rpc error: code = Unimplemented desc = "
		same(t, "mode", b.updateError(t, "one", func(s *dockerswarm.ServiceSpec) {
			s.Mode = dockerswarm.ServiceMode{Global: &dockerswarm.GlobalService{}}
		}), unimplemented+"service mode change is not allowed")
		same(t, "name", b.updateError(t, "one", func(s *dockerswarm.ServiceSpec) { s.Name = b.name("two") }),
			unimplemented+"renaming services is not supported")
	}},
	{"a write of an old version is refused", func(t *testing.T, b *bed) {
		id := b.create(t, b.spec("one"))
		old := b.inspect(t, "one")
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.Labels = map[string]string{"a": "1"} })
		_, err := b.api.ServiceUpdate(t.Context(), id, old.Version, old.Spec, dockerswarm.ServiceUpdateOptions{})
		same(t, "error", message(err), "Error response from daemon: rpc error: code = Unknown desc = update out of sequence")
		same(t, "label", b.inspect(t, "one").Spec.Labels["a"], "1")
	}},
	{"Swarm itself changes a new service with addresses", func(t *testing.T, b *bed) {
		b.createNetwork(t, "net")
		spec := b.spec("one")
		spec.EndpointSpec = nil
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: b.name("net")}}
		b.create(t, spec)
		b.until(t, "the service has another version than its creation gave it", func() bool {
			service := b.inspect(t, "one")
			return service.UpdatedAt.After(service.CreatedAt)
		})
	}},
	{"an update without a difference loses the rollback target", func(t *testing.T, b *bed) {
		b.create(t, b.spec("one"))
		b.running(t, "one", 1)
		b.update(t, "one", func(s *dockerswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = []string{"A=1"} })
		b.updated(t, "one", dockerswarm.UpdateStateCompleted)
		before := b.tasks(t, b.name("one"))
		b.update(t, "one", func(*dockerswarm.ServiceSpec) {})
		service := b.inspect(t, "one")
		same(t, "previous", strings.Join(service.PreviousSpec.TaskTemplate.ContainerSpec.Env, " "), "A=1")
		if service.UpdateStatus != nil {
			t.Errorf("the update status is still there: %+v", service.UpdateStatus)
		}
		if after := b.tasks(t, b.name("one")); len(after) != len(before) {
			t.Errorf("there were %d tasks and are %d", len(before), len(after))
		}
	}},
	{"the host network is known by id only", func(t *testing.T, b *bed) {
		spec := b.spec("one")
		spec.EndpointSpec = nil
		spec.TaskTemplate.Networks = []dockerswarm.NetworkAttachmentConfig{{Target: "host"}}
		b.create(t, spec)
		if b.inspect(t, "one").Spec.TaskTemplate.Networks[0].Target == "host" {
			t.Error("the host network is kept by name")
		}
		services, err := b.client.Services(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range services {
			if service.Name == b.name("one") {
				same(t, "target", service.Spec.TaskTemplate.Networks[0].Target, "host")
			}
		}
	}},
}
