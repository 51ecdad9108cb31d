package plan_test

import (
	"fmt"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// A plan compares the desired stacks with what runs. Here one service runs
// another image than is desired, and another service is new.
func ExampleMake() {
	service := func(name, image string) kargo.Service {
		return kargo.Service{Name: name, Spec: swarm.ServiceSpec{
			Annotations:  swarm.Annotations{Name: name},
			TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: image}},
		}}
	}
	desired := []kargo.Stack{{Name: "dbs", Services: []kargo.Service{
		service("kargo-dbs_mongodb", "mongo:8"), service("kargo-dbs_redis", "redis:8"),
	}}}
	running := service("kargo-dbs_redis", "redis:7").Spec
	running.Labels = map[string]string{kargo.LabelInstance: "default", kargo.LabelStack: "dbs"}
	live := kargo.Cluster{Services: []kargo.LiveService{{Name: "kargo-dbs_redis", Spec: running, Image: "redis:7"}}}

	next := plan.Make(desired, live, plan.Options{Instance: "default"})
	fmt.Print(next)
	fmt.Println(next.Summary())
	// Output:
	// create service kargo-dbs_mongodb: new
	// update service kargo-dbs_redis: TaskTemplate.ContainerSpec.Image: "redis:7" -> "redis:8"
	// 1 to create, 1 to update
}
