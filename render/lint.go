package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/types"

	"kargo/pattern"
	"kargo/render/compose"
	"kargo/spelling"
)

// dropped are properties that the converter ignores without a message, beside
// those in the loader's own lists.
var dropped = []string{"tmpfs", "oom_score_adj"}

// inSwarm says what to do in the place of a property that Swarm ignores.
var inSwarm = map[string]string{
	"build":        "build and push the image, and name it with image:",
	"links":        "the services of a stack reach each other by their names",
	"privileged":   "name the capabilities that it needs in cap_add",
	"network_mode": "use networks; the network of the node is an external one of the name host",
}

// lint warns of what has no effect in Swarm, file by file, and checks
// depends_on.
func lint(s *rendering) {
	for _, file := range s.files.Files {
		for _, name := range file.ServiceNames() {
			lintService(s, file, name)
		}
	}
	checkDependencies(s)
}

func lintService(s *rendering, file *compose.File, name string) {
	service := file.Service(name)
	for _, property := range slices.Sorted(maps.Keys(service)) {
		at := file.At("services", name, property)
		switch {
		case property == "restart":
			s.report.Warn(at, "use deploy.restart_policy", "services.%s.restart has an effect only without deploy.restart_policy", name)
		case slices.Contains(types.UnsupportedProperties, property), slices.Contains(dropped, property):
			s.report.Warn(at, inSwarm[property], "services.%s.%s is ignored by Swarm", name, property)
		case types.DeprecatedProperties[property] != "":
			s.report.Warn(at, "", "services.%s.%s is ignored: %s", name, property, types.DeprecatedProperties[property])
		}
	}
	lintPorts(s, file, name)
	networks, _ := service["networks"].(map[string]any)
	for _, network := range slices.Sorted(maps.Keys(networks)) {
		settings, _ := networks[network].(map[string]any)
		for _, property := range []string{"ipv4_address", "ipv6_address"} {
			if _, set := settings[property]; set {
				path := []string{"services", name, "networks", network, property}
				s.report.Warn(file.At(path...), "", "%s is ignored by Swarm", strings.Join(path, "."))
			}
		}
	}
}

// hostAddress is the address of a node in front of a published port.
var hostAddress = pattern.Lazy(`^(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\]):`)

// lintPorts warns of addresses in front of ports. Swarm ignores them and opens
// the port to everybody.
func lintPorts(s *rendering, file *compose.File, name string) {
	ports, _ := file.Service(name)["ports"].([]any)
	for i, port := range ports {
		text, _ := port.(string)
		if text = s.files.Substituted(text); hostAddress().MatchString(text) {
			s.report.Warn(file.At("services", name, "ports", fmt.Sprint(i)), "the port is open on every address of the node; close it by other means",
				"services.%s.ports: the address of %q is ignored by Swarm", name, text)
		}
	}
}

// checkDependencies refuses cycles of depends_on, and warns of services that
// are not in the stack. A cycle of the short form is only warned of, as docker
// stack deploy ignores that form: the order within it is dropped.
func checkDependencies(s *rendering) {
	var names []string
	edges := map[string][]string{}
	for _, service := range s.files.Config.Services {
		names = append(names, service.Name)
		edges[service.Name] = slices.Clone(service.DependsOn)
	}
	for _, name := range names {
		for _, other := range edges[name] {
			if !slices.Contains(names, other) {
				s.report.Warn(s.files.Place("services", name, "depends_on", other), spelling.DidYouMean(other, names),
					"services.%s depends on %q, which is not in stack %q", name, other, s.name)
			}
		}
	}
	for range names {
		found := cycles(names, edges)
		if len(found) == 0 {
			return
		}
		for _, cycle := range found {
			reportCycle(s, cycle)
			for i, name := range cycle {
				next := cycle[(i+1)%len(cycle)]
				s.unordered[[2]string{name, next}] = true
				edges[name] = slices.DeleteFunc(edges[name], func(other string) bool { return other == next })
			}
		}
	}
}

// reportCycle reports services that depend on each other.
func reportCycle(s *rendering, cycle []string) {
	at := s.files.Place("services", cycle[0], "depends_on")
	text := strings.Join(append(slices.Clone(cycle), cycle[0]), " -> ")
	for i, name := range cycle {
		if !s.files.IsShort(name, cycle[(i+1)%len(cycle)]) {
			s.report.Fail(at, "one of them must come first", "services depend on each other: %s", text)
			return
		}
	}
	s.report.Warn(at, "one of them should come first", "services depend on each other, and no order is kept among them: %s", text)
}
