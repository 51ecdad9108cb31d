package plan_test

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// A plan must not show the old value of a renewed secret, which is in no environment
// any more.
func TestDiffHidesTheSecretOfYesterday(t *testing.T) {
	const old, renewed = `yester"day&<1>`, `to"day&<2>`
	mask := kargo.NewMask([]byte("key"), kargo.Environment{"DB_PASSWORD": renewed})
	args := func(words ...string) func(*swarm.ServiceSpec) {
		return func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Args = words }
	}
	for _, test := range []struct {
		name      string
		was, is   func(*swarm.ServiceSpec)
		wantStart string
	}{
		{
			name: "in a variable of its name",
			was:  env("DB_PASSWORD=" + old), is: env("DB_PASSWORD=" + renewed),
			wantStart: `TaskTemplate.ContainerSpec.Env[DB_PASSWORD]: "***`,
		},
		{
			name: "inside another variable",
			was:  env("DB_URL=pg://app:" + old + "@db"), is: env("DB_URL=pg://app:" + renewed + "@db"),
			wantStart: `TaskTemplate.ContainerSpec.Env[DB_URL]: "***`,
		},
		{
			name: "inside another variable, changed by hand to one that is known from its own",
			was:  env("DB_PASSWORD="+old, "DB_URL=pg://app:"+old+"@db"), is: env("DB_PASSWORD="+renewed, "DB_URL=pg://app@db"),
			wantStart: `TaskTemplate.ContainerSpec.Env[DB_PASSWORD]: "***`,
		},
		{
			name: "in the command",
			was:  args("serve", "--password="+old), is: args("serve", "--password="+renewed),
			wantStart: `TaskTemplate.ContainerSpec.Args: ["serve","***`,
		},
		{
			name: "in the command, beside one of today",
			was:  args("serve", "--password="+renewed, "--pin", old), is: args("serve", "--password="+renewed, "--pin", renewed),
			wantStart: `TaskTemplate.ContainerSpec.Args: ["serve","--password=***`,
		},
		{
			name: "in one word of the command, beside one of today",
			was:  args("sh", "-c", renewed+" "+old), is: args("sh", "-c", renewed+" none"),
			wantStart: `TaskTemplate.ContainerSpec.Args: ["sh","-c","***`,
		},
		{
			name: "when it is taken out of the command",
			was:  args("serve", "--password="+renewed), is: args("serve"),
			wantStart: `TaskTemplate.ContainerSpec.Args: ["serve","***`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(plan.Diff(spec("a", "a:1", test.was), spec("a", "a:1", test.is), mask), "\n")
			if !strings.HasPrefix(got, test.wantStart) {
				t.Errorf("the difference is %s, want %s…", got, test.wantStart)
			}
			for _, part := range []string{"yester", "day"} {
				if strings.Contains(got, part) {
					t.Errorf("the difference shows a secret: %s", got)
				}
			}
		})
	}
}
