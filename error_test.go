package kargo_test

import (
	"errors"
	"fmt"
	"testing"

	"kargo"
)

// TestFaultOfJoinedErrors has each pair of faults, joined in both orders and
// wrapped as packages do on the way up.
func TestFaultOfJoinedErrors(t *testing.T) {
	unavailable := kargo.Errorf(kargo.Unavailable, "git is silent")
	conflict := kargo.Errorf(kargo.Conflict, "update out of sequence")
	bug := kargo.Errorf(kargo.Internal, "panic in round")
	unclassified := errors.New("disk full")
	invalid := kargo.Errorf(kargo.Invalid, "no such image name")
	problems := kargo.Problems{{Where: kargo.Place{File: ".env", Line: 2}, Message: "no such stack"}}
	for _, test := range []struct {
		a, b error
		want kargo.Fault
	}{
		{unavailable, unavailable, kargo.Unavailable},
		{unavailable, conflict, kargo.Unavailable},
		{unavailable, bug, kargo.Unavailable},
		{unavailable, unclassified, kargo.Unavailable},
		{unavailable, invalid, kargo.Unavailable},
		{unavailable, problems, kargo.Unavailable},
		{conflict, conflict, kargo.Conflict},
		{conflict, bug, kargo.Conflict},
		{conflict, unclassified, kargo.Conflict},
		{conflict, invalid, kargo.Conflict},
		{conflict, problems, kargo.Conflict},
		{bug, bug, kargo.Internal},
		{bug, unclassified, kargo.Internal},
		{bug, invalid, kargo.Internal},
		{bug, problems, kargo.Internal},
		{unclassified, invalid, kargo.Internal},
		{unclassified, problems, kargo.Internal},
		{invalid, invalid, kargo.Invalid},
		{invalid, problems, kargo.Invalid},
		{problems, problems, kargo.Invalid},
	} {
		for _, joined := range []error{
			errors.Join(test.a, test.b),
			errors.Join(test.b, test.a),
			fmt.Errorf("carry out: %w", errors.Join(test.a, test.b)),
			errors.Join(fmt.Errorf("web: %w", test.a), errors.Join(nil, test.b)),
			fmt.Errorf("%w: %w", test.a, test.b),
		} {
			if got := kargo.FaultOf(joined); got != test.want {
				t.Errorf("%q is %s, want %s", joined, got, test.want)
			}
		}
	}
}

func TestFaultOfOneError(t *testing.T) {
	outage := kargo.Errorf(kargo.Unavailable, "git is silent")
	for _, test := range []struct {
		about string
		err   error
		want  kargo.Fault
	}{
		{"nobody classified it", errors.New("odd"), kargo.Internal},
		{"wrapped", fmt.Errorf("read head: %w", outage), kargo.Unavailable},
		{"classified anew on the way up", kargo.Errorf(kargo.Invalid, "layer: %w", outage), kargo.Invalid},
		{"problems", fmt.Errorf("read: %w", kargo.Problems{{Message: "wrong"}}), kargo.Invalid},
	} {
		if got := kargo.FaultOf(test.err); got != test.want {
			t.Errorf("%s: %q is %s, want %s", test.about, test.err, got, test.want)
		}
	}
}

func TestHintsStandApart(t *testing.T) {
	hinted := func(text, hint string) error {
		return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: ".env", Line: 2}, Err: errors.New(text), Hint: hint}
	}
	web := hinted("no stack wbe", "did you mean web?")
	for _, test := range []struct {
		about                 string
		err                   error
		text, hint, explained string
	}{
		{"none", errors.New("odd"), "odd", "", "odd"},
		{"one", web, ".env:2: no stack wbe", "did you mean web?", ".env:2: no stack wbe (did you mean web?)"},
		{"in the middle", fmt.Errorf("read revision: %w", web),
			"read revision: .env:2: no stack wbe", "did you mean web?", "read revision: .env:2: no stack wbe (did you mean web?)"},
		{"one in another", &kargo.Error{Hint: "push another", Err: web},
			".env:2: no stack wbe", "push another; did you mean web?", ".env:2: no stack wbe (push another; did you mean web?)"},
		{"joined", errors.Join(web, hinted("no stack ap", "did you mean app?")),
			".env:2: no stack wbe\n.env:2: no stack ap", "did you mean web?; did you mean app?",
			".env:2: no stack wbe (did you mean web?)\n.env:2: no stack ap (did you mean app?)"},
		{"twice the same", fmt.Errorf("%w; %w", web, web),
			".env:2: no stack wbe; .env:2: no stack wbe", "did you mean web?", ".env:2: no stack wbe; .env:2: no stack wbe (did you mean web?)"},
	} {
		for what, texts := range map[string][2]string{
			"text": {test.err.Error(), test.text}, "hint": {kargo.HintOf(test.err), test.hint}, "explained": {kargo.Explain(test.err), test.explained},
		} {
			if texts[0] != texts[1] {
				t.Errorf("%s, %s:\n got %q\nwant %q", test.about, what, texts[0], texts[1])
			}
		}
	}
}
