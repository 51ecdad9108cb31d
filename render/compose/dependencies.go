package compose

import (
	"maps"
	"slices"
	"strings"

	"kargo"
	"kargo/spelling"
)

// dependency is a service that waits for another one.
type dependency struct{ service, other string }

// needConditions are the words of depends_on.
var needConditions = []kargo.NeedCondition{kargo.NeedStarted, kargo.NeedHealthy, kargo.NeedCompleted}

// shortDependencies notes the conditions of depends_on in its long form, which
// Docker's loader refuses, and replaces it by the short form.
func shortDependencies(s *reading, f *File, service string) {
	dict := f.Service(service)
	long, isLong := dict["depends_on"].(map[string]any)
	if !isLong {
		return
	}
	names := []any{}
	for _, other := range slices.Sorted(maps.Keys(long)) {
		names = append(names, other)
		s.conditions[dependency{service, other}] = readCondition(s.report, f, service, other, long[other])
	}
	dict["depends_on"] = names
}

// readCondition reads one entry of the long form.
func readCondition(report *Report, f *File, service, other string, entry any) kargo.NeedCondition {
	settings, _ := entry.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name != "condition" {
			report.Warn(f.At("services", service, "depends_on", other, name), "", "services.%s.depends_on.%s.%s has no meaning in Swarm", service, other, name)
		}
	}
	text, isText := settings["condition"].(string)
	if condition := kargo.NeedCondition(text); slices.Contains(needConditions, condition) {
		return condition
	}
	if isText || settings["condition"] != nil {
		var words []string
		for _, condition := range needConditions {
			words = append(words, string(condition))
		}
		report.Fail(f.At("services", service, "depends_on", other, "condition"), spelling.DidYouMean(text, words),
			"services.%s.depends_on.%s: condition %q is not one of %s", service, other, text, strings.Join(words, ", "))
	}
	return kargo.NeedStarted
}
