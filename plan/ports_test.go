package plan_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"kargo"
	"kargo/plan"
)

// Swarm refuses a port that another service still publishes.
func TestServicesThatExchangePorts(t *testing.T) {
	publishing := func(name string, port uint32) kargo.LiveService {
		return live("web", name, "app:1", publishes(port))
	}
	for _, test := range []struct {
		name    string
		desired []kargo.Service
		live    []kargo.LiveService
		want    string
	}{
		{
			name:    "two services change places in two steps",
			desired: []kargo.Service{service("kargo-web_a", "app:1", publishes(81)), service("kargo-web_b", "app:1", publishes(80))},
			live:    []kargo.LiveService{publishing("kargo-web_a", 80), publishing("kargo-web_b", 81)},
			want: "update service kargo-web_a: EndpointSpec.Ports[80/80].PublishedPort: 80 -> (none); EndpointSpec.Ports[80/80].TargetPort: 80 -> (none); " +
				"EndpointSpec.Ports[81/80].PublishedPort: (none) -> 81; EndpointSpec.Ports[81/80].TargetPort: (none) -> 80; port 81/tcp follows once kargo-web_b has released it\n" +
				"update service kargo-web_b: EndpointSpec.Ports[80/80].PublishedPort: (none) -> 80; EndpointSpec.Ports[80/80].TargetPort: (none) -> 80; " +
				"EndpointSpec.Ports[81/80].PublishedPort: 81 -> (none); EndpointSpec.Ports[81/80].TargetPort: 80 -> (none)\n",
		},
		{
			name:    "the second step",
			desired: []kargo.Service{service("kargo-web_a", "app:1", publishes(81)), service("kargo-web_b", "app:1", publishes(80))},
			live:    []kargo.LiveService{live("web", "kargo-web_a", "app:1"), publishing("kargo-web_b", 80)},
			want:    "update service kargo-web_a: EndpointSpec.Ports[81/80].PublishedPort: (none) -> 81; EndpointSpec.Ports[81/80].TargetPort: (none) -> 80\n",
		},
		{
			name:    "a new service waits until another one has released its port",
			desired: []kargo.Service{service("kargo-web_a", "app:1", publishes(80)), service("kargo-web_b", "app:1")},
			live:    []kargo.LiveService{publishing("kargo-web_b", 80)},
			want: "update service kargo-web_b: EndpointSpec.Ports[80/80].PublishedPort: 80 -> (none); EndpointSpec.Ports[80/80].TargetPort: 80 -> (none)\n" +
				"hold service kargo-web_a: waits for port 80/tcp, which kargo-web_b still publishes\n",
		},
		{
			name:    "Docker refuses a port that another service keeps",
			desired: []kargo.Service{service("kargo-web_a", "app:1", publishes(80)), service("kargo-web_b", "app:1", publishes(80))},
			live:    []kargo.LiveService{publishing("kargo-web_b", 80)},
			want:    "create service kargo-web_a: new\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			check(t, plan.Make([]kargo.Stack{stack("web", test.desired...)}, cluster(test.live...), options()), test.want)
		})
	}
}

// Whatever services exchange their ports, in one stack or in several, a few
// rounds bring them there, and Swarm refuses nothing.
func TestExchangedPortsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		const services = 5
		ports := []uint32{80, 81, 82, 83, 84, 0, 0}
		desired := func(label string) []kargo.Stack {
			drawn := rapid.Permutation(ports).Draw(t, label)
			stacks := []kargo.Stack{stack("a"), stack("b")}
			for i := range services {
				of := &stacks[i%2]
				name := fmt.Sprintf("%s_x%d", of.Namespace(), i)
				if drawn[i] == 0 {
					of.Services = append(of.Services, service(name, "app:1"))
				} else {
					of.Services = append(of.Services, service(name, "app:1", publishes(drawn[i])))
				}
			}
			return stacks
		}
		w.converge(desired("before"))
		w.converge(desired("after"))
	})
}
