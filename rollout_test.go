package kargo

import "testing"

func TestBriefly(t *testing.T) {
	for _, test := range []struct {
		reason string
		words  []string
		want   string
	}{
		{"app: rollback completed: task: non-zero exit (1)", []string{"app on node-1: failed: task: non-zero exit (1)", "log: no"}, "app: rollback completed"},
		{"app: update paused", []string{"app on node-1: failed: no such image"}, "app: update paused"},
		{"Docker refuses it: a port is taken", nil, "Docker refuses it: a port is taken"},
	} {
		if got := (Failure{Reason: test.reason, Words: test.words}).Briefly(); got != test.want {
			t.Errorf("%q with %q: got %q, want %q", test.reason, test.words, got, test.want)
		}
	}
}

func TestHoldsInWords(t *testing.T) {
	held := Plan{Held: []Hold{
		{Kind: KindService, Name: "a", Reason: "frozen; it would be updated: x", Because: "frozen", Would: "would be updated: x"},
		{Name: "crm", Reason: "failed"},
		{Kind: KindService, Name: "b", Reason: "frozen; it would be created: new", Because: "frozen", Would: "would be created: new"},
	}}
	want := "hold frozen:\n    service a: would be updated: x\n    service b: would be created: new\nhold stack crm: failed\n"
	if got := held.InWords(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	missing := Plan{Held: []Hold{{Kind: KindNetwork, Stack: "a", Name: "proxy", Reason: "does not exist"}, {Kind: KindNetwork, Stack: "b", Name: "proxy", Reason: "does not exist"}}}
	if got, want := missing.InWords(), "hold network proxy: does not exist (stacks a, b)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want = "hold service a: frozen; it would be updated: x\nhold stack crm: failed\nhold service b: frozen; it would be created: new\n"
	if got := held.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
