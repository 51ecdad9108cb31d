package plan

import (
	"slices"
	"testing"

	"kargo"
)

func TestEveryKindHasAnOrderOfRemoval(t *testing.T) {
	for _, kind := range kargo.Kinds() {
		if kind != kargo.KindNode && !slices.Contains(removalOrder, kind) {
			t.Errorf("removalOrder does not say when a %s is removed", kind)
		}
	}
}
