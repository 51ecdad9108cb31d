package render

import (
	"maps"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/types"

	"kargo"
)

// conditions are the words of depends_on, and what they ask for.
var conditions = []kargo.NeedCondition{kargo.NeedStarted, kargo.NeedHealthy, kargo.NeedCompleted}

// plainDependencies notes the conditions of depends_on in its long form, which
// Docker's loader refuses, and leaves the short form in its place.
func (w *work) plainDependencies(l *layer, service string) {
	dict := l.serviceDict(service)
	long, isLong := dict["depends_on"].(map[string]any)
	if !isLong {
		return
	}
	names := []any{}
	for _, other := range slices.Sorted(maps.Keys(long)) {
		names = append(names, other)
		w.needs[service+"\x00"+other] = w.condition(l, service, other, long[other])
	}
	dict["depends_on"] = names
}

// condition reads one entry of the long form.
func (w *work) condition(l *layer, service, other string, entry any) kargo.NeedCondition {
	settings, _ := entry.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name != "condition" {
			w.warn(l.at("services", service, "depends_on", other, name), "", "services.%s.depends_on.%s.%s has no meaning in Swarm", service, other, name)
		}
	}
	text, isText := settings["condition"].(string)
	if condition := kargo.NeedCondition(text); slices.Contains(conditions, condition) {
		return condition
	}
	if isText || settings["condition"] != nil {
		var words []string
		for _, condition := range conditions {
			words = append(words, string(condition))
		}
		w.fail(l.at("services", service, "depends_on", other, "condition"), kargo.DidYouMean(text, words),
			"services.%s.depends_on.%s: condition %q is none of %s", service, other, text, strings.Join(words, ", "))
	}
	return kargo.NeedStarted
}

// serviceNeeds are what a service waits for, in Swarm's names. What is not in
// the stack was warned of.
func (w *work) serviceNeeds(config *types.Config, service types.ServiceConfig) []kargo.Need {
	var needs []kargo.Need
	for _, other := range slices.Compact(slices.Sorted(slices.Values(service.DependsOn))) {
		if !slices.ContainsFunc(config.Services, func(s types.ServiceConfig) bool { return s.Name == other }) {
			continue
		}
		condition := w.needs[service.Name+"\x00"+other]
		if condition == "" {
			condition = kargo.NeedStarted
		}
		needs = append(needs, kargo.Need{Service: w.namespace + "_" + other, Condition: condition})
	}
	return needs
}
