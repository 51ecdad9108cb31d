package plan

import (
	"fmt"
	"slices"

	"kargo"
)

// Swarm cannot change a service's mode, nor a network or a volume. What differs
// in one of them is held, or made anew where the workspace allows it.

// otherMode makes a service anew, where the workspace allows it, or holds it:
// Swarm cannot change a service's mode.
func (m maker) otherMode(stack kargo.Stack, live kargo.LiveService, was, is string) (*kargo.Change, *kargo.Hold) {
	if stack.Policy.Recreate {
		return &kargo.Change{
			Action: kargo.Remove, Kind: kargo.KindService, Stack: stack.Name, Name: live.Name,
			Reason: fmt.Sprintf("made anew: mode %s -> %s", was, is), ID: live.ID, Version: live.Version,
		}, nil
	}
	return nil, &kargo.Hold{Kind: kargo.KindService, Stack: stack.Name, Name: live.Name, Reason: fmt.Sprintf(
		"Swarm cannot change the mode of a service (%s -> %s); give it another name, or set %s_RECREATE=true",
		was, is, kargo.EnvName(stack.Name))}
}

// networksAnew removes the services on a network whose options differ, where
// the workspace allows it, so that the network can go and both be made anew.
func (m maker) networksAnew(stack kargo.Stack) (changes []kargo.Change, holds []kargo.Hold) {
	if !stack.Policy.Recreate {
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
