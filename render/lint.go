package render

import (
	"maps"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/types"

	"kargo"
)

// dropped are properties that the converter forgets without a word. The rest
// is named by the loader's own lists.
var dropped = []string{"tmpfs", "oom_score_adj"}

// lint warns of what will have no effect in Swarm, and checks depends_on.
func (w *work) lint(config *types.Config) {
	for _, l := range w.layers {
		for _, name := range l.serviceNames() {
			w.lintService(l, name)
		}
	}
	w.checkDependencies(config)
}

func (w *work) lintService(l *layer, name string) {
	service := l.serviceDict(name)
	for _, property := range slices.Sorted(maps.Keys(service)) {
		at := l.at("services", name, property)
		switch {
		case property == "restart":
			w.warn(at, "use deploy.restart_policy", "services.%s.restart counts only where deploy.restart_policy says nothing", name)
		case slices.Contains(types.UnsupportedProperties, property), slices.Contains(dropped, property):
			w.warn(at, "", "services.%s.%s is ignored by Swarm", name, property)
		case types.DeprecatedProperties[property] != "":
			w.warn(at, "", "services.%s.%s is ignored: %s", name, property, types.DeprecatedProperties[property])
		}
	}
	w.lintPorts(l, name)
	networks, _ := service["networks"].(map[string]any)
	for _, network := range slices.Sorted(maps.Keys(networks)) {
		settings, _ := networks[network].(map[string]any)
		for _, property := range []string{"ipv4_address", "ipv6_address"} {
			if _, set := settings[property]; set {
				path := []string{"services", name, "networks", network, property}
				w.warn(l.at(path...), "", "%s is ignored by Swarm", strings.Join(path, "."))
			}
		}
	}
}

// checkDependencies checks depends_on: it must not go in circles.
func (w *work) checkDependencies(config *types.Config) {
	var names []string
	edges := map[string][]string{}
	for _, service := range config.Services {
		names = append(names, service.Name)
		edges[service.Name] = service.DependsOn
	}
	for _, name := range names {
		for _, other := range edges[name] {
			if !slices.Contains(names, other) {
				w.warn(w.place("services", name, "depends_on", other), kargo.DidYouMean(other, names),
					"services.%s depends on %q, which is not in stack %q", name, other, w.name)
			}
		}
	}
	for _, cycle := range cycles(names, edges) {
		w.fail(w.place("services", cycle[0], "depends_on"), "one of them must come first",
			"services depend on each other: %s", strings.Join(append(cycle, cycle[0]), " -> "))
	}
}
