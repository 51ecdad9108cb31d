package render

import (
	"slices"
	"strings"

	"kargo"
	"kargo/render/compose"
	"kargo/render/view"
)

// Provenance says where what was rendered comes from. It belongs to one
// rendering and does not change, so several may read it at once.
type Provenance struct {
	ws     *view.Workspace
	stacks []*source // those whose files could be read
	// positions has the position of each in stacks, by its name in Swarm.
	positions map[string]int
}

func (p *Provenance) add(s *source) {
	p.positions[s.namespace] = len(p.stacks)
	p.stacks = append(p.stacks, s)
}

// find returns the stack of a service that is named as in Swarm, and the name
// of the service in its compose files.
func (p *Provenance) find(swarmName string) (s *source, service string) {
	first := len(p.stacks)
	for end, char := range swarmName {
		if char != '_' {
			continue
		}
		if at, known := p.positions[swarmName[:end]]; known && at < first && p.stacks[at].defines(swarmName[end+1:]) {
			first, s, service = at, p.stacks[at], swarmName[end+1:]
		}
	}
	return s, service
}

// Place returns the line that decides a property of a service, whose name is
// the one in Swarm. If no file has the property, it is the line of the nearest
// part of the property that a file has. Volumes are named by their target;
// networks, configs and secrets by their name in Swarm. The place is zero if
// the service is unknown.
func (p *Provenance) Place(service string, property ...string) kargo.Place {
	s, name := p.find(service)
	if s == nil {
		return kargo.Place{}
	}
	files := s.files()
	if len(property) == 2 {
		switch section := property[0]; section {
		case "volumes":
			return files.VolumePlace(name, property[1])
		case "networks":
			for _, network := range sharedNetworks {
				if s.ws.IsAssigned(network.variable) && s.ws.Value(network.variable) == property[1] {
					return s.ws.PlaceOf(network.variable)
				}
			}
			return files.Place("services", name, section, s.keyOf(section, property[1]))
		case "configs", "secrets":
			return files.Place("services", name, section, s.keyOf(section, property[1]))
		}
	}
	return files.Place(append([]string{"services", name}, property...)...)
}

// VariablePlace returns the line of a variable's last assignment, or the file
// where it can be assigned.
func (p *Provenance) VariablePlace(variable string) kargo.Place { return p.ws.PlaceOf(variable) }

// Excluded reports whether a service's own file in the catalogue says that the
// service is not for a policy of that name.
func (p *Provenance) Excluded(service, policy string) bool {
	s, name := p.find(service)
	return s != nil && s.files().Excluded(name, policy)
}

// Untouched reports whether the workspace has no hand in any input of a service of
// the catalogue, except for what the catalogue declares harmless.
func (p *Provenance) Untouched(service string) bool {
	s, name := p.find(service)
	return s != nil && s.files().Untouched(name)
}

// Rendering identifies how a stack was rendered: two equal values mean equal stacks,
// apart from what depends on other stacks. It is nil if there is no such stack.
func (p *Provenance) Rendering(stack kargo.Stack) any {
	at, known := p.positions[stack.Namespace()]
	if !known || p.stacks[at].name != stack.Name {
		return nil
	}
	return p.stacks[at].reads
}

// keyOf returns the key under which the stack's files know a network, config or
// secret; the name itself where they know none.
func (s *source) keyOf(section, swarmName string) string {
	if section == "networks" {
		return networkKey(s.files(), s.namespace, swarmName)
	}
	for key, name := range s.made {
		if key.section() == section && name == swarmName {
			return key.key
		}
	}
	return swarmName
}

// networkKey returns the key under which compose files know a network; its name in Swarm
// where they know none.
func networkKey(files *compose.Configuration, namespace, swarmName string) string {
	for key, network := range files.Config.Networks {
		if swarmName == network.Name || network.Name == "" && swarmName == namespace+"_"+key {
			return key
		}
	}
	return swarmName
}

// Default reports whether a property of a service is the catalogue's alone, and
// so is the program that uses it: no file of the workspace sets anything of
// consequence in the service, its image is the catalogue's but for the tag, and
// no variable of the workspace is part of what it runs or of the property. The
// arguments are those of Place.
func (p *Provenance) Default(service string, property ...string) bool {
	s, name := p.find(service)
	if s == nil {
		return false
	}
	files := s.files()
	if !files.IsDefaultProgram(name) {
		return false
	}
	paths := [][]string{append([]string{"services", name}, property...)}
	if len(property) == 2 {
		switch property[0] {
		case "volumes":
			paths = files.VolumePaths(name, property[1])
		case "networks", "configs", "secrets":
			key := s.keyOf(property[0], property[1])
			paths = [][]string{{"services", name, property[0], key}, {property[0], key}}
		}
	}
	return !slices.ContainsFunc(paths, func(path []string) bool { return files.SetByWorkspace(path...) })
}

// Why returns where the values come from that a person names: a stack ("dbs"),
// a service ("redis", "dbs.redis", "kargo-dbs_redis"), a field of one
// ("redis.image"), or a path of compose files ("networks.back.driver"). A name
// may occur in several stacks, so there may be several trails; there is none
// where nothing has that name. If deep, a trail has all that is below the value, else
// only what is directly below it.
func (p *Provenance) Why(what string, deep bool) []kargo.Trail {
	var trails []kargo.Trail
	for _, s := range p.stacks {
		for _, path := range s.pathsFor(what) {
			if !s.mayHave(path) {
				continue
			}
			if trail, ok := s.glance().Trail(path, deep); ok {
				trails = append(trails, trail)
				break
			}
		}
	}
	return trails
}

// pathsFor returns the dotted paths that a name may mean in one stack, the
// likeliest first.
func (s *source) pathsFor(what string) []string {
	if rest, ok := cutName(what, s.namespace+"_", ""); ok {
		return []string{"services." + rest}
	}
	if what == s.name || what == s.namespace {
		return []string{"services"}
	}
	var paths []string
	if rest, ok := cutName(what, s.name, "."); ok {
		paths = append(paths, "services."+rest, rest)
	}
	return append(paths, "services."+what, what)
}

func cutName(what, name, separator string) (string, bool) {
	rest, ok := strings.CutPrefix(what, name+separator)
	return rest, ok && rest != ""
}
