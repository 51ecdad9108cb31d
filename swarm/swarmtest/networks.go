package swarmtest

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
)

// predefined marks Swarm's own network "host": services can use it, and no list has it.
const predefined = "com.docker.swarm.predefined"

func (e *Engine) addPredefinedNetworks() {
	e.bump()
	ingress := network.Inspect{Name: "ingress", Driver: "overlay", Ingress: true}
	host := network.Inspect{Name: "host", Driver: "host", Labels: map[string]string{predefined: "true"}}
	for _, own := range []network.Inspect{ingress, host} {
		own.ID, own.Created, own.Scope = e.newID(), e.now(), "swarm"
		e.networks = append(e.networks, &own)
	}
}

func networkID(n *network.Inspect) string   { return n.ID }
func networkName(n *network.Inspect) string { return n.Name }

func (e *Engine) networkAt(r *http.Request) (int, error) {
	id := r.PathValue("id")
	i := find(e.networks, id, networkID, networkName)
	if i < 0 {
		return i, notFound("network", id)
	}
	return i, nil
}

func (e *Engine) listNetworks(r *http.Request) (answer, error) {
	only, err := filtersOf(r)
	if err != nil {
		return answer{}, err
	}
	listed := []*network.Inspect{}
	for _, n := range e.networks {
		if n.Labels[predefined] == "" && e.matchesNetwork(only, n) {
			listed = append(listed, n)
		}
	}
	return ok(listed)
}

// matchesNetwork reports whether a network passes the filters. Unlike objects of other
// kinds, networks match by their whole name, or since engine 29 by any part of it.
func (e *Engine) matchesNetwork(only filters.Args, n *network.Inspect) bool {
	named := only.ExactMatch("name", n.Name)
	if e.newest {
		named = named || slices.ContainsFunc(only.Get("name"), func(part string) bool { return strings.Contains(n.Name, part) })
	}
	only = only.Clone()
	for _, name := range only.Get("name") {
		only.Del("name", name)
	}
	return named && matches(only, n.ID, n.Name, n.Labels) && only.ExactMatch("scope", n.Scope)
}

func (e *Engine) inspectNetwork(r *http.Request) (answer, error) {
	i, err := e.networkAt(r)
	if err != nil {
		return answer{}, err
	}
	return ok(e.networks[i])
}

func (e *Engine) createNetwork(r *http.Request) (answer, error) {
	var wanted network.CreateRequest
	if err := decode(r, &wanted); err != nil {
		return answer{}, err
	}
	if slices.ContainsFunc(e.networks, func(n *network.Inspect) bool { return n.Name == wanted.Name }) {
		return answer{}, refuse(http.StatusConflict, "network with name %s already exists", wanted.Name)
	}
	scope := "swarm"
	if wanted.Driver != "overlay" && wanted.Scope != scope {
		scope = "local"
	}
	if err := validateName(wanted.Name); err != nil {
		return answer{}, err
	}
	e.bump()
	made := &network.Inspect{
		Name: wanted.Name, ID: e.newID(), Created: e.now(), Scope: scope, Driver: wanted.Driver,
		Internal: wanted.Internal, Attachable: wanted.Attachable, Ingress: wanted.Ingress,
		Options: wanted.Options, Labels: wanted.Labels,
	}
	if wanted.IPAM != nil {
		made.IPAM = *wanted.IPAM
	}
	if scope == "swarm" && e.overlaps(made) {
		made.Driver, made.IPAM = "", network.IPAM{} // it is never allocated
	}
	e.networks = append(e.networks, made)
	e.wrote(events.NetworkEventType, events.ActionCreate, made.ID, made.Name)
	return created(network.CreateResponse{ID: made.ID})
}

// overlaps reports whether another network of the Swarm has a part of a network's
// subnets.
func (e *Engine) overlaps(wanted *network.Inspect) bool {
	return slices.ContainsFunc(wanted.IPAM.Config, func(mine network.IPAMConfig) bool {
		return slices.ContainsFunc(e.networks, func(n *network.Inspect) bool {
			return n.Scope == "swarm" && slices.ContainsFunc(n.IPAM.Config, func(other network.IPAMConfig) bool {
				a, errA := netip.ParsePrefix(mine.Subnet)
				b, errB := netip.ParsePrefix(other.Subnet)
				return errA == nil && errB == nil && a.Overlaps(b)
			})
		})
	})
}

// unallocated reports whether a task is on a network that was never allocated.
func (e *Engine) unallocated(t *task) bool {
	return slices.ContainsFunc(e.networks, func(n *network.Inspect) bool {
		return n.Scope == "swarm" && n.Driver == "" && attached(t.Spec.Networks, n.ID)
	})
}

func (e *Engine) removeNetwork(r *http.Request) (answer, error) {
	i, err := e.networkAt(r)
	if err != nil {
		return answer{}, err
	}
	n := e.networks[i]
	if err := e.networkInUse(n.ID); err != nil {
		return answer{}, err
	}
	e.networks = slices.Delete(e.networks, i, i+1)
	e.bump()
	e.wrote(events.NetworkEventType, events.ActionRemove, n.ID, n.Name)
	return done(http.StatusNoContent)
}

// networkInUse refuses the removal of a network that the Spec of a service names, that
// a task which should run uses, or that a person's container is attached to. Tasks of
// removed services do not count.
func (e *Engine) networkInUse(id string) error {
	const refusal = "rpc error: code = FailedPrecondition desc = network %s is in use by %s %s"
	for _, s := range e.services {
		if attached(s.Spec.TaskTemplate.Networks, id) || attached(specNetworks(&s.Spec), id) {
			return refuse(http.StatusBadRequest, refusal, id, "service", s.ID)
		}
	}
	for _, t := range e.tasks {
		if attached(t.Spec.Networks, id) && t.wanted() && !t.ended() {
			return refuse(http.StatusBadRequest, refusal, id, "task", t.ID)
		}
	}
	for _, n := range e.networks {
		if n.ID == id && len(n.Containers) > 1 { // one is Swarm's own
			return refuse(http.StatusBadRequest, refusal, id, "task", e.newID())
		}
	}
	return nil
}

// Attach connects a person's container of this name to an attachable network, as
// `docker run --network` does. Its task is in no list, and the network cannot be
// removed.
func (e *Engine) Attach(networkName, container string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.networks {
		if n.Name == networkName {
			if n.Containers == nil {
				n.Containers = map[string]network.EndpointResource{"lb-" + n.Name: {Name: n.Name + "-endpoint"}}
			}
			n.Containers[e.newID()] = network.EndpointResource{Name: container}
		}
	}
}

// Detach removes a container that Attach connected.
func (e *Engine) Detach(networkName, container string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.networks {
		if n.Name == networkName {
			maps.DeleteFunc(n.Containers, func(_ string, user network.EndpointResource) bool { return user.Name == container })
		}
	}
}

func attached(networks []swarm.NetworkAttachmentConfig, id string) bool {
	return slices.ContainsFunc(networks, func(n swarm.NetworkAttachmentConfig) bool { return n.Target == id })
}

// resolveNetworks replaces the names of networks in a spec by ids. Like the daemon it
// returns 500, and not 404, for a name that does not exist.
func (e *Engine) resolveNetworks(spec *swarm.ServiceSpec) error {
	networks := spec.TaskTemplate.Networks
	if len(networks) == 0 {
		networks = specNetworks(spec)
	}
	for i := range networks {
		found := find(e.networks, networks[i].Target, networkID, networkName)
		if found < 0 {
			return refuse(http.StatusInternalServerError, "network %s not found", networks[i].Target)
		}
		networks[i].Target = e.networks[found].ID
	}
	return nil
}

// specNetworks returns the networks that old clients set outside the task template.
func specNetworks(spec *swarm.ServiceSpec) []swarm.NetworkAttachmentConfig {
	//nolint:staticcheck // what old clients sent must be read back
	return spec.Networks
}
