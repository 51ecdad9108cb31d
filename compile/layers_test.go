package compile_test

import (
	"testing"

	"kargo"
	"kargo/compile"
)

func TestLayerNames(t *testing.T) {
	for _, names := range [][]string{{"user"}, {"default"}, {"rendered"}, {""}, {"a+b"}, {"a@b"}, {"../x"}, {"Base"}, {"base", "base"}} {
		var shared []compile.SharedLayer
		for _, name := range names {
			shared = append(shared, compile.SharedLayer{Name: name})
		}
		if _, err := compile.NewLayers(nil, shared...); kargo.FaultOf(err) != kargo.Invalid {
			t.Errorf("%q: %v", names, err)
		}
	}
}
