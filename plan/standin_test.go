package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/plan"
)

// A stack web wants app:2; app:1 came up before.
func TestStandIn(t *testing.T) {
	good := stack("web", service("kargo-web_a", "app:1"))
	failed := kargo.Rollout{
		Digest: "of app:2", Good: good.Digest(), GoodRevision: "c1",
		Failed: &kargo.Failure{Revision: "c2", Reason: "3 tasks failed"},
	}
	absent := kargo.Hold{Kind: kargo.KindService, Stack: "web", Name: "kargo-web_a", Reason: "there is no image app:2", Failed: true}
	for _, test := range []struct {
		name    string
		then    kargo.OnFailure
		rollout kargo.Rollout
		absent  bool
		good    func(*kargo.Stack) // changes what was kept; nil: it cannot be read
		want    string
	}{
		{
			name: "nothing has failed",
			then: kargo.FailureRollback, rollout: kargo.Rollout{Digest: "of app:2", Good: good.Digest()},
			want: "runs app:2",
		},
		{
			name: "the last good rendering runs in place of one that failed",
			then: kargo.FailureRollback, rollout: failed, good: func(*kargo.Stack) {},
			want: "needs the good rendering, runs app:1, " +
				"hold stack web: the rendering of c2 failed: 3 tasks failed; the one of c1 runs instead until the workspace changes, or `kargo retry web`",
		},
		{
			name: "unless the workspace wants the stack held",
			then: kargo.FailureHold, rollout: failed, good: func(*kargo.Stack) {},
			want: "runs app:2, frozen: the rendering of c2 failed: 3 tasks failed; nothing is done until the workspace changes, or `kargo retry web`",
		},
		{
			name: "or the failure ignored",
			then: kargo.FailureContinue, rollout: failed, good: func(*kargo.Stack) {},
			want: "runs app:2",
		},
		{
			name: "none has come up yet",
			then: kargo.FailureRollback, rollout: kargo.Rollout{Digest: "of app:2", Failed: failed.Failed}, good: func(*kargo.Stack) {},
			want: "runs app:2, frozen: the rendering of c2 failed: 3 tasks failed; nothing is done until the workspace changes, or `kargo retry web`",
		},
		{
			name: "the good rendering cannot be read",
			then: kargo.FailureRollback, rollout: failed,
			want: "needs the good rendering, runs app:2, " +
				"frozen: the rendering of c2 failed: 3 tasks failed; nothing is done until the workspace changes, or `kargo retry web`, " +
				"unusable: it cannot be read",
		},
		{
			name: "the good rendering is another one than is remembered",
			then: kargo.FailureRollback, rollout: failed,
			good: func(s *kargo.Stack) { s.Services[0].Spec.TaskTemplate.ContainerSpec.Image = "app:0" },
			want: "needs the good rendering, runs app:2, " +
				"frozen: the rendering of c2 failed: 3 tasks failed; nothing is done until the workspace changes, or `kargo retry web`, " +
				"unusable: what was kept is another rendering",
		},
		{
			name: "the operator's policy has changed since",
			then: kargo.FailureRollback, rollout: failed,
			good: func(s *kargo.Stack) { s.Permitted = "by an older policy" },
			want: "needs the good rendering, runs app:2, " +
				"frozen: the rendering of c2 failed: 3 tasks failed; nothing is done until the workspace changes, or `kargo retry web`, " +
				"unusable: it was permitted by another policy than today's",
		},
		{
			name: "the last good rendering runs where an image is not available, whatever ON_FAILURE says",
			then: kargo.FailureHold, rollout: kargo.Rollout{Digest: "of app:2", Good: good.Digest()}, absent: true, good: func(*kargo.Stack) {},
			want: "needs the good rendering, runs app:1, hold service kargo-web_a: there is no image app:2",
		},
		{
			name: "without one the plan itself holds what is not available",
			then: kargo.FailureRollback, rollout: kargo.Rollout{Digest: "of app:2"}, absent: true,
			want: "runs app:2",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			desired := []kargo.Stack{withOptions(stack("web", service("kargo-web_a", "app:2")), kargo.StackOptions{OnFailure: test.then})}
			memory := plan.Memory{Memory: kargo.Memory{Rollouts: map[string]kargo.Rollout{"web": test.rollout}}}
			if test.absent {
				memory.Absent = map[string]kargo.Hold{"web": absent}
			}
			if test.good != nil {
				kept := stack("web", service("kargo-web_a", "app:1"))
				test.good(&kept)
				memory.Good = map[string]kargo.Stack{"web": kept}
			}
			got := describe(plan.NeedGood(desired, memory), plan.StandIn(desired, memory))
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// describe returns what StandIn returned for stack web, as text.
func describe(needed []string, in plan.StandIns) string {
	var parts []string
	if len(needed) > 0 {
		parts = append(parts, "needs the good rendering")
	}
	parts = append(parts, "runs "+in.Stacks[0].Services[0].Spec.TaskTemplate.ContainerSpec.Image)
	if hold, held := in.Holds["web"]; held {
		parts = append(parts, hold.String())
	}
	if frozen := in.Frozen["web"]; frozen != "" {
		parts = append(parts, "frozen: "+frozen)
	}
	if unusable := in.Unusable["web"]; unusable != "" {
		parts = append(parts, "unusable: "+unusable)
	}
	return strings.Join(parts, ", ")
}

// A good rendering runs with the options and needs that the stack has now.
func TestStandInHasTodaysOptions(t *testing.T) {
	good := stack("web", service("kargo-web_a", "app:1"))
	desired := needing(withOptions(stack("web", service("kargo-web_a", "app:2")), kargo.StackOptions{OnFailure: kargo.FailureRollback, Protect: true}), "dbs")
	memory := plan.Memory{Good: map[string]kargo.Stack{"web": good}}
	memory.Rollouts = map[string]kargo.Rollout{"web": {Digest: "of app:2", Good: good.Digest(), Failed: &kargo.Failure{}}}
	memory.Adopted = map[string]bool{"web": true}
	in := plan.StandIn([]kargo.Stack{desired}, memory).Stacks[0]
	if !in.Options.Protect || !in.Options.Adopt || len(in.Needs) != 1 {
		t.Errorf("options %+v, needs %v", in.Options, in.Needs)
	}
}

func TestDriftBackoff(t *testing.T) {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var got []string
	now, backoff := start, plan.DriftBackoff{}
	for range 9 { // somebody undoes each correction at once
		backoff = backoff.Corrected(now)
		pause := max(backoff.Until.Sub(now), 0)
		got = append(got, pause.String())
		now = now.Add(max(pause, time.Second))
	}
	if want := "[0s 0s 0s 1m0s 2m0s 4m0s 8m0s 10m0s 10m0s]"; fmt.Sprint(got) != want {
		t.Errorf("pauses %v, want %v", got, want)
	}
	if later := backoff.Corrected(now.Add(11 * time.Minute)); later.Corrections != 1 {
		t.Errorf("after a quiet time there are %d corrections", later.Corrections)
	}
}
