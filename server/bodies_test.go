package server

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// What is given up if bodies become too much: the largest one of the address that has
// most.
func TestS47_WhichBodyIsGivenUp(t *testing.T) {
	type arrives struct {
		from string
		size int
	}
	for _, test := range []struct {
		name   string
		bodies []arrives // in this order
		lost   []int
	}{
		{"none, up to the limit", []arrives{{"a", 50}, {"b", 50}}, nil},
		{"the largest", []arrives{{"a", 30}, {"b", 50}, {"c", 30}}, []int{1}},
		{"of the address that has most", []arrives{{"a", 20}, {"a", 30}, {"b", 45}, {"c", 10}}, []int{1}},
		{"the one that grows", []arrives{{"a", 30}, {"b", 80}}, []int{1}},
		{"several", []arrives{{"a", 45}, {"b", 45}, {"c", 95}}, []int{2}},
	} {
		all := newBodies(100)
		var lost []int
		var open []*body
		for i, arriving := range test.bodies {
			one := all.add(strings.NewReader(strings.Repeat("x", arriving.size)), arriving.from, func() { lost = append(lost, i) })
			open = append(open, one)
			data, err := io.ReadAll(one)
			if gone := slices.Contains(lost, i); gone != (err != nil) || !gone && len(data) != arriving.size {
				t.Errorf("%s: body %d: %d bytes, %v", test.name, i, len(data), err)
			}
		}
		if !slices.Equal(lost, test.lost) {
			t.Errorf("%s: lost are %v", test.name, lost)
		}
		for i, one := range open {
			if one.close() != slices.Contains(lost, i) {
				t.Errorf("%s: body %d does not say whether it was given up", test.name, i)
			}
		}
		if all.all != 0 || len(all.open) != 0 {
			t.Errorf("%s: %d bytes are left of %d bodies", test.name, all.all, len(all.open))
		}
	}
}
