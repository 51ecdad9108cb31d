package merge_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"kargo"
	"kargo/merge"
)

// The user configuration lies over the defaults: its variables count more, and
// a file of its own is added to the merged tree.
func ExampleMerge() {
	defaults := fstest.MapFS{
		".env.default":     {Data: []byte("REDIS_IMAGE=redis\nREDIS_TAG=7\n")},
		"deploy/redis.yml": {Data: []byte("services: {redis: {image: '${REDIS_IMAGE}:${REDIS_TAG}'}}\n")},
	}
	user := fstest.MapFS{
		".env":             {Data: []byte("STACKS=dbs\nDBS_STACK=redis\nREDIS_TAG=8\n")},
		"configs/motd.tpl": {Data: []byte("Redis $REDIS_TAG\n")},
	}
	workspace, problems, err := merge.Merge(context.Background(), merge.Input{
		Defaults: defaults, User: kargo.Files{FS: user}, Root: "/var/lib/kargo/.kargo",
	})
	if err != nil || len(problems) > 0 {
		fmt.Println(problems, err)
		return
	}
	fmt.Printf("REDIS_TAG is %s, from %s\n", workspace.Env["REDIS_TAG"], workspace.PlaceOf("REDIS_TAG"))
	fmt.Printf("configs/motd is %q, from layer %s\n", workspace.Files["configs/motd"].Data, workspace.Files["configs/motd"].Origin)
	fmt.Printf("deploy/redis.yml is from layer %s\n", workspace.Files["deploy/redis.yml"].Origin)
	// Output:
	// REDIS_TAG is 8, from .env:3
	// configs/motd is "Redis 8\n", from layer rendered
	// deploy/redis.yml is from layer default
}
