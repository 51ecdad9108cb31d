package compose

import (
	"path"
	"slices"

	"github.com/docker/cli/cli/compose/types"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
)

// catalogueKey is the key at the top of a file of the catalogue under which it says,
// for each of its services, how the operator's policy takes it:
//
//	x-kargo:
//	  traefik:
//	    not-for: [restricted]         # policies under which it has no privileges
//	    harmless: [deploy, TRAEFIK_*] # what a workspace may set and leaves it them
//
// What is harmless are properties of the service that an extension sets, variables,
// and files of the merged configuration, as patterns of path.Match.
const catalogueKey = "x-kargo"

// declares reports whether the file of the catalogue that a service comes from has
// a word in one of its lists.
func (c *Configuration) declares(service, list, word string) bool {
	for _, f := range c.Files {
		if !c.isDefault(f) || !f.Defines(service) {
			continue
		}
		node := f.node(catalogueKey, service, list)
		if node == nil {
			continue
		}
		if slices.ContainsFunc(node.Content, func(entry *yaml.Node) bool {
			matched, err := path.Match(entry.Value, word)
			return err == nil && matched
		}) {
			return true
		}
	}
	return false
}

// Excluded reports whether the catalogue says of a service that it is not for a
// policy of that name.
func (c *Configuration) Excluded(service, policy string) bool {
	return c.declares(service, "not-for", policy)
}

// Untouched reports whether the workspace has no hand in any input of a service of
// the catalogue: its files, what they declare at the top and it uses, the content
// of configs, secrets and bound files, and the variables in all of these. What the
// catalogue declares harmless does not count.
func (c *Configuration) Untouched(service string) bool {
	at := slices.IndexFunc(c.Config.Services, func(s types.ServiceConfig) bool { return s.Name == service })
	if at < 0 || c.isOwn(kargo.SuffixBinds.Of(service)) {
		return false
	}
	input := serviceInput{c, service, &c.Config.Services[at]}
	if !input.plainFiles() {
		return false
	}
	for section, keys := range input.used() {
		for _, key := range keys {
			if !input.plainEntry(section, key) {
				return false
			}
		}
	}
	return !slices.ContainsFunc(input.files(), func(name string) bool { return !input.plainFile(name) })
}

// serviceInput is what a service of the catalogue is made of.
type serviceInput struct {
	*Configuration
	name    string
	service *types.ServiceConfig
}

func (in serviceInput) harmless(word string) bool { return in.declares(in.name, "harmless", word) }

// plainFiles reports whether no file of the workspace sets anything of the service,
// and no variable of the workspace is part of the catalogue's.
func (in serviceInput) plainFiles() bool {
	for _, f := range in.Files {
		if f.Generated() {
			continue // holds constraints, which only decide where a service runs
		}
		if in.isDefault(f) {
			if !in.plainNode(f.node("services", in.name)) {
				return false
			}
			continue
		}
		for property := range f.Service(in.name) {
			if !in.harmless(property) {
				return false
			}
		}
	}
	return true
}

// plainNode reports whether a part of a file reads no variable of the workspace.
func (in serviceInput) plainNode(node *yaml.Node) bool {
	return node == nil || !slices.ContainsFunc(variablesIn(node), in.setsVariable)
}

// networkVariables name the networks that join the stacks. A rule of the policy is
// about them alone.
var networkVariables = []string{"DOCKER_FRONT_NETWORK", "DOCKER_BACK_NETWORK", "DOCKER_SOCKET_NETWORK"}

// setsVariable reports whether the workspace sets a variable that is not harmless.
func (in serviceInput) setsVariable(name string) bool {
	return in.isOwn(name) && !in.harmless(name) && !slices.Contains(networkVariables, name)
}

// used returns the entries at the top of files that the service uses, by section.
func (in serviceInput) used() map[string][]string {
	used := map[string][]string{}
	for key := range in.service.Networks {
		used["networks"] = append(used["networks"], key)
	}
	if len(in.service.Networks) == 0 {
		used["networks"] = []string{"default"}
	}
	for _, volume := range in.service.Volumes {
		if volume.Type == "volume" {
			used["volumes"] = append(used["volumes"], volume.Source)
		}
	}
	for _, config := range in.service.Configs {
		used["configs"] = append(used["configs"], config.Source)
	}
	for _, secret := range in.service.Secrets {
		used["secrets"] = append(used["secrets"], secret.Source)
	}
	return used
}

// plainEntry reports whether an entry at the top of files is the catalogue's alone.
func (in serviceInput) plainEntry(section, key string) bool {
	for _, f := range in.Files {
		if f.Generated() {
			continue
		}
		node := f.node(section, key)
		if node != nil && !in.isDefault(f) || !in.plainNode(node) {
			return false
		}
	}
	return true
}

// files returns the files of the merged configuration that the service gets.
func (in serviceInput) files() []string {
	var names []string
	add := func(host string) {
		if name, inside := in.Tree.Inside(host); inside {
			names = append(names, in.Tree.Under(name)...)
		}
	}
	for _, config := range in.service.Configs {
		add(in.Config.Configs[config.Source].File)
	}
	for _, secret := range in.service.Secrets {
		add(in.Config.Secrets[secret.Source].File)
	}
	for _, volume := range in.service.Volumes {
		if volume.Type == "bind" {
			add(volume.Source)
		}
	}
	for _, file := range in.service.EnvFile {
		add(file)
	}
	return names
}

// plainValue is a value that stays one value in a file of any format.
var plainValue = pattern.Lazy(`^[A-Za-z0-9._@:/+-]*$`)

// templateVariable finds the variables of a template; it may find more than the
// template reads.
var templateVariable = pattern.Lazy(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// plainFile reports whether the content of a file is the catalogue's alone.
func (in serviceInput) plainFile(name string) bool {
	if in.harmless(name) {
		return true
	}
	if in.ws.Layer(name) != kargo.OriginDefault {
		return false
	}
	file := in.Tree.Get(name)
	if file.Origin != kargo.OriginRendered {
		return true
	}
	for _, match := range templateVariable().FindAllSubmatch(in.Tree.Get(file.Source).Data, -1) {
		name := string(match[1])
		if in.setsVariable(name) || in.isOwn(name) && !plainValue().MatchString(in.ws.Value(name)) {
			return false
		}
	}
	return true
}
