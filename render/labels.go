package render

import (
	"maps"
	"slices"
	"strings"

	"kargo"
)

// NodeLabels are the variables <NODE>_LABELS of a workspace, by name. Which
// nodes there are, and so whether any of them is meant, only the Swarm knows.
func NodeLabels(ws kargo.Workspace) ([]kargo.NodeLabels, kargo.Problems) {
	r := &renderer{ws: ws}
	var all []kargo.NodeLabels
	for _, variable := range slices.Sorted(maps.Keys(ws.Env)) {
		if node, isLabels := strings.CutSuffix(variable, string(kargo.SuffixLabels)); isLabels && node != "" {
			all = append(all, kargo.NodeLabels{Variable: variable, Where: ws.Lines[variable], Labels: r.labels(variable)})
		}
	}
	return all, r.problems.Sort()
}

// labels takes one variable apart: key=value, or a key alone, between blanks.
func (r *renderer) labels(variable string) map[string]string {
	labels := map[string]string{}
	for _, item := range r.ws.Env.List(variable) {
		key, value, _ := strings.Cut(item, "=")
		before, taken := labels[key]
		switch {
		case key == "":
			r.fail(r.variable(variable), `labels are written key=value, with blanks between them`, "%s has a label without a key: %q", variable, item)
			continue
		case strings.HasPrefix(key, kargo.LabelNodeLabels):
			r.fail(r.variable(variable), "", "%s sets %s, in which Kargo notes which labels are its own", variable, key)
			continue
		case taken && before != value:
			r.warn(r.variable(variable), "", "%s sets %s twice; %q counts", variable, key, value)
		}
		labels[key] = value
	}
	return labels
}
