package plan_test

import (
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/plan"
)

// refusing refuses every service that runs an image.
func refusing(image string) func(kargo.Stack, kargo.Change) []string {
	return func(_ kargo.Stack, change kargo.Change) []string {
		if change.Service != nil && change.Service.TaskTemplate.ContainerSpec.Image == image {
			return []string{"runs " + image + ", which rule registries of policy restricted does not permit"}
		}
		return nil
	}
}

// A change that the operator refuses holds its stack and no other, and does not
// keep what is no longer wanted.
func TestS41_ARefusedChangeHoldsItsStack(t *testing.T) {
	opts := options()
	opts.Refuses = refusing("evil:1")
	desired := []kargo.Stack{
		stack("dbs", service("kargo-dbs_a", "db:1")),
		stack("web", service("kargo-web_a", "evil:1"), service("kargo-web_b", "app:1")),
	}
	for i := range desired {
		desired[i].Options.Resolve = kargo.ResolveNever
	}
	p := plan.Make(desired, cluster(live("web", "kargo-web_old", "app:1")), opts)
	const want = "create service kargo-dbs_a: new\n" +
		"remove service kargo-web_old: no longer in the workspace\n" +
		"hold service kargo-web_a: runs evil:1, which rule registries of policy restricted does not permit\n"
	if p.String() != want {
		t.Errorf("got\n%swant\n%s", p, want)
	}
}

// A refused change that belongs to no stack is held alone.
func TestS41_ARefusedChangeOfANodeIsHeld(t *testing.T) {
	opts := options()
	opts.Labels = []kargo.NodeLabels{variable("N1_LABELS", "zone", "a"), variable("N2_LABELS", "rack", "7")}
	opts.Refuses = func(_ kargo.Stack, change kargo.Change) []string {
		if change.Node != nil && change.Node.Labels["zone"] != "" {
			return []string{"sets the label zone of a node"}
		}
		return nil
	}
	p := plan.Make(nil, kargo.Cluster{Nodes: []kargo.LiveNode{node("n1"), node("n2")}}, opts)
	check(t, p, "update node n2: labels: rack: (none) -> \"7\"\nhold node n1: sets the label zone of a node\n")
}

// What is left to others is judged like what is written: the live value of an
// ignored field is part of what is sent.
func TestS41_ACopiedLiveValueIsJudged(t *testing.T) {
	opts := options()
	opts.Refuses = refusing("evil:1")
	s := withOptions(stack("web", service("kargo-web_a", "app:1", env("A=2"))),
		kargo.StackOptions{Ignore: []string{"/Spec/TaskTemplate/ContainerSpec/Image"}, Resolve: kargo.ResolveNever})
	running := live("web", "kargo-web_a", "evil:1")
	running.Image = "evil:1"
	p := plan.Make([]kargo.Stack{s}, cluster(running), opts)
	if len(p.Changes) != 0 || len(p.Held) != 1 {
		t.Errorf("got\n%s", p)
	}
}

// Drift is left as it is only as far as the operator permits what then runs.
func TestS41_DriftThatTheOperatorRefusesIsCorrected(t *testing.T) {
	opts := options()
	opts.Refuses = refusing("evil:1")
	opts.Memory.Sent = arrived("kargo-web_a", "app:1")
	s := withOptions(stack("web", service("kargo-web_a", "app:1")), kargo.StackOptions{Drift: kargo.DriftOff, Resolve: kargo.ResolveNever})
	harmless := scaled(live("web", "kargo-web_a", "app:1"), 5)
	if p := plan.Make([]kargo.Stack{s}, cluster(harmless), opts); len(p.Changes) != 0 {
		t.Errorf("harmless drift is corrected:\n%s", p)
	}
	running := changed(live("web", "kargo-web_a", "evil:1"), func(s *swarm.ServiceSpec) {})
	if p := plan.Make([]kargo.Stack{s}, cluster(running), opts); len(p.Changes) != 1 {
		t.Errorf("drift that is refused is left:\n%s", p)
	}
}

// Swarm does not return to what the operator no longer permits: the update that takes it
// away pauses if it fails, and is sent again where Swarm went back already. The next update
// has what the workspace says.
func TestS41_SwarmDoesNotReturnToWhatIsRefused(t *testing.T) {
	rollback := func(s *swarm.ServiceSpec) {
		s.UpdateConfig = &swarm.UpdateConfig{FailureAction: swarm.UpdateFailureActionRollback}
	}
	opts := options()
	opts.Refuses = refusing("evil:1")
	opts.Memory.Sent = kargo.Sent{"kargo-web_a": {Digest: digestOf("kargo-web_a", "app:2", rollback), Reason: "another"}}
	s := withOptions(stack("web", service("kargo-web_a", "app:2", rollback)), kargo.StackOptions{Resolve: kargo.ResolveNever})
	for _, test := range []struct {
		name    string
		live    kargo.LiveService
		changes int
		action  string
	}{
		{"refused", live("web", "kargo-web_a", "evil:1", rollback), 1, swarm.UpdateFailureActionPause},
		{"refused, and Swarm went back to it", rolledBack(live("web", "kargo-web_a", "evil:1", rollback)), 1, swarm.UpdateFailureActionPause},
		{"permitted", live("web", "kargo-web_a", "app:1", rollback), 1, swarm.UpdateFailureActionRollback},
		{"permitted, and Swarm went back to it", rolledBack(live("web", "kargo-web_a", "app:1", rollback)), 0, ""},
		{"taken away", live("web", "kargo-web_a", "app:2", func(s *swarm.ServiceSpec) {
			s.UpdateConfig = &swarm.UpdateConfig{FailureAction: swarm.UpdateFailureActionPause}
		}), 1, swarm.UpdateFailureActionRollback},
	} {
		p := plan.Make([]kargo.Stack{s}, cluster(test.live), opts)
		if len(p.Changes) != test.changes {
			t.Errorf("%s: got\n%s", test.name, p)
			continue
		}
		if test.changes > 0 && p.Changes[0].Service.UpdateConfig.FailureAction != test.action {
			t.Errorf("%s: if it fails, Swarm does %q", test.name, p.Changes[0].Service.UpdateConfig.FailureAction)
		}
	}
	if s.Services[0].Spec.UpdateConfig.FailureAction != swarm.UpdateFailureActionRollback {
		t.Error("the rendering was changed")
	}
}

// The marks of ownership are never left to others.
func TestS42_OwnershipIsNotLeftToOthers(t *testing.T) {
	s := withOptions(stack("web", service("kargo-web_a", "app:1")), kargo.StackOptions{
		Ignore: []string{"/Spec/Labels"}, Adopt: true, Resolve: kargo.ResolveNever,
	})
	running := live("web", "kargo-web_a", "app:1")
	delete(running.Spec.Labels, kargo.LabelInstance)
	p := plan.Make([]kargo.Stack{s}, cluster(running), options())
	if len(p.Changes) != 1 || p.Changes[0].Service.Labels[kargo.LabelInstance] != "test" {
		t.Errorf("got\n%s", p)
	}
}
