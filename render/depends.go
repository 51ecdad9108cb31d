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

// readHooks reads <STACK>_BEFORE and <STACK>_AFTER: jobs of the stack that
// must complete before the rest of it changes, and jobs that run once the rest
// is healthy.
func (w *work) readHooks(config *types.Config) {
	for _, hook := range []struct {
		suffix kargo.Suffix
		names  *[]string
	}{{kargo.SuffixBefore, &w.before}, {kargo.SuffixAfter, &w.after}} {
		variable := hook.suffix.Of(w.name)
		for _, name := range w.ws.Env.List(variable) {
			if w.isJob(config, variable, name) {
				*hook.names = append(*hook.names, name)
			}
		}
	}
	w.checkHooks(config)
}

// checkHooks refuses jobs that would have to wait for what waits for them.
func (w *work) checkHooks(config *types.Config) {
	if len(w.before)+len(w.after) == 0 || w.failed {
		return
	}
	var names []string
	edges := map[string][]string{}
	for _, service := range config.Services {
		names = append(names, service.Name)
		for _, need := range w.serviceNeeds(config, service) {
			edges[service.Name] = append(edges[service.Name], strings.TrimPrefix(need.Service, w.namespace+"_"))
		}
	}
	for _, cycle := range cycles(names, edges) {
		w.fail(w.variable(kargo.SuffixBefore.Of(w.name)), "a job that comes before the rest cannot depend on it",
			"services wait for each other: %s", strings.Join(append(cycle, cycle[0]), " -> "))
	}
}

// isJob tells whether a service named by a variable is a job of the stack; it
// reports one that is not.
func (w *work) isJob(config *types.Config, variable, name string) bool {
	var names []string
	for _, service := range config.Services {
		names = append(names, service.Name)
		if service.Name != name {
			continue
		}
		if !strings.HasSuffix(service.Deploy.Mode, "-job") {
			w.fail(w.variable(variable), "give it deploy.mode: replicated-job", "%s names %q, which is no job", variable, name)
			return false
		}
		return true
	}
	w.fail(w.variable(variable), kargo.DidYouMean(name, names), "%s names %q, which is not in stack %q", variable, name, w.name)
	return false
}

// hookNeeds are what a service waits for because of the stack's hooks.
func (w *work) hookNeeds(config *types.Config, service string) []kargo.Need {
	var needs []kargo.Need
	if slices.Contains(w.before, service) {
		return nil
	}
	for _, job := range w.before {
		needs = append(needs, kargo.Need{Service: w.namespace + "_" + job, Condition: kargo.NeedCompleted})
	}
	if !slices.Contains(w.after, service) {
		return needs
	}
	for _, other := range config.Services {
		if !slices.Contains(w.before, other.Name) && !slices.Contains(w.after, other.Name) {
			needs = append(needs, kargo.Need{Service: w.namespace + "_" + other.Name, Condition: kargo.NeedHealthy})
		}
	}
	return needs
}

// serviceNeeds are what a service waits for, in Swarm's names. What is not in
// the stack was warned of.
func (w *work) serviceNeeds(config *types.Config, service types.ServiceConfig) []kargo.Need {
	needs := w.hookNeeds(config, service.Name)
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
