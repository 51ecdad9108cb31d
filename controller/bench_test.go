package controller_test

import (
	"fmt"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/controller"
	"kargo/plan"
	"kargo/test/growth"
)

// manyStacks returns so many stacks of three services, each of which needs another stack.
func manyStacks(stacks int) (all []kargo.Stack) {
	for i := range stacks {
		stack := kargo.Stack{Name: fmt.Sprintf("s%04d", i), Key: []byte("key")}
		for j := range 3 {
			spec := swarm.ServiceSpec{TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "app:1"}}}
			spec.Name = fmt.Sprintf("%s_app%d", stack.Namespace(), j)
			stack.Services = append(stack.Services, kargo.Service{Name: spec.Name, Spec: spec})
		}
		if i > 0 {
			stack.Needs = []string{all[i/2].Name}
		}
		all = append(all, stack)
	}
	return all
}

// statuses are what a look makes of the stacks for the status: first while nearly all of
// them wait for others, and then when nothing is to be done.
var statuses = map[string]func(stacks int) func(){
	"all wait": func(stacks int) func() {
		all := manyStacks(stacks)
		next := plan.Make(all, kargo.Cluster{TasksKnown: true}, plan.Options{Instance: "test"})
		return func() { controller.StatusOf(all, kargo.Cluster{}, next) }
	},
	"nothing to do": func(stacks int) func() {
		all := manyStacks(stacks)
		var there kargo.Cluster
		for _, stack := range all {
			for _, service := range stack.Services {
				there.Services = append(there.Services, kargo.LiveService{Name: service.Name, Spec: service.Spec, Running: 1, Desired: 1})
			}
		}
		return func() { controller.StatusOf(all, there, kargo.Plan{}) }
	},
}

func BenchmarkStatus(b *testing.B) {
	for name, prepare := range statuses {
		for _, stacks := range []int{10, 100, 300, 1000} {
			b.Run(fmt.Sprintf("%s/%d stacks", name, stacks), func(b *testing.B) {
				do := prepare(stacks)
				b.ReportAllocs()
				for b.Loop() {
					do()
				}
			})
		}
	}
}

func TestCostOfTheStatusGrowsWithTheStacks(t *testing.T) {
	for name, prepare := range statuses {
		t.Run(name, func(t *testing.T) { growth.Check(t, 50, prepare) })
	}
}
