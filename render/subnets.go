package render

import (
	"kargo"
	"kargo/render/compose"
)

// checkSubnets refuses networks whose subnets overlap: Swarm accepts both, allocates
// only one, and the tasks on the other never start.
func checkSubnets(report *compose.Report, origins *Provenance, stacks []kargo.Stack) {
	type network struct {
		kargo.Network
		stack kargo.Stack
	}
	var before []network
	for _, stack := range stacks {
		for _, wanted := range stack.Networks {
			subnets := wanted.Subnets()
			if len(subnets) == 0 || wanted.External {
				continue
			}
			for _, other := range before {
				own, taken, overlap := kargo.Overlapping(subnets, other.Subnets())
				if overlap && other.Name != wanted.Name {
					report.Fail(origins.networkPlace(stack, wanted.Name), "give one of them another subnet", "network %s: its subnet %s overlaps with %s of network %s (%s)",
						wanted.Name, own, taken, other.Name, origins.networkPlace(other.stack, other.Name))
				}
			}
			before = append(before, network{wanted, stack})
		}
	}
}

// networkPlace returns the line of the addresses of a stack's network.
func (p *Provenance) networkPlace(stack kargo.Stack, network string) kargo.Place {
	at, known := p.positions[stack.Namespace()]
	if !known {
		return kargo.Place{}
	}
	s := p.stacks[at]
	return s.files().Place("networks", s.keyOf("networks", network), "ipam", "config")
}
