package kargo

import (
	"reflect"
	"testing"
)

// While a deployment goes on it names the stacks that it is about.
func TestResults(t *testing.T) {
	d := Deployment{
		Outcome: OutcomeRunning, Stacks: []StackResult{{Name: "shop", Verdict: VerdictUnchanged}, {Name: "crm", Verdict: VerdictAdded}},
		Changes: []Change{{Action: Remove, Stack: "old", Name: "old_web"}, {Action: Update, Stack: "shop", Name: "shop_web"}, {Action: Create, Name: "network"}},
	}
	want := []StackResult{{Name: "shop", Verdict: VerdictChanged}, {Name: "crm", Verdict: VerdictAdded}, {Name: "old", Verdict: VerdictRemoved}}
	if got := d.Results(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	d.Outcome = OutcomeSucceeded
	if got := d.Results(); !reflect.DeepEqual(got, d.Stacks) {
		t.Errorf("after its end got %+v", got)
	}
}

func TestSentenceWithoutSwarm(t *testing.T) {
	status := Status{Fault: "unavailable", SwarmTrouble: "no answer", Applied: Revision{Commit: "a"}, Stacks: []StackStatus{{Name: "shop", InSync: true, Health: HealthHealthy}}}
	if got, want := status.Sentence(), "the Swarm cannot be reached; as the Swarm was last seen, shop is well"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
