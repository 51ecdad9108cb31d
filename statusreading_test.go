package kargo_test

import (
	"testing"

	"kargo"
)

// A conflict about one stack must not read as if nothing worked.
func TestTrouble(t *testing.T) {
	for fault, want := range map[string]string{
		"":                         "",
		kargo.Conflict.String():    "a change is in conflict with the Swarm, and is tried again",
		kargo.Invalid.String():     "a change or a value is refused",
		kargo.Internal.String():    "the controller cannot work (internal)",
		kargo.Unavailable.String(): "the controller cannot work (unavailable)",
	} {
		if got := (kargo.Status{Fault: fault}).Trouble(); got != want {
			t.Errorf("%q: %q, want %q", fault, got, want)
		}
	}
}
