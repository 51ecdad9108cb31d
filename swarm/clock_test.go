package swarm_test

import (
	"fmt"
	"sync/atomic"
	"testing"
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
