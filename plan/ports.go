package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// portNumber is a port of a node.
type portNumber struct {
	number   uint32
	protocol swarm.PortConfigProtocol
}

// String returns the port as people write it: "80/tcp".
func (p portNumber) String() string { return fmt.Sprintf("%d/%s", p.number, p.protocol) }

// publishedPort is a port that a service publishes.
type publishedPort struct {
	portNumber
	host bool // on the nodes that its tasks run on, not on all
}

// conflicts reports whether Swarm refuses that two services publish these ports. It
// allows two host ports of one number, and its scheduler keeps the tasks apart.
func (p publishedPort) conflicts(other publishedPort) bool {
	return p.portNumber == other.portNumber && !(p.host && other.host)
}

// publishedPorts returns the ports that a service publishes under a fixed number.
func publishedPorts(spec swarm.ServiceSpec) []publishedPort {
	var ports []publishedPort
	if spec.EndpointSpec != nil {
		for _, port := range spec.EndpointSpec.Ports {
			if port.PublishedPort != 0 {
				ports = append(ports, portOf(port))
			}
		}
	}
	return ports
}

func portOf(port swarm.PortConfig) publishedPort {
	protocol := cmp.Or(port.Protocol, swarm.PortConfigProtocolTCP) // as the daemon fills it in
	return publishedPort{portNumber{port.PublishedPort, protocol}, port.PublishMode == swarm.PortConfigPublishModeHost}
}

// splitByPorts separates the removals that must come first from the rest: those
// of services that publish a port which a wanted service is about to publish.
func splitByPorts(removals []kargo.Change, index Index, stacks []stackPlan) (early, late []kargo.Change) {
	needed := map[portNumber]bool{}
	for _, stack := range stacks {
		for _, change := range stack.changes {
			if change.Service != nil {
				for _, port := range publishedPorts(*change.Service) {
					needed[port.portNumber] = true
				}
			}
		}
	}
	for _, removal := range removals {
		leaving, _ := index.Service(removal.Name)
		ports := publishedPorts(leaving.Spec)
		if slices.ContainsFunc(ports, func(port publishedPort) bool { return needed[port.portNumber] }) {
			early = append(early, removal)
		} else {
			late = append(late, removal)
		}
	}
	return early, late
}

// portTraffic follows, change by change, which service publishes which port.
// Swarm refuses a port that another service still publishes.
type portTraffic struct {
	published map[string][]publishedPort     // by service, as the changes so far leave it
	holders   map[portNumber]map[string]bool // the services in published
	wanted    map[string][]publishedPort     // by service, of those that this instance has or wants
	changes   map[string]kargo.Change        // of the plan, by service
}

// blocker is a port that a change wants, and the service that is to release it
// first.
type blocker struct {
	port    publishedPort
	service string
}

func (m maker) portTraffic(changes []kargo.Change) portTraffic {
	traffic := portTraffic{
		published: map[string][]publishedPort{}, holders: map[portNumber]map[string]bool{},
		wanted: map[string][]publishedPort{}, changes: map[string]kargo.Change{},
	}
	for _, live := range m.live.Services {
		traffic.publish(live.Name, publishedPorts(live.Spec))
	}
	for _, live := range m.owned {
		traffic.wanted[live.Name] = nil // unless it is desired, below
	}
	for _, stack := range m.desired {
		for _, service := range stack.Services {
			traffic.wanted[service.Name] = publishedPorts(service.Spec)
		}
	}
	for _, change := range changes {
		if change.Kind == kargo.KindService {
			traffic.changes[change.Name] = change
		}
	}
	return traffic
}

// blockers returns the ports that a change wants and that another service publishes
// now and is to release. It leaves out ports that the other service keeps: Docker
// refuses those, and its words say what is wrong.
func (t portTraffic) blockers(change kargo.Change) []blocker {
	var blockers []blocker
	if change.Service == nil {
		return nil
	}
	for _, port := range publishedPorts(*change.Service) {
		for service := range t.holders[port.portNumber] {
			if service != change.Name && slices.ContainsFunc(t.published[service], port.conflicts) && t.gives(service, port) {
				blockers = append(blockers, blocker{port, service})
			}
		}
	}
	slices.SortFunc(blockers, func(a, b blocker) int {
		return cmp.Or(cmp.Compare(a.port.number, b.port.number), strings.Compare(a.service, b.service))
	})
	return blockers
}

// gives reports whether a service of this instance is to release a port.
func (t portTraffic) gives(service string, port publishedPort) bool {
	wanted, ours := t.wanted[service]
	return ours && !slices.ContainsFunc(wanted, port.conflicts)
}

// waitsForItself reports whether a change waits for services that wait for the
// change itself, directly or through others.
func (t portTraffic) waitsForItself(change kargo.Change) bool {
	seen := map[string]bool{}
	var reaches func(of kargo.Change) bool
	reaches = func(of kargo.Change) bool {
		for _, blocker := range t.blockers(of) {
			if blocker.service == change.Name {
				return true
			}
			if !seen[blocker.service] {
				seen[blocker.service] = true
				if reaches(t.changes[blocker.service]) {
					return true
				}
			}
		}
		return false
	}
	return reaches(change)
}

// carriedOut notes that a change was carried out.
func (t portTraffic) carriedOut(change kargo.Change) {
	switch {
	case change.Kind != kargo.KindService:
	case change.Service == nil:
		t.publish(change.Name, nil)
	default:
		t.publish(change.Name, publishedPorts(*change.Service))
	}
}

// publish notes the ports that a service publishes from now on.
func (t portTraffic) publish(service string, ports []publishedPort) {
	for _, port := range t.published[service] {
		delete(t.holders[port.portNumber], service)
	}
	t.published[service] = ports
	for _, port := range ports {
		if t.holders[port.portNumber] == nil {
			t.holders[port.portNumber] = map[string]bool{}
		}
		t.holders[port.portNumber][service] = true
	}
}

// inTurn holds each change that wants a port which another service has not released
// yet: it follows in the next round. Of services that exchange ports, the first one
// is changed in two steps: now without the port that is not free, later with it.
func (m maker) inTurn(changes []kargo.Change) (now []kargo.Change, holds []kargo.Hold) {
	if len(changes) == 0 {
		return nil, nil
	}
	traffic := m.portTraffic(changes)
	for _, change := range changes {
		blockers := traffic.blockers(change)
		switch {
		case len(blockers) == 0:
		case traffic.waitsForItself(change):
			change = withoutPorts(change, blockers)
		default:
			holds = append(holds, traffic.waitsFor(change, blockers[0]))
			continue
		}
		traffic.carriedOut(change)
		now = append(now, change)
	}
	return now, holds
}

// waitsFor holds a change until a service has released a port.
func (t portTraffic) waitsFor(change kargo.Change, b blocker) kargo.Hold {
	until := kargo.UntilSettled
	if _, moves := t.changes[b.service]; !moves {
		until = kargo.UntilOutside // it is held itself
	}
	return kargo.Hold{
		Kind: change.Kind, Stack: change.Stack, Name: change.Name, Until: until,
		Reason: fmt.Sprintf("waits for port %s, which %s still publishes", b.port, b.service),
	}
}

// withoutPorts returns an update that does not publish the blocked ports yet.
func withoutPorts(change kargo.Change, blockers []blocker) kargo.Change {
	spec := *change.Service
	endpoint := *spec.EndpointSpec // the spec may belong to the caller
	endpoint.Ports = slices.DeleteFunc(slices.Clone(endpoint.Ports), func(port swarm.PortConfig) bool {
		return slices.ContainsFunc(blockers, func(b blocker) bool { return b.port == portOf(port) })
	})
	spec.EndpointSpec = &endpoint
	change.Service = &spec
	for _, b := range blockers {
		change.Reason += fmt.Sprintf("; port %s follows once %s has released it", b.port, b.service)
	}
	return change
}
