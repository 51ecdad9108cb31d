package plan_test

import (
	"strings"
	"testing"

	"kargo"
	"kargo/plan"
)

// The loop remembers as arrived what the plan calls unchanged.
func TestUnchangedServices(t *testing.T) {
	opts := options()
	opts.Memory.Sent = kargo.Sent{"kargo-off_a": {Digest: plan.Make(
		[]kargo.Stack{stack("off", service("kargo-off_a", "app:1"))}, kargo.Cluster{}, options()).Changes[0].Digest, Seen: true}}
	opts.Memory.Rollouts = map[string]kargo.Rollout{"frozen": {Failed: &kargo.Failure{Reason: "it crashes"}}}
	desired := []kargo.Stack{
		stack("web", service("kargo-web_b", "app:1"), service("kargo-web_a", "app:1"), service("kargo-web_changes", "app:2")),
		withOptions(stack("off", service("kargo-off_a", "app:1")), kargo.StackOptions{Drift: kargo.DriftOff}),
		withOptions(stack("frozen", service("kargo-frozen_a", "app:1")), kargo.StackOptions{OnFailure: kargo.FailureHold}),
	}
	there := cluster(
		live("web", "kargo-web_a", "app:1"), live("web", "kargo-web_b", "app:1"), live("web", "kargo-web_changes", "app:1"),
		scaled(live("off", "kargo-off_a", "app:1"), 5), live("frozen", "kargo-frozen_a", "app:1"))
	got := plan.Make(desired, there, opts)
	check(t, got, "update service kargo-web_changes: TaskTemplate.ContainerSpec.Image: \"app:1\" -> \"app:2\"\n"+
		"hold stack frozen: the rendering of  failed: it crashes; nothing is done until the workspace changes, or `kargo retry frozen`\n")
	if unchanged := strings.Join(got.Unchanged, " "); unchanged != "kargo-web_a kargo-web_b" {
		t.Errorf("unchanged are %s", unchanged)
	}
}
