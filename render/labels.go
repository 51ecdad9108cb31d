package render

import (
	"maps"
	"slices"
	"strings"

	"kargo/render/compose"

	"kargo"
)

// NodeLabels returns the variables <NODE>_LABELS of a workspace, in order of
// name, and what is wrong with them. Whether a node of that name exists only
// the Swarm knows.
func NodeLabels(ws kargo.Workspace) ([]kargo.NodeLabels, kargo.Problems) {
	report := &compose.Report{}
	var all []kargo.NodeLabels
	for _, variable := range slices.Sorted(maps.Keys(ws.Env)) {
		if node, isLabels := strings.CutSuffix(variable, string(kargo.SuffixLabels)); isLabels && node != "" {
			all = append(all, kargo.NodeLabels{Variable: variable, Where: ws.Lines[variable], Labels: labelsOf(ws, report, variable)})
		}
	}
	return all, report.Problems()
}

// labelsOf parses one variable: key=value, or a key alone, separated by blanks.
func labelsOf(ws kargo.Workspace, report *compose.Report, variable string) map[string]string {
	labels := map[string]string{}
	for _, item := range ws.Env.List(variable) {
		key, value, _ := strings.Cut(item, "=")
		before, taken := labels[key]
		switch {
		case key == "":
			report.Fail(ws.PlaceOf(variable), `write labels as key=value, separated by blanks`, "%s has a label without a key: %q", variable, item)
			continue
		case strings.HasPrefix(key, kargo.LabelNodeLabels):
			report.Fail(ws.PlaceOf(variable), "", "%s sets %s, which Kargo itself writes", variable, key)
			continue
		case taken && before != value:
			report.Warn(ws.PlaceOf(variable), "", "%s sets %s twice; %q counts", variable, key, value)
		}
		labels[key] = value
	}
	return labels
}
