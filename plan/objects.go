package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// obstacles are the reasons why a stack cannot be touched as a whole: an
// object of its name that is somebody else's, or one that should be there and
// is not.
func (m maker) obstacles(stack kargo.Stack) []kargo.Hold {
	var holds []kargo.Hold
	hold := func(kind kargo.Kind, name, reason string) {
		holds = append(holds, kargo.Hold{Kind: kind, Stack: stack.Name, Name: name, Reason: reason})
	}
	foreign := "exists and is not Kargo's; set " + kargo.SuffixAdopt.Of(stack.Name) + "=true to take it over"

	for _, service := range stack.Services {
		live, exists := m.services[service.Name]
		if exists && !m.owns(live.Spec.Labels) && !m.mayAdopt(stack, live.Spec.Labels) {
			hold(kargo.KindService, service.Name, m.notOurs(live.Spec.Labels, foreign))
		}
	}
	for _, network := range stack.Networks {
		live, exists := m.networks[network.Name]
		switch {
		case exists && unusable(network, live) != "":
			hold(kargo.KindNetwork, network.Name, unusable(network, live))
		case network.Shared:
		case network.External && !exists:
			hold(kargo.KindNetwork, network.Name, "does not exist; create it: docker network create --driver overlay "+network.Name)
		case network.External, !exists:
		case !m.owns(live.Labels) && !m.mayAdopt(stack, live.Labels):
			hold(kargo.KindNetwork, network.Name, m.notOurs(live.Labels, foreign))
		case m.differs(network) && !stack.Options.Recreate:
			hold(kargo.KindNetwork, network.Name, "its options differ, and Swarm cannot change a network; give it another name, or set "+
				kargo.SuffixRecreate.Of(stack.Name)+"=true")
		}
	}
	for _, config := range stack.Configs {
		live, exists := m.configs[configKey{config.Secret, config.Name}]
		switch {
		case config.External && !exists:
			hold(config.Kind(), config.Name, "does not exist; create it, or give the file instead of external: true")
		case !config.External && exists && !m.owns(live.Labels) && !m.mayAdopt(stack, live.Labels):
			hold(config.Kind(), config.Name, m.notOurs(live.Labels, foreign))
		}
	}
	return holds
}

// predefined are Docker's own networks of a node, which services may use all
// the same.
var predefined = []string{"bridge", "host", "none"}

// unusable is why a network of the wanted name that exists is not what is
// wanted, or "".
func unusable(wanted kargo.Network, live kargo.LiveNetwork) string {
	switch {
	case slices.Contains(predefined, wanted.Name):
		return ""
	case live.Local:
		return "a network of this name exists on the manager's node alone, where services cannot use it; remove it: docker network rm " + live.Name
	case wanted.Shared && live.Driver != wanted.Driver:
		return fmt.Sprintf("a network of this name exists with the driver %s, and stacks are joined by an %s one; remove it, or choose another name",
			live.Driver, wanted.Driver)
	}
	return ""
}

// mayAdopt: the workspace asks for it, no other instance has it, and Docker's
// own label does not put it into another stack.
func (m maker) mayAdopt(stack kargo.Stack, labels map[string]string) bool {
	return stack.Options.Adopt && labels[kargo.LabelInstance] == "" &&
		cmp.Or(labels[kargo.LabelNamespace], stack.Namespace()) == stack.Namespace()
}

func (m maker) notOurs(labels map[string]string, foreign string) string {
	if other := labels[kargo.LabelInstance]; other != "" {
		return "belongs to the Kargo instance " + other
	}
	return foreign
}

// sharedNetworks creates the networks that join stacks where they are missing.
// One that exists is used as it is, whoever made it.
func (m maker) sharedNetworks() []kargo.Change {
	var changes []kargo.Change
	seen := map[string]bool{}
	for _, stack := range m.desired {
		for _, network := range stack.Networks {
			if _, exists := m.networks[network.Name]; network.Shared && !exists && !seen[network.Name] {
				seen[network.Name] = true
				changes = append(changes, m.createNetwork("", network, "shared by stacks"))
			}
		}
	}
	return changes
}

func (m maker) stackNetworks(stack kargo.Stack) []kargo.Change {
	var changes []kargo.Change
	for _, network := range stack.Networks {
		if _, exists := m.networks[network.Name]; !exists && !network.Shared && !network.External {
			changes = append(changes, m.createNetwork(stack.Name, network, "new"))
		}
	}
	return changes
}

func (m maker) createNetwork(stack string, network kargo.Network, reason string) kargo.Change {
	digest := networkDigest(network)
	network.Labels = m.objectLabels(network.Labels, stack)
	network.Labels[kargo.LabelDigest] = digest
	return kargo.Change{
		Action: kargo.Create, Kind: kargo.KindNetwork, Stack: stack, Name: network.Name,
		Reason: reason, Network: &network,
	}
}

// networkDigest covers all that is fixed at a network's creation.
func networkDigest(network kargo.Network) string {
	data, err := json.Marshal(network)
	if err != nil {
		panic("plan: encode network " + network.Name + ": " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:12]
}

// stackConfigs creates the configs and secrets that the changing services need
// and Swarm lacks.
func (m maker) stackConfigs(stack kargo.Stack, services []kargo.Change) []kargo.Change {
	needed := map[configKey]bool{}
	for _, change := range services {
		if change.Service == nil {
			continue // a removal, on the way to being made anew
		}
		for key := range references(*change.Service) {
			needed[key] = true
		}
	}
	var changes []kargo.Change
	for _, config := range stack.Configs {
		key := configKey{config.Secret, config.Name}
		if _, exists := m.configs[key]; exists || config.External || !needed[key] {
			continue
		}
		config.Labels = m.objectLabels(config.Labels, stack.Name)
		changes = append(changes, kargo.Change{
			Action: kargo.Create, Kind: config.Kind(), Stack: stack.Name, Name: config.Name,
			Reason: "new content", Config: &config,
		})
	}
	return changes
}

func (m maker) objectLabels(labels map[string]string, stack string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[kargo.LabelInstance] = m.Instance
	if stack != "" {
		labels[kargo.LabelStack] = stack
	}
	labels[kargo.LabelRevision] = string(m.Revision.ID())
	return labels
}

// references are the configs and secrets that a spec mounts.
func references(spec swarm.ServiceSpec) map[configKey]bool {
	refs := map[configKey]bool{}
	container := spec.TaskTemplate.ContainerSpec
	if container == nil {
		return refs
	}
	for _, config := range container.Configs {
		refs[configKey{false, config.ConfigName}] = true
	}
	for _, secret := range container.Secrets {
		refs[configKey{true, secret.SecretName}] = true
	}
	return refs
}

// networkNames are the networks that a spec attaches to.
func networkNames(spec swarm.ServiceSpec) []string {
	var names []string
	//lint:ignore SA1019 services of old clients still have them there
	for _, attachment := range slices.Concat(spec.TaskTemplate.Networks, spec.Networks) {
		names = append(names, attachment.Target)
	}
	return names
}
