package kargo_test

import (
	"testing"

	"kargo"
)

func TestRevisionID(t *testing.T) {
	for _, test := range []struct {
		revision  kargo.Revision
		id, short string
	}{
		{kargo.Revision{}, "", ""},
		{kargo.Revision{Commit: "0123456789abcdef0123456789abcdef01234567"},
			"0123456789abcdef0123456789abcdef01234567", "0123456789ab"},
		{kargo.Revision{Commit: "dir-0123456789abcdef"}, "dir-0123456789abcdef", "dir-01234567"},
		{kargo.Revision{Commit: "0123456789abcdef", Layers: []kargo.LayerRevision{
			{Name: "base", Commit: "fedcba9876543210"}, {Name: "site", Commit: "dir-aaaaaaaabbbbbbbb"}}},
			"0123456789abcdef+base@fedcba9876543210+site@dir-aaaaaaaabbbbbbbb", "0123456789ab+base@fedcba987654+site@dir-aaaaaaaa"},
	} {
		id := test.revision.ID()
		if string(id) != test.id || id.Short() != test.short {
			t.Errorf("%+v: ID %q, short %q; want %q, %q", test.revision, id, id.Short(), test.id, test.short)
		}
		if again := id.Revision(); again.ID() != id {
			t.Errorf("%q read back is %q", id, again.ID())
		}
	}
}
