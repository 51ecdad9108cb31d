package render

import (
	"cmp"
	"slices"
	"strings"

	"kargo/render/compose"
	"kargo/render/view"
	"kargo/spelling"

	"kargo"
)

// stackNeeds returns the stacks that each stack waits for. All are checked,
// even if only some are rendered: a cycle is wrong wherever it is.
func stackNeeds(ws *view.Workspace, report *compose.Report, stacks []string) map[string][]string {
	needs, known := map[string][]string{}, asSet(stacks)
	for _, stack := range stacks {
		variable, own := kargo.SuffixNeeds.Of(stack), ws.For(stack)
		for _, need := range own.List(variable) {
			switch {
			case !known[need]:
				report.Fail(own.PlaceOf(variable), cmp.Or(kargo.ListHint(variable, own.Value(variable)), spelling.DidYouMean(need, stacks)),
					"stack %q needs %q, which is %s", stack, need, notListed(ws))
			case !slices.Contains(needs[stack], need):
				needs[stack] = append(needs[stack], need)
			}
		}
	}
	for _, cycle := range cycles(stacks, needs) {
		report.Fail(ws.For(cycle[0]).PlaceOf(kargo.SuffixNeeds.Of(cycle[0])), "one of them must come first",
			"stacks need each other: %s", strings.Join(append(cycle, cycle[0]), " -> "))
	}
	return needs
}

// cycles returns the cycles of a graph, each one once. The names are its nodes,
// in the order in which they are visited.
func cycles(names []string, edges map[string][]string) [][]string {
	var found [][]string
	var trail []string
	position, done := map[string]int{}, map[string]bool{} // position: of what is in the trail
	var visit func(name string)
	visit = func(name string) {
		if i, isPart := position[name]; isPart {
			found = append(found, slices.Clone(trail[i:]))
			return
		}
		if done[name] {
			return
		}
		position[name] = len(trail)
		trail = append(trail, name)
		for _, next := range edges[name] {
			visit(next)
		}
		trail = trail[:len(trail)-1]
		delete(position, name)
		done[name] = true
	}
	for _, name := range names {
		visit(name)
	}
	return found
}
