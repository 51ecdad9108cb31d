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

// Swarm cannot change a service's mode, nor a network or a volume. What differs
// in one of them is held, or made anew where the workspace allows it.

// otherMode makes a service anew, where the workspace allows it, or holds it:
// Swarm cannot change a service's mode.
func (m maker) otherMode(stack kargo.Stack, live kargo.LiveService, was, is string) (*kargo.Change, *kargo.Hold) {
	if stack.Options.Recreate {
		return &kargo.Change{
			Action: kargo.Remove, Kind: kargo.KindService, Stack: stack.Name, Name: live.Name,
			Reason: fmt.Sprintf("made anew: mode %s -> %s", was, is), ID: live.ID, Version: live.Version,
		}, nil
	}
	return nil, &kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: live.Name, Reason: fmt.Sprintf(
		"Swarm cannot change the mode of a service (%s -> %s); give it another name, or set %s_RECREATE=true",
		was, is, kargo.EnvName(stack.Name))}
}

// otherVolume holds a service that mounts a volume with other options than
// before: a volume that exists keeps those it was made with, on each node, and
// tells nobody. It is never made anew here, for it holds data; where the
// workspace allows it, a person has seen to that.
func otherVolume(stack kargo.Stack, live kargo.LiveService, wanted swarm.ServiceSpec) *kargo.Hold {
	before := volumeDrivers(live.Spec)
	after := volumeDrivers(wanted)
	for _, name := range slices.Sorted(maps.Keys(after)) {
		was, known := before[name]
		if !known || was == after[name] || stack.Options.Recreate {
			continue
		}
		return &kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: live.Name, Reason: fmt.Sprintf(
			"volume %s would have other options, and one that exists keeps its own on every node; "+
				"give it another name, or remove it by hand and set %s_RECREATE=true", name, kargo.EnvName(stack.Name))}
	}
	return nil
}

// volumeDrivers are the drivers and options of the named volumes of a spec, as
// text that can be compared.
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

// networksAnew removes the services on a network whose options differ, where
// the workspace allows it, so that the network can go and both be made anew.
func (m maker) networksAnew(stack kargo.Stack) (changes []kargo.Change, holds []kargo.Hold) {
	if !stack.Options.Recreate {
		return nil, nil
	}
	for _, network := range stack.Networks {
		if !m.differs(network) {
			continue
		}
		for _, service := range stack.Services {
			live, exists := m.services[service.Name]
			if exists && slices.Contains(networkNames(live.Spec), network.Name) {
				changes = append(changes, kargo.Change{
					Action: kargo.Remove, Kind: kargo.KindService, Stack: stack.Name, Name: live.Name,
					Reason: "made anew, as its network " + network.Name + " is", ID: live.ID, Version: live.Version,
				})
			}
		}
		holds = append(holds, kargo.Hold{Kind: kargo.KindNetwork, Stack: stack.Name, Name: network.Name,
			Reason: "is made anew because its options differ", Passing: true})
	}
	return changes, holds
}

// differs tells whether a network of ours was made with other options.
func (m maker) differs(network kargo.Network) bool {
	live, exists := m.networks[network.Name]
	return exists && !network.Shared && !network.External && m.owns(live.Labels) &&
		live.Labels[kargo.LabelDigest] != networkDigest(network)
}
