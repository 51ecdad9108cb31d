package plan

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/docker/docker/api/types/swarm"
	"pgregory.net/rapid"
)

// A spec as a tree is what JSON makes of it, whatever fields it has.
func TestTreesAreThoseOfJSON(t *testing.T) {
	check := func(t rapid.TB, spec swarm.ServiceSpec) {
		t.Helper()
		data, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if got := asTree(spec); !reflect.DeepEqual(got, want) {
			t.Fatalf("the tree is\n%v\nand JSON has\n%v", got, want)
		}
	}
	check(t, swarm.ServiceSpec{})
	check(t, swarm.ServiceSpec{Annotations: swarm.Annotations{Name: "not \xff\xfe UTF-8", Labels: map[string]string{"k\xff": "v\x80"}}})
	rapid.Check(t, func(t *rapid.T) {
		var one, other swarm.ServiceSpec
		pair := specPair{random: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), differing: 2}
		pair.fill(reflect.ValueOf(&one).Elem(), reflect.ValueOf(&other).Elem())
		check(t, one)
	})
}
