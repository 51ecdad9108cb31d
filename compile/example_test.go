package compile_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"kargo"
	"kargo/compile"
	"kargo/hooks"
	"kargo/secrets"
)

// A compiler reads the files of a revision as the loop and all commands do.
func ExampleCompiler_Compile() {
	compiler := compile.Compiler{
		Defaults: fstest.MapFS{
			".env.default":     {Data: []byte("REDIS_TAG=8\n")},
			"deploy/redis.yml": {Data: []byte("services: {redis: {image: 'redis:${REDIS_TAG}'}}\n")},
		},
		Secrets: secrets.Options{}.Open, Hooks: hooks.Refuse, // no keys, no scripts
		Root: "/var/lib/kargo/.kargo", Workspace: "/var/lib/kargo/workspace",
	}
	workspace := fstest.MapFS{".env": {Data: []byte("STACKS=dbs\nDBS_STACK=redis\n")}}
	desired, err := compiler.Compile(context.Background(), kargo.Tree{User: kargo.Files{FS: workspace}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, problem := range desired.Problems {
		fmt.Println(problem)
	}
	for _, stack := range desired.Stacks {
		fmt.Println(stack.Namespace(), "has", len(stack.Services), "service:", stack.Services[0].Spec.TaskTemplate.ContainerSpec.Image)
	}
	// Output:
	// kargo-dbs has 1 service: redis:8
}
