package render

import (
	"cmp"
	"slices"

	"kargo/render/compose"
	"kargo/render/view"

	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

const driverOverlay = "overlay"

// sharedNetworks are the networks that connect the stacks: the variable that
// names each, and its name where the variable is not set. Docker's API is reached
// on the last.
var sharedNetworks = []struct{ role, variable, name string }{
	{"front", "DOCKER_FRONT_NETWORK", "kargo-front"},
	{"back", "DOCKER_BACK_NETWORK", "kargo-back"},
	{"socket", "DOCKER_SOCKET_NETWORK", "kargo-docker-socket"},
}

// SharedNetwork is a network that connects the stacks: what it is for, the
// variable that names it, and its name.
type SharedNetwork struct{ Role, Variable, Name string }

// SharedNetworks returns the networks that connect the stacks of an
// environment.
func SharedNetworks(env kargo.Environment) []SharedNetwork {
	var shared []SharedNetwork
	for _, network := range sharedNetworks {
		shared = append(shared, SharedNetwork{network.role, network.variable, cmp.Or(env[network.variable], network.name)})
	}
	return shared
}

// sharedNames returns the names of the shared networks in order.
func sharedNames(ws view.View) []string {
	var names []string
	for _, network := range sharedNetworks {
		names = append(names, cmp.Or(ws.Value(network.variable), network.name))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// networks returns the networks that the services of the stack name, and the
// shared ones, which exist for every stack of STACKS, declared or not. For a
// stack directory, which may not know the shared ones, it returns those that
// the directory names.
func networks(s *rendering) []kargo.Network {
	var networks []kargo.Network
	config := s.files.Config
	shared := sharedNames(s.ws)
	own, external := convert.Networks(convert.NewNamespace(s.namespace), config.Networks, declared(config))
	_, isDirectory := s.ws.Directory()
	for _, name := range shared {
		if _, named := own[name]; !isDirectory || named || slices.Contains(external, name) {
			networks = append(networks, kargo.Network{Name: name, Shared: true, Driver: driverOverlay, Attachable: true})
		}
	}
	for name, options := range own {
		if slices.Contains(shared, name) {
			continue
		}
		networks = append(networks, kargo.Network{
			Name:       name,
			Driver:     cmp.Or(options.Driver, driverOverlay),
			Attachable: options.Attachable,
			Internal:   options.Internal,
			Options:    options.Options,
			Labels:     options.Labels,
			IPAM:       options.IPAM,
		})
	}
	slices.Sort(external)
	for _, name := range slices.Compact(external) {
		if !slices.Contains(shared, name) {
			networks = append(networks, kargo.Network{Name: name, External: true})
		}
	}
	slices.SortFunc(networks, func(a, b kargo.Network) int { return cmp.Compare(a.Name, b.Name) })
	return networks
}

// declared returns the networks that services name: "default" for those that
// name none.
func declared(config *types.Config) map[string]struct{} {
	names := map[string]struct{}{}
	for _, service := range config.Services {
		if len(service.Networks) == 0 {
			names["default"] = struct{}{}
		}
		for name := range service.Networks {
			names[name] = struct{}{}
		}
	}
	return names
}

// checkAliases warns of services in different stacks that have one name on one
// network: callers would reach one or the other.
func checkAliases(report *compose.Report, origins *Provenance, stacks []kargo.Stack) {
	type name struct{ network, alias string }
	type owner struct{ stack, service string }
	owners := map[name]owner{}
	for _, stack := range stacks {
		for _, service := range stack.Services {
			for _, network := range service.Spec.TaskTemplate.Networks {
				if network.Target == "host" {
					continue // has no names
				}
				for _, alias := range uniqueAliases(network) {
					key, own := name{network.Target, alias}, owner{stack.Name, service.Name}
					other, taken := owners[key]
					if !taken {
						owners[key] = own
					} else if other.stack != own.stack {
						report.Warn(origins.Place(service.Name), "callers reach one or the other; rename one",
							"%s and %s both have the name %q on %s", other.service, own.service, alias, network.Target)
					}
				}
			}
		}
	}
}

func uniqueAliases(network swarm.NetworkAttachmentConfig) []string {
	aliases := slices.Clone(network.Aliases)
	slices.Sort(aliases)
	return slices.Compact(aliases)
}
