package render

import (
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"gopkg.in/yaml.v3"

	"kargo"
)

// Provenance says where what was rendered comes from. It belongs to one
// rendering and is read only.
type Provenance struct {
	ws    kargo.Workspace
	works []*work // those that came as far as a configuration
}

// find is a service by its name in Swarm, and by the one in its compose files.
func (p *Provenance) find(swarmName string) (w *work, service string) {
	for _, w := range p.works {
		if name, ok := strings.CutPrefix(swarmName, w.namespace+"_"); ok && w.defines(name) {
			return w, name
		}
	}
	return nil, ""
}

func (w *work) defines(service string) bool {
	return slices.ContainsFunc(w.layers, func(l *layer) bool { return l.services()[service] != nil })
}

// Place is the line that has the last word on a property of a service, named
// as Swarm knows it, or on the nearest that some file has. Volumes are named by
// their target, networks, configs and secrets by their name in Swarm.
func (p *Provenance) Place(service string, property ...string) kargo.Place {
	w, name := p.find(service)
	if w == nil {
		return kargo.Place{}
	}
	return w.placeOf(name, property)
}

func (w *work) placeOf(service string, property []string) kargo.Place {
	if len(property) == 2 {
		switch section := property[0]; section {
		case "volumes":
			return w.volumePlace(service, property)
		case "networks":
			for _, network := range sharedNetworks {
				if _, set := w.ws.Lines[network.variable]; set && w.ws.Env[network.variable] == property[1] {
					return w.variable(network.variable)
				}
			}
			return w.place("services", service, section, w.keyOf(section, property[1]))
		case "configs", "secrets":
			return w.place("services", service, section, w.keyOf(section, property[1]))
		}
	}
	return w.place(append([]string{"services", service}, property...)...)
}

// keyOf is the key under which the stack's files know a network, config or
// secret; the name itself if they know none.
func (w *work) keyOf(section, swarmName string) string {
	if section == "networks" {
		for key, network := range w.config.Networks {
			if swarmName == network.Name || network.Name == "" && swarmName == w.namespace+"_"+key {
				return key
			}
		}
		return swarmName
	}
	for key, made := range w.objects.made {
		if key.section() == section && made.Name == swarmName {
			return key.key
		}
	}
	return swarmName
}

// harmless are the properties of a service by which a workspace does not get
// its hands on what a container does: where and how often it runs, how it is
// described.
var harmless = []string{"deploy", "depends_on", "labels", "logging", "stop_grace_period"}

// Default tells that a property of a service is the catalogue's alone, and so
// is the program that makes use of it: no file but the catalogue's says
// anything of consequence about the service, its image is the catalogue's (but
// for the tag), and no variable of the workspace is in what it runs or in the
// property.
func (p *Provenance) Default(service string, property ...string) bool {
	w, name := p.find(service)
	if w == nil || !w.defaultProgram(name) {
		return false
	}
	paths := [][]string{append([]string{"services", name}, property...)}
	if len(property) == 2 {
		switch property[0] {
		case "volumes":
			paths = w.volumePaths(name, property[1])
		case "networks", "configs", "secrets":
			key := w.keyOf(property[0], property[1])
			paths = [][]string{{"services", name, property[0], key}, {property[0], key}}
		}
	}
	return !slices.ContainsFunc(paths, w.ofWorkspace)
}

// defaultProgram tells whether what a service runs is the catalogue's.
func (w *work) defaultProgram(service string) bool {
	for _, l := range w.layers {
		if w.isDefault(l) {
			continue
		}
		for property := range l.serviceDict(service) {
			if !slices.Contains(harmless, property) {
				return false
			}
		}
	}
	for _, property := range []string{"command", "entrypoint", "healthcheck"} {
		if w.ofWorkspace([]string{"services", service, property}) {
			return false
		}
	}
	return w.defaultImage(service)
}

// isDefault tells whether the workspace has no part in a layer. Constraints of
// variables say where a service runs and nothing else.
func (w *work) isDefault(l *layer) bool {
	return l.generated() || w.ws.Layer(l.path) == kargo.OriginDefault
}

// defaultImage tells whether a service's image is the catalogue's, but for the
// tag.
func (w *work) defaultImage(service string) bool {
	for _, l := range w.layers {
		node := l.node("services", service, "image")
		if node == nil {
			continue
		}
		withTags := kargo.Environment{}
		for _, name := range variablesIn(node) {
			value := w.ws.Env[name]
			if w.ownVariable(name) {
				if !strings.HasSuffix(name, "_TAG") {
					return false
				}
				value = "any"
			}
			withTags[name] = value
		}
		wanted, errWanted := reference.ParseNormalizedNamed(substitute(node.Value, withTags))
		actual, errActual := reference.ParseNormalizedNamed(w.substituted(node.Value))
		// A "tag" with a slash in it would make another registry of the name.
		if errWanted != nil || errActual != nil || wanted.Name() != actual.Name() {
			return false
		}
	}
	return true
}

// ofWorkspace tells whether the workspace has a say in a path: by a file of its
// own, or by a variable that a default file reads there.
func (w *work) ofWorkspace(path []string) bool {
	for _, l := range w.layers {
		if l.generated() {
			continue
		}
		node := l.node(path...)
		if node == nil {
			continue
		}
		if !w.isDefault(l) || slices.ContainsFunc(variablesIn(node), w.ownVariable) {
			return true
		}
	}
	return false
}

// ownVariable tells whether a variable's value is not the catalogue's.
func (w *work) ownVariable(name string) bool {
	where, assigned := w.ws.Lines[name]
	return assigned && where.File != kargo.FileEnvDefault
}

// volumePaths are the entry of a service that mounts something at a target, in
// every file, and the volume that it names.
func (w *work) volumePaths(service, target string) [][]string {
	var paths [][]string
	for _, l := range w.layers {
		volumes, _ := l.serviceDict(service)["volumes"].([]any)
		for i, volume := range volumes {
			if !w.mentions(volume, target) {
				continue
			}
			paths = append(paths, []string{"services", service, "volumes", strconv.Itoa(i)})
			for key := range w.config.Volumes {
				if w.mentions(volume, key) {
					paths = append(paths, []string{"volumes", key})
				}
			}
		}
	}
	return paths
}

// node is the value at a path of the file as it was written; nil if there is
// none.
func (l *layer) node(path ...string) *yaml.Node {
	node := l.root
	for _, key := range path {
		if node == nil {
			return nil
		}
		_, node = child(node, key)
	}
	return node
}

// variablesIn are the variables that a value, or any value in it, reads.
func variablesIn(node *yaml.Node) []string {
	var names []string
	seen := map[*yaml.Node]bool{} // an alias counts once, so that bombs do not go off
	var visit func(node *yaml.Node)
	visit = func(node *yaml.Node) {
		if node = resolve(node); seen[node] {
			return
		}
		seen[node] = true
		if node.Kind == yaml.ScalarNode {
			for _, match := range variableReference.FindAllStringSubmatch(node.Value, -1) {
				if name := variableName.FindString(match[2] + match[3]); name != "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		for _, inner := range node.Content {
			visit(inner)
		}
	}
	visit(node)
	return names
}
