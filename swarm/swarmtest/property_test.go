package swarmtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"pgregory.net/rapid"

	"kargo/swarm/swarmtest"
)

// Whatever people do to a service, once its image is good and time has passed
// it has the tasks that it should have, no more, all of the spec in force.
func TestGoodServicesGetWell(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		engine := swarmtest.New(swarmtest.Nodes("one", "two", "three"))
		engine.Image("sick", swarmtest.Behaviour{Unhealthy: true})
		engine.Image("crash", swarmtest.Behaviour{Exits: true, ExitCode: 1})
		api := engine.Client()
		web := spec("web", "good", 2)
		web.UpdateConfig = &swarm.UpdateConfig{
			Parallelism:   rapid.Uint64Range(0, 3).Draw(rt, "parallelism"),
			FailureAction: rapid.SampledFrom([]string{"pause", "continue", "rollback"}).Draw(rt, "failure action"),
			Order:         rapid.SampledFrom([]string{"stop-first", "start-first"}).Draw(rt, "order"),
		}
		create(t, api, web)
		change := func(edit func(*swarm.ServiceSpec)) { update(t, api, "web", edit) }
		rt.Repeat(map[string]func(*rapid.T){
			"image": func(rt *rapid.T) {
				image := rapid.SampledFrom([]string{"good", "better", "sick", "crash"}).Draw(rt, "image")
				change(func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = image })
			},
			"scale": func(rt *rapid.T) {
				replicas := rapid.Uint64Range(0, 4).Draw(rt, "replicas")
				change(func(s *swarm.ServiceSpec) { s.Mode.Replicated.Replicas = &replicas })
			},
			"node": func(rt *rapid.T) {
				engine.NodeDown(rapid.SampledFrom([]string{"two", "three"}).Draw(rt, "node"), rapid.Bool().Draw(rt, "down"))
			},
			"step":   func(*rapid.T) { engine.Step() },
			"settle": func(*rapid.T) { engine.Settle() },
		})
		engine.NodeDown("two", false)
		engine.NodeDown("three", false)
		change(func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "best" })
		engine.Settle()
		service := inspect(t, api, "web")
		replicas := *service.Spec.Mode.Replicated.Replicas
		running := 0
		tasks, err := api.TaskList(t.Context(), swarm.TaskListOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		for _, task := range tasks {
			if task.Status.State == swarm.TaskStateRunning {
				running++
				if task.Spec.ContainerSpec.Image != "best:latest" {
					rt.Fatalf("a task of %s still runs", task.Spec.ContainerSpec.Image)
				}
			}
		}
		if line := summary(t, api); running != int(replicas) || !strings.HasPrefix(line, fmt.Sprintf("web %d/%d", replicas, replicas)) {
			rt.Fatalf("it has not settled: %s", line)
		}
	})
}
