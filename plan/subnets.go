package plan

import (
	"fmt"

	"kargo"
)

// subnetTaken returns why a network cannot have the subnets that it asks for, and what
// would lift that; "" if nothing of the Swarm has them.
func (m maker) subnetTaken(network kargo.Network) (reason string, until kargo.Until) {
	wanted := network.Subnets()
	if len(wanted) == 0 {
		return "", ""
	}
	for _, other := range m.live.Networks {
		own, taken, overlap := kargo.Overlapping(wanted, other.Subnets)
		if !overlap || other.Local || other.Name == network.Name {
			continue
		}
		reason = fmt.Sprintf("its subnet %s overlaps with %s of network %s", own, taken, other.Name)
		if m.mayRemove(other.Labels) && !m.declared(other.Name) {
			return reason + ", which is to be removed", kargo.UntilSettled
		}
		return reason + "; give it another subnet", kargo.UntilOutside
	}
	return "", ""
}

// declared reports whether a stack that should run has a network of this name.
func (m maker) declared(name string) bool {
	for _, stack := range m.desired {
		for _, network := range stack.Networks {
			if network.Name == name {
				return true
			}
		}
	}
	return false
}

// unallocated reports whether Swarm has a network only by name: it could not give it
// the subnet that it asks for. Then no task has ever run on it.
func unallocated(live kargo.LiveNetwork) bool { return !live.Local && live.Driver == "" }

// toRecreate reports whether a network is removed and created again: its options
// differ, and the workspace allows that or nothing ever ran on it.
func (m maker) toRecreate(stack kargo.Stack, network kargo.Network) bool {
	return (stack.Options.Recreate || unallocated(m.networks[network.Name])) && m.differs(network)
}
