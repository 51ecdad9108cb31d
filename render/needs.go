package render

import (
	"slices"
	"strings"

	"kargo"
)

// needs are the stacks that each stack waits for. It covers all of STACKS,
// also where only some are rendered: a cycle is wrong wherever it is.
func (r *renderer) needs() map[string][]string {
	needs := map[string][]string{}
	for _, stack := range r.stacks {
		variable := kargo.SuffixNeeds.Of(stack)
		for _, need := range r.ws.Env.List(variable) {
			switch {
			case !slices.Contains(r.stacks, need):
				r.fail(r.variable(variable), kargo.DidYouMean(need, r.stacks),
					"stack %q needs %q, which is not in STACKS", stack, need)
			case !slices.Contains(needs[stack], need):
				needs[stack] = append(needs[stack], need)
			}
		}
	}
	for _, cycle := range cycles(r.stacks, needs) {
		r.fail(r.variable(kargo.SuffixNeeds.Of(cycle[0])), "one of them must come first",
			"stacks need each other: %s", strings.Join(append(cycle, cycle[0]), " -> "))
	}
	return needs
}

// cycles are the circles that following edges from the names in order runs
// into, each one once.
func cycles(names []string, edges map[string][]string) [][]string {
	var found [][]string
	var trail []string
	done := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if i := slices.Index(trail, name); i >= 0 {
			found = append(found, slices.Clone(trail[i:]))
			return
		}
		if done[name] {
			return
		}
		trail = append(trail, name)
		for _, next := range edges[name] {
			visit(next)
		}
		trail = trail[:len(trail)-1]
		done[name] = true
	}
	for _, name := range names {
		visit(name)
	}
	return found
}
