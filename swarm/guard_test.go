package swarm_test

import (
	"context"
	"net/http/httptest"
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// lapsing is a context that ends, without a timer, when it is asked for the nth time:
// as that of a leader whose process was stopped for longer than its lease is valid.
type lapsing struct {
	context.Context
	left *int
}

func (l lapsing) Err() error {
	if *l.left--; *l.left < 0 {
		return context.Canceled
	}
	return l.Context.Err()
}

// Whenever a context ends before a request is sent as a whole, Docker does nothing.
func TestNothingIsWrittenOnceTheContextHasEnded(t *testing.T) {
	config := kargo.CreateConfig("web", kargo.Config{Name: "page", Data: []byte("a page")}, "it is wanted")
	service := kargo.CreateService("web", dockerswarm.ServiceSpec{
		Annotations:  dockerswarm.Annotations{Name: "site"},
		TaskTemplate: dockerswarm.TaskSpec{ContainerSpec: &dockerswarm.ContainerSpec{Image: "app:1"}},
	}, "it is wanted")
	for name, change := range map[string]kargo.Change{"config": config, "service": service} {
		t.Run(name, func(t *testing.T) {
			refused := 0
			for n := 0; ; n++ {
				left := n
				engine := swarmtest.New()
				server := httptest.NewServer(engine)
				client, err := swarm.Open(swarm.Options{Hosts: []string{"tcp://" + server.Listener.Addr().String()}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Services(t.Context()); err != nil { // the version is agreed on
					t.Fatal(err)
				}
				err = client.Apply(lapsing{t.Context(), &left}, kargo.Plan{Changes: []kargo.Change{change}}, nil, nil)
				server.Close()
				if err == nil {
					break
				}
				refused++
				if writes := engine.Writes(); len(writes) > 0 {
					t.Errorf("after %v Docker wrote %q", err, writes)
				}
			}
			if refused != 5 {
				t.Errorf("the context was asked %d times, want 5: by the plan, by its group, by the call, before the request, and before its body", refused)
			}
		})
	}
}
