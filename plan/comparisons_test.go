package plan_test

import (
	"testing"

	dockerswarm "github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// A service that was found to run as it should is compared again once its stack has other
// options: they are not a part of what identifies a stack.
func TestComparisonsDependOnTheOptions(t *testing.T) {
	desired := stack("web", service("kargo-web_app", "app:1"))
	opts := options()
	created := plan.Make([]kargo.Stack{desired}, cluster(), opts).Changes
	running := kargo.LiveService{ID: "1", Name: "kargo-web_app", Spec: *created[len(created)-1].Service, Digest: [32]byte{1}}
	scaled := running
	replicas := uint64(5)
	scaled.Spec.Mode = dockerswarm.ServiceMode{Replicated: &dockerswarm.ReplicatedService{Replicas: &replicas}}
	scaled.Digest = [32]byte{2}

	opts.Comparisons = &plan.Comparisons{}
	made := func(live kargo.LiveService, options kargo.StackOptions) string {
		desired.Options = options
		return plan.Make([]kargo.Stack{desired}, cluster(live), opts).String()
	}
	for _, step := range []struct {
		name    string
		live    kargo.LiveService
		options kargo.StackOptions
		want    string
	}{
		{"as it should be", running, kargo.StackOptions{}, "nothing to do\n"},
		{"as it was", running, kargo.StackOptions{}, "nothing to do\n"},
		{"the stack is protected", running, kargo.StackOptions{Protect: true}, "update service kargo-web_app: Labels.kargo.protect: (none) -> \"true\"\n"},
		{"somebody scales it", scaled, kargo.StackOptions{Ignore: []string{"/Spec/Mode/Replicated/Replicas"}}, "nothing to do\n"},
		{"and may not any more", scaled, kargo.StackOptions{}, "update service kargo-web_app: Mode.Replicated.Replicas: 5 -> 1\n"},
	} {
		if got := made(step.live, step.options); got != step.want {
			t.Errorf("%s:\n%swant\n%s", step.name, got, step.want)
		}
	}
}
