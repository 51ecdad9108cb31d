package permit_test

import (
	"fmt"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/permit"
)

// The operator's policy judges what would be sent to Swarm.
func ExampleCheck() {
	stacks := []kargo.Stack{{Name: "web", Services: []kargo.Service{{
		Name: "kargo-web_app",
		Spec: swarm.ServiceSpec{TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{
			Image: "app:1", CapabilityAdd: []string{"CAP_SYS_ADMIN"},
		}}},
	}}}}
	policy, err := permit.New("baseline")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, problem := range permit.Check(policy, permit.Input{Stacks: stacks}) {
		fmt.Println(problem.Message)
	}
	// Output:
	// service kargo-web_app adds the capability SYS_ADMIN, which rule capabilities of policy baseline does not permit
}
