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

// stackObjects has the decisions on the networks and configs of a stack.
type stackObjects struct{ networks, configs decisions }

// objects decides on the networks and configs of a stack.
func (m maker) objects(stack kargo.Stack) (o stackObjects) {
	for _, network := range stack.Networks {
		o.networks = append(o.networks, m.network(stack, network))
	}
	for _, config := range stack.Configs {
		o.configs = append(o.configs, m.config(stack, config))
	}
	return o
}

// obstacles returns the holds that keep a whole stack from being changed: an object
// with one of its names belongs to somebody else, or an object that should exist
// does not.
func (m maker) obstacles(stack kargo.Stack, o stackObjects) []kargo.Hold {
	var holds []kargo.Hold
	for _, service := range stack.Services {
		if live, taken := m.taken[service.Name]; taken {
			if reason, until := m.notOurs(stack, live.Spec.Labels); reason != "" && !m.damaged(stack, live) {
				holds = append(holds, serviceHold(stack, service.Name, until, reason))
			}
		}
	}
	return slices.Concat(holds, o.networks.holds(), o.configs.holds(), m.strangers(stack))
}

// network decides on one network of a stack.
func (m maker) network(stack kargo.Stack, network kargo.Network) decision {
	hold := func(until kargo.Until, reason string) decision {
		return toHold(kargo.Hold{Kind: kargo.KindNetwork, Stack: stack.Name, Name: network.Name, Reason: reason, Until: until})
	}
	live, exists := m.networks[network.Name]
	reason, until := m.notOurs(stack, live.Labels)
	switch {
	case exists && unusable(network, live) != "":
		return hold(kargo.UntilOutside, unusable(network, live))
	case network.Shared:
		return skipped("is created once for all stacks")
	case network.External && !exists:
		return hold(kargo.UntilOutside, "does not exist; create it: docker network create --driver overlay "+network.Name)
	case network.External:
		return asItShouldBe()
	case !exists:
		if reason, until := m.subnetTaken(network); reason != "" {
			return hold(until, reason)
		}
		return toChange(m.createNetwork(stack.Name, network, "new"))
	case reason != "" && !m.tookOver(stack, live.Labels):
		return hold(until, reason)
	case m.toRecreate(stack, network):
		return skipped("is created again once its services are removed")
	case unallocated(live):
		const why = "Swarm has not allocated it, so no task on it starts; "
		if reason, until := m.subnetTaken(network); reason != "" {
			return hold(until, why+reason)
		}
		return hold(kargo.UntilSettled, why+"if that stays so, the log of the leading manager says why")
	case m.differs(network):
		return hold(kargo.UntilRevision, "its options differ, and Swarm cannot change a network; give it another name, or set "+
			kargo.SuffixRecreate.Of(stack.Name)+"=true")
	}
	return asItShouldBe()
}

// config decides on one config or secret of a stack.
func (m maker) config(stack kargo.Stack, config kargo.Config) decision {
	hold := func(until kargo.Until, reason string) decision {
		return toHold(kargo.Hold{Kind: config.Kind(), Stack: stack.Name, Name: config.Name, Reason: reason, Until: until})
	}
	live, exists := m.configs[config.Key()]
	reason, until := m.notOurs(stack, live.Labels)
	switch {
	case config.External && !exists:
		return hold(kargo.UntilOutside, "does not exist; create it, or name a file in place of external: true")
	case config.External:
		return asItShouldBe()
	case exists && reason != "":
		return hold(until, reason)
	case exists:
		return asItShouldBe()
	}
	config.Labels = m.objectLabels(config.Labels, stack.Name)
	return toChange(kargo.CreateConfig(stack.Name, config, "new content"))
}

// predefined has the networks that Docker makes on each node. Services may use
// them although they are local.
var predefined = []string{"bridge", "host", "none"}

// unusable returns why a network of the wanted name that exists is not what is
// wanted, or "".
func unusable(wanted kargo.Network, live kargo.LiveNetwork) string {
	switch {
	case slices.Contains(predefined, wanted.Name):
		return ""
	case live.Local:
		return "a network of this name exists on the manager's node only, where services cannot use it; remove it: docker network rm " + live.Name
	case wanted.Shared && live.Driver != wanted.Driver:
		return fmt.Sprintf("a network of this name exists with the driver %s, and stacks are joined by an %s one; remove it, or choose another name",
			live.Driver, wanted.Driver)
	}
	return ""
}

// notOurs returns why an existing object with these labels must not be changed, and
// what would lift that; "" where it may be changed. An object without an owner is
// taken over where the workspace allows it, unless Docker's own label says that it
// belongs to another stack.
func (m maker) notOurs(stack kargo.Stack, labels map[string]string) (reason string, until kargo.Until) {
	switch other := labels[kargo.LabelInstance]; {
	case m.owns(labels):
		return "", ""
	case other != "":
		return "belongs to the Kargo instance " + other, kargo.UntilOutside
	case stack.Options.Adopt && cmp.Or(labels[kargo.LabelNamespace], stack.Namespace()) == stack.Namespace():
		return "", ""
	}
	return "exists and is not Kargo's; set " + kargo.SuffixAdopt.Of(stack.Name) + "=true to take it over", kargo.UntilRevision
}

// sharedNetworks returns the creations of the networks that stacks share and that
// do not exist. An existing one is used as it is, whoever made it.
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

func (m maker) createNetwork(stack string, network kargo.Network, reason string) kargo.Change {
	digest := m.networkDigest(network)
	network.Labels = m.objectLabels(network.Labels, stack)
	network.Labels[kargo.LabelDigest] = digest
	return kargo.CreateNetwork(stack, network, reason)
}

// networkDigest identifies what is fixed when a network is created.
func (m maker) networkDigest(network kargo.Network) string {
	return kargo.KeyedDigest(m.Keys.Objects, string(encoded(network)))[:12]
}

// hasDigest reports whether the label of a network is its digest: the keyed one, or the
// one without a key that an earlier version wrote, which Swarm cannot change.
func (m maker) hasDigest(network kargo.Network, label string) bool {
	if label == m.networkDigest(network) {
		return true
	}
	earlier := sha256.Sum256(encoded(network))
	return label == hex.EncodeToString(earlier[:])[:12]
}

func encoded(network kargo.Network) []byte {
	data, err := json.Marshal(network)
	if err != nil {
		panic("plan: encode network " + network.Name + ": " + err.Error())
	}
	return data
}

// neededBy returns the creations of the configs and secrets that changing services
// need.
func (o stackObjects) neededBy(services []kargo.Change) []kargo.Change {
	needed := map[kargo.ObjectKey]bool{}
	for _, change := range services {
		if change.Service != nil { // else it is removed, and created again later
			for key := range references(*change.Service) {
				needed[key] = true
			}
		}
	}
	return slices.DeleteFunc(o.configs.changes(), func(create kargo.Change) bool { return !needed[create.Key()] })
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

// references returns the configs and secrets that a spec mounts.
func references(spec swarm.ServiceSpec) map[kargo.ObjectKey]bool {
	refs := map[kargo.ObjectKey]bool{}
	container := spec.TaskTemplate.ContainerSpec
	if container == nil {
		return refs
	}
	for _, config := range container.Configs {
		refs[kargo.ObjectKey{Kind: kargo.KindConfig, Name: config.ConfigName}] = true
	}
	for _, secret := range container.Secrets {
		refs[kargo.ObjectKey{Kind: kargo.KindSecret, Name: secret.SecretName}] = true
	}
	return refs
}

// networkNames returns the networks that a spec attaches to.
func networkNames(spec swarm.ServiceSpec) []string {
	var names []string
	//nolint:staticcheck // services of old clients still have them there
	for _, attachment := range slices.Concat(spec.TaskTemplate.Networks, spec.Networks) {
		names = append(names, attachment.Target)
	}
	return names
}
