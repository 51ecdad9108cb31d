package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Swarm cannot change the mode of a service, a network or a volume. A difference in
// one of them is held. Where the workspace allows it (<STACK>_RECREATE), services
// and networks are removed and created again.

// otherMode decides on a service whose mode is to change: it is removed, so that the
// next round creates it again, or held.
func (m maker) otherMode(c comparison) (d decision, decided bool) {
	was, is := modeName(c.live.Spec.Mode), modeName(c.spec.Mode)
	switch {
	case was == is:
		return decision{}, false
	case c.stack.Options.Recreate:
		return toChange(kargo.RemoveService(c.stack.Name, c.live, fmt.Sprintf("recreated because its mode changes: %s -> %s", was, is))), true
	}
	return c.holdUntil(kargo.UntilRevision, fmt.Sprintf(
		"Swarm cannot change the mode of a service (%s -> %s); give it another name, or set %s=true",
		was, is, kargo.SuffixRecreate.Of(c.stack.Name))), true
}

// otherVolume holds a service that mounts a volume with other options than before.
// A volume keeps the options that it was created with on each node, and Docker
// reports no error. Kargo never removes a volume, because it has data. With
// <STACK>_RECREATE a person says that the volume was removed by hand.
func (m maker) otherVolume(c comparison) (d decision, decided bool) {
	if c.stack.Options.Recreate {
		return decision{}, false
	}
	before := volumeDrivers(c.live.Spec)
	after := volumeDrivers(c.spec)
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if was, known := before[name]; known && was != after[name] {
			return c.holdUntil(kargo.UntilRevision, fmt.Sprintf(
				"volume %s would have other options, and one that exists keeps its own on every node; "+
					"give it another name, or remove it by hand and set %s=true", name, kargo.SuffixRecreate.Of(c.stack.Name))), true
		}
	}
	return decision{}, false
}

// volumeDrivers returns the drivers and options of the named volumes of a spec,
// as text that can be compared.
func volumeDrivers(spec swarm.ServiceSpec) map[string]string {
	drivers := map[string]string{}
	if spec.TaskTemplate.ContainerSpec == nil {
		return drivers
	}
	for _, m := range spec.TaskTemplate.ContainerSpec.Mounts {
		if m.Type != mount.TypeVolume || m.Source == "" {
			continue
		}
		driver := mount.Driver{Name: "local"} // Docker's own default
		if m.VolumeOptions != nil && m.VolumeOptions.DriverConfig != nil {
			driver.Name = cmp.Or(m.VolumeOptions.DriverConfig.Name, driver.Name)
			driver.Options = m.VolumeOptions.DriverConfig.Options
		}
		drivers[m.Source] = fmt.Sprint(driver) // of a map, in order of its keys
	}
	return drivers
}

// recreateNetworks decides on the networks whose options differ and that are recreated:
// their services are removed first, then the networks, and the next rounds create both
// again. It returns nothing for other stacks.
func (m maker) recreateNetworks(stack kargo.Stack) (all decisions) {
	for _, network := range stack.Networks {
		if !m.toRecreate(stack, network) {
			continue
		}
		for _, service := range stack.Services {
			live, exists := m.index.Service(service.Name)
			if exists && m.isOwn(live.Name) && slices.Contains(networkNames(live.Spec), network.Name) {
				return decisions{toHold(kargo.Hold{
					Kind: kargo.KindNetwork, Stack: stack.Name, Name: network.Name, Until: kargo.UntilRevision,
					Reason: "would be recreated, and the controller's own service " + live.Name + " uses it; give the network another name",
				})}
			}
			if exists && slices.Contains(networkNames(live.Spec), network.Name) {
				all = append(all, toChange(kargo.RemoveService(stack.Name, live, "recreated because its network "+network.Name+" is recreated")))
			}
		}
		all = append(all, toHold(kargo.Hold{
			Kind: kargo.KindNetwork, Stack: stack.Name, Name: network.Name, Until: kargo.UntilSettled,
			Reason: "is recreated because its options differ",
		}))
	}
	return all
}

// differs reports whether this instance created the network with other options.
func (m maker) differs(network kargo.Network) bool {
	live, exists := m.networks[network.Name]
	return exists && !network.Shared && !network.External && m.owns(live.Labels) &&
		!m.hasDigest(network, live.Labels[kargo.LabelDigest])
}
