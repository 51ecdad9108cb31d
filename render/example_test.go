package render_test

import (
	"fmt"

	"kargo"
	"kargo/render"
)

// A workspace renders to Docker's own service specs, stack by stack.
func ExampleRender() {
	workspace := kargo.Workspace{
		Root: "/var/lib/kargo/.kargo",
		Env:  kargo.Environment{"STACKS": "dbs", "DBS_STACK": "redis", "REDIS_TAG": "8"},
		Files: map[string]kargo.File{
			"deploy/redis.yml": {Data: []byte("services:\n  redis:\n    image: redis:${REDIS_TAG}\n    deploy: {replicas: 2}\n"), Origin: "user"},
		},
	}
	stacks, problems := render.Render(workspace)
	for _, stack := range stacks {
		for _, service := range stack.Services {
			fmt.Printf("%s runs %s, %d times\n", service.Name, service.Spec.TaskTemplate.ContainerSpec.Image, *service.Spec.Mode.Replicated.Replicas)
		}
	}
	fmt.Println(len(problems), "problems")
	// Output:
	// kargo-dbs_redis runs redis:8, 2 times
	// 0 problems
}

// What is wrong comes back with its file and line, and the stack is left out.
func ExampleRender_problems() {
	workspace := kargo.Workspace{
		Root:  "/var/lib/kargo/.kargo",
		Env:   kargo.Environment{"STACKS": "dbs", "DBS_STACK": "redis"},
		Files: map[string]kargo.File{"deploy/redis.yml": {Data: []byte("services:\n  redis:\n    imag: redis:8\n"), Origin: "user"}},
	}
	stacks, problems := render.Render(workspace)
	fmt.Println(len(stacks), "stacks")
	fmt.Println(problems[0])
	// Output:
	// 0 stacks
	// deploy/redis.yml:3: services.redis.imag is not a property of compose files for Swarm (did you mean image?)
}
