package kargo_test

import (
	"testing"

	"kargo"
)

// A kept digest is that of the stack, also in copies, and goes to no other contents.
func TestKeptDigests(t *testing.T) {
	plain := kargo.Stack{Name: "web", Services: []kargo.Service{{Name: "kargo-web_a"}}, Key: []byte("key")}
	kept := plain.KeepDigest()
	copied := kept
	copied.Options.Protect = true // is no part of the digest
	for what, stack := range map[string]kargo.Stack{"kept": kept, "a copy": copied, "a copy that keeps it": copied.KeepDigestOf(kept)} {
		if stack.Digest() != plain.Digest() {
			t.Errorf("%s has another digest", what)
		}
	}
	for what, other := range map[string]kargo.Stack{
		"other services": {Name: "web", Services: []kargo.Service{{Name: "kargo-web_b"}}, Key: plain.Key},
		"no services":    {Name: "web", Key: plain.Key},
		"another key":    {Name: "web", Services: plain.Services, Key: []byte("other")},
		"other needs":    {Name: "web", Services: plain.Services, Key: plain.Key, Needs: []string{"dbs"}},
		"a network":      {Name: "web", Services: plain.Services, Key: plain.Key, Networks: []kargo.Network{{Name: "n"}}},
		"a config":       {Name: "web", Services: plain.Services, Key: plain.Key, Configs: []kargo.Config{{Name: "c"}}},
	} {
		if got, want := other.KeepDigestOf(kept).Digest(), other.Digest(); got != want || got == plain.Digest() {
			t.Errorf("%s: the digest is %s, want %s", what, got, want)
		}
	}
}
