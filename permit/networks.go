package permit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kargo"
	"kargo/pattern"
)

// dockerNetworks are Docker's own. The first is the node's network itself.
var dockerNetworks = []string{"host", "bridge", "none", "ingress", "docker_gwbridge"}

// SharedNetwork is a network that joins the stacks of a workspace: what it is for,
// the variable that names it, and the name.
type SharedNetwork struct{ Role, Variable, Name string }

// roleSocket is the role of the network on which Docker's API is reached.
const roleSocket = "socket"

// attachments judges what a service is attached to, and under which names.
func (e *examiner) attachments(service kargo.Service, say say) {
	//nolint:staticcheck // Swarm still reads the field of old clients
	for _, attached := range slices.Concat(service.Spec.TaskTemplate.Networks, service.Spec.Networks) {
		name := attached.Target
		known := slices.IndexFunc(e.stack.Networks, func(n kargo.Network) bool { return n.Name == name })
		own := known >= 0 && !e.stack.Networks[known].External && !e.stack.Networks[known].Shared
		switch {
		case slices.Contains(dockerNetworks, name) && name != "none":
			say("host-network", name, fmt.Sprintf("is on the network %q of the node", name), "networks", name)
		case known < 0 || e.stack.Networks[known].External:
			say(ruleExternal, name, "is on the external network "+name, "networks", name)
		case e.isSocketNetwork(name) && e.stack.Networks[known].Shared:
			say(ruleSocket, name, "is on the network of Docker's API", "networks", name)
		}
		for _, key := range slices.Sorted(maps.Keys(attached.DriverOpts)) {
			say(ruleNetworkOptions, key, "has the network option "+key, "networks", name)
		}
		if alias := hostnameOf(service); !own && alias != "" && !e.isOwnHostname(alias, service.Name) {
			say(ruleAliases, alias, fmt.Sprintf("answers to its hostname %q on %s, which others use, too", alias, name), "hostname")
		}
		for _, alias := range attached.Aliases {
			if !own && (alias != strings.TrimPrefix(service.Name, e.stack.Namespace()+"_") || inStackForm(alias)) {
				say(ruleAliases, alias, fmt.Sprintf("answers to the name %q on %s, which others use, too", alias, name), "networks", name)
			}
		}
	}
}

// hostnameOf returns the hostname of the containers of a service. On each of their
// networks they answer to it, as to an alias.
func hostnameOf(service kargo.Service) string {
	if service.Spec.TaskTemplate.ContainerSpec == nil {
		return ""
	}
	return service.Spec.TaskTemplate.ContainerSpec.Hostname
}

// ownHostname is one that begins with a name that no workspace chooses freely.
var ownHostname = pattern.Lazy(`^\{\{\s*\.(?:Service\.(?:ID|Name)|Task\.(?:ID|Name)|Node\.(?:ID|Hostname))\s*\}\}`)

// isOwnHostname reports whether a hostname is a name of the service itself, or of its
// node.
func (e *examiner) isOwnHostname(hostname, service string) bool {
	return hostname == service || hostname == strings.TrimPrefix(service, e.stack.Namespace()+"_") && !inStackForm(hostname) || ownHostname().MatchString(hostname)
}

func (e *examiner) isSocketNetwork(name string) bool {
	return slices.ContainsFunc(e.in.Shared, func(n SharedNetwork) bool { return n.Role == roleSocket && n.Name == name })
}

// madeNetwork judges one network that Kargo makes.
func madeNetwork(n kargo.Network, say say) {
	if n.Driver != "" {
		say("network-drivers", n.Driver, "has the driver "+n.Driver)
	}
	for _, key := range slices.Sorted(maps.Keys(n.Options)) {
		say(ruleNetworkOptions, key, "has the option "+key)
	}
	if n.IPAM == nil {
		return
	}
	if n.IPAM.Driver != "" && n.IPAM.Driver != "default" {
		say(ruleNetworkOptions, "ipam-driver="+n.IPAM.Driver, "has its addresses from the driver "+n.IPAM.Driver)
	}
	for _, key := range slices.Sorted(maps.Keys(n.IPAM.Options)) {
		say(ruleNetworkOptions, "ipam-option="+key, "has the address option "+key)
	}
	for _, pool := range n.IPAM.Config {
		for _, setting := range []struct{ name, value string }{{"subnet", pool.Subnet}, {"ip-range", pool.IPRange}, {"gateway", pool.Gateway}} {
			if setting.value != "" {
				say(ruleNetworkOptions, setting.name+"="+setting.value, "chooses the "+setting.name+" "+setting.value)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(pool.AuxAddress)) {
			say(ruleNetworkOptions, "aux-address="+key, "reserves the address "+key)
		}
	}
}
