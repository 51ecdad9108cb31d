package swarmcheck_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/render/swarmcheck"
)

func service(change func(*swarm.ServiceSpec)) swarm.ServiceSpec {
	spec := swarm.ServiceSpec{
		Annotations:  swarm.Annotations{Name: "kargo-web_app"},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "app:1"}},
	}
	change(&spec)
	return spec
}

func TestService(t *testing.T) {
	check := swarmcheck.New()
	defer check.Close()
	for want, change := range map[string]func(*swarm.ServiceSpec){
		"<nil>": func(s *swarm.ServiceSpec) {
			s.EndpointSpec = &swarm.EndpointSpec{Ports: []swarm.PortConfig{{TargetPort: 80, PublishedPort: 80}}}
			s.TaskTemplate.ContainerSpec.Secrets = []*swarm.SecretReference{{SecretName: "has no id yet"}}
			s.TaskTemplate.ContainerSpec.Env = []string{`BOMB={{range 1000000000}}{{end}}`, `WIDE={{printf "%999999999s" ""}}`}
		},
		`invalid RestartCondition: "always"`: func(s *swarm.ServiceSpec) {
			s.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Condition: "always"}
		},
		"duplicate published ports provided": func(s *swarm.ServiceSpec) {
			s.EndpointSpec = &swarm.EndpointSpec{Ports: []swarm.PortConfig{{TargetPort: 80, PublishedPort: 80}, {TargetPort: 81, PublishedPort: 80}}}
		},
	} {
		for range 2 { // the first leaves nothing behind
			if got := fmt.Sprint(check.Service(service(change))); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

func TestNetwork(t *testing.T) {
	check := swarmcheck.New()
	defer check.Close()
	for subnet, want := range map[string]string{"10.1.0.0/24": "<nil>", "10.1.0.0/240": "ipam configuration: invalid subnet 10.1.0.0/240"} {
		n := kargo.Network{Name: "kargo-web_own", Driver: "overlay", IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}}
		if got := fmt.Sprint(check.Network(n)); got != want {
			t.Errorf("%s: got %s, want %s", subnet, got, want)
		}
	}
}

// A template may look at what its service has, and at nothing else. One that
// would grow without end is not tried.
func TestPayload(t *testing.T) {
	spec := service(func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Secrets = []*swarm.SecretReference{{SecretName: "token", File: &swarm.SecretReferenceFileTarget{Name: "token"}}}
	})
	for text, want := range map[string]string{
		`{{.Service.Name}} {{secret "token"}} {{env "A"}}`: "",
		`{{secret "other"}}`:    "secret target other not found",
		`{{.Service.Password}}`: "can't evaluate field Password",
		`{{`:                    "unclosed action",
		`{{range 1000000000}}{{range 1000000000}}x{{end}}{{end}}`: "",
	} {
		err := swarmcheck.Payload("golang", []byte(text), spec)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	if err := swarmcheck.Payload("jinja", []byte("x"), spec); err == nil {
		t.Error("Swarm has no such template driver")
	}
}
