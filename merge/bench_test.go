package merge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/merge"
	"kargo/test/growth"
)

// bigInput is a user configuration of so many stacks, of two services each.
func bigInput(stacks int) merge.Input {
	var env strings.Builder
	user := fstest.MapFS{}
	var names []string
	for i := range stacks {
		names = append(names, fmt.Sprintf("s%04d", i))
		fmt.Fprintf(&env, "S%04d_STACK=\"s%04d-web s%04d-db\"\nS%04d_TAG=1.2.3\n", i, i, i, i)
		for _, part := range []string{"web", "db"} {
			user[fmt.Sprintf("deploy/s%04d-%s.yml", i, part)] = &fstest.MapFile{Data: []byte("services: {app: {image: app}}\n")}
			user[fmt.Sprintf("configs/s%04d-%s.conf", i, part)] = &fstest.MapFile{Data: []byte("listen 80;\n")}
		}
	}
	fmt.Fprintf(&env, "STACKS=%q\n", strings.Join(names, " "))
	user[".env"] = &fstest.MapFile{Data: []byte(env.String())}
	defaults := fstest.MapFS{".env.default": {Data: []byte("REDIS_TAG=7\n")}}
	return merge.Input{Defaults: defaults, User: kargo.Files{FS: user}, Root: "/var/lib/kargo/.kargo"}
}

func mergeAll(t testing.TB, in merge.Input) {
	if _, problems, err := merge.Merge(context.Background(), in); err != nil || problems.Err() != nil {
		t.Fatal(err, problems.Err())
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, stacks := range []int{10, 100, 300, 1000} {
		in := bigInput(stacks)
		b.Run(fmt.Sprintf("%d stacks", stacks), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mergeAll(b, in)
			}
		})
	}
}

// What a merge costs must grow with the number of stacks and no faster.
func TestCostGrowsWithTheStacks(t *testing.T) {
	growth.Check(t, 100, func(stacks int) func() {
		in := bigInput(stacks)
		return func() { mergeAll(t, in) }
	})
}
