package kargo

import "net/netip"

// Subnets returns the subnets that the network asks for. Those that cannot be parsed
// are left out: Docker refuses them.
func (n Network) Subnets() []netip.Prefix {
	if n.IPAM == nil {
		return nil
	}
	var subnets []netip.Prefix
	for _, config := range n.IPAM.Config {
		if subnet, err := netip.ParsePrefix(config.Subnet); err == nil {
			subnets = append(subnets, subnet.Masked())
		}
	}
	return subnets
}

// Overlapping returns the first subnet of one network that overlaps with one of
// another network, and that one. Swarm gives no address to two networks.
func Overlapping(mine, others []netip.Prefix) (own, other netip.Prefix, overlap bool) {
	for _, own := range mine {
		for _, other := range others {
			if own.Overlaps(other) {
				return own, other, true
			}
		}
	}
	return own, other, false
}
