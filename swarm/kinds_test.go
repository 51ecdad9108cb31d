package swarm

import (
	"testing"

	"kargo"
)

func TestKindsHaveARowEach(t *testing.T) {
	for _, kind := range kargo.Kinds() {
		row, exists := kinds[kind]
		if !exists {
			t.Errorf("kinds has no row for a %s", kind)
			continue
		}
		if row.events == "" {
			t.Errorf("no events of a %s are watched", kind)
		}
		if row.create == nil && row.update == nil && row.remove == nil {
			t.Errorf("nothing can be done to a %s", kind)
		}
	}
	if len(kinds) != len(kargo.Kinds()) {
		t.Error("kinds has rows for more than kargo.Kinds")
	}
}
