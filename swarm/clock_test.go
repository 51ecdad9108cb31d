package swarm_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	dockerswarm "github.com/docker/docker/api/types/swarm"
	"pgregory.net/rapid"

	"kargo/swarm"
	"kargo/swarm/swarmtest"
)

// Whatever the managers' clocks show, a time is translated once, to when it was by this
// process's clock.
func TestTimesDoNotDependOnTheManagersClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var set atomic.Int64
		set.Store(int64(time.Duration(rapid.IntRange(-20, 20).Draw(rt, "hours apart at first")) * time.Hour))
		engine := swarmtest.New(swarmtest.Clock(func() time.Time { return time.Now().Add(time.Duration(set.Load())) }))
		client, err := swarm.Open(swarm.Options{Hosts: []string{"tcp://swarmtest:2375"}, Transport: engine.Transport()})
		if err != nil {
			rt.Fatal(err)
		}
		b := &bed{api: engine.Client(), client: client, prefix: "case-", image: "kargo/testserver:1", engine: engine}
		b.create(t, b.spec("one"))
		began := time.Now().Add(-5 * time.Second) // answers show whole seconds
		seen := map[string]time.Time{}
		look := func() {
			tasks, err := client.Tasks(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			for _, task := range tasks {
				for key, at := range map[string]time.Time{task.ID: task.Time, task.ID + task.State: task.StateAt} {
					if at.Before(began) || at.After(time.Now()) {
						rt.Errorf("the time of task %s is %s ago", key, time.Since(at))
					}
					if before, known := seen[key]; known && !before.Equal(at) {
						rt.Errorf("the time of task %s was %s, and is %s", key, before, at)
					}
					seen[key] = at
				}
			}
		}
		updates := 0
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(*rapid.T) { engine.Step(); look() },
			"an update": func(*rapid.T) {
				updates++
				b.update(t, "one", func(s *dockerswarm.ServiceSpec) {
					s.TaskTemplate.ContainerSpec.Env = []string{fmt.Sprint("A=", updates)}
				})
				engine.Step()
				look()
				services, err := client.Services(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				if update := services[0].Update; update != nil && (update.StartedAt.Before(began) || update.StartedAt.After(time.Now())) {
					rt.Errorf("the update began %s ago", time.Since(*update.StartedAt))
				}
			},
			"the clock is set": func(rt *rapid.T) {
				look()
				set.Add(int64(time.Duration(rapid.IntRange(-20, 20).Draw(rt, "hours")) * time.Hour))
			},
		})
	})
}

// late is a connection whose answers arrive some time after the daemon has written them.
type late struct {
	http.RoundTripper
	by time.Duration
}

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(r)
	time.Sleep(l.by)
	return response, err
}

// An answer that arrives late, from a machine that is busy, says nothing of the clocks:
// what happened before is not taken for something that happened just now.
func TestALateAnswerDoesNotSetTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := swarmtest.New(swarmtest.Clock(time.Now))
		connection := &late{RoundTripper: engine.Transport()}
		client, err := swarm.Open(swarm.Options{Hosts: []string{"tcp://swarmtest:2375"}, Transport: connection})
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{api: engine.Client(), client: client, prefix: "case-", image: "kargo/testserver:1", engine: engine}
		time.Sleep(time.Hour)
		began := time.Now()
		b.create(t, b.spec("one"))
		engine.Step()
		connection.by = 20 * time.Second
		tasks, err := client.Tasks(t.Context())
		if err != nil || len(tasks) == 0 {
			t.Fatalf("%d tasks: %v", len(tasks), err)
		}
		for _, task := range tasks {
			if after := task.Time.Sub(began); after.Abs() > time.Second {
				t.Errorf("task %s was made %s after its service", task.ID, after)
			}
		}
	})
}
