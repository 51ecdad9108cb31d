package render

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// What Swarm takes for resources; below it refuses the service.
const (
	minMemory   = 4 << 20 // bytes
	minNanoCPUs = 1e6
)

// checkLimits looks at a finished spec for what Swarm would refuse, or do
// otherwise than was meant.
func (w *work) checkLimits(service types.ServiceConfig, spec swarm.ServiceSpec) {
	if resources := spec.TaskTemplate.Resources; resources != nil {
		if limits := resources.Limits; limits != nil {
			w.checkResources(service.Name, "limits", limits.MemoryBytes, limits.NanoCPUs)
		}
		if reservations := resources.Reservations; reservations != nil {
			w.checkResources(service.Name, "reservations", reservations.MemoryBytes, reservations.NanoCPUs)
		}
	}
	w.checkMonitor(service.Name, spec)
	w.checkStartFirst(service.Name, spec)
}

func (w *work) checkResources(service, kind string, memory, cpus int64) {
	path := []string{"services", service, "deploy", "resources", kind}
	if memory != 0 && memory < minMemory {
		w.fail(w.place(append(path, "memory")...), `write it with its unit, as in "64m"`, "%s.memory: %d bytes; Swarm takes at least 4 MiB", strings.Join(path, "."), memory)
	}
	if cpus != 0 && cpus < minNanoCPUs {
		w.fail(w.place(append(path, "cpus")...), "", "%s.cpus: Swarm takes at least 0.001", strings.Join(path, "."))
	}
}

// checkMonitor warns of an update whose failure would come too late to count:
// a task turns unhealthy after the start period and all its retries, and
// Swarm looks no longer than monitor.
func (w *work) checkMonitor(service string, spec swarm.ServiceSpec) {
	check, update := spec.TaskTemplate.ContainerSpec.Healthcheck, spec.UpdateConfig
	if check == nil || update == nil || len(check.Test) == 0 || check.Test[0] == "NONE" {
		return
	}
	if update.Monitor == 0 && update.FailureAction != "rollback" {
		return // nobody counts on it
	}
	monitor := withDefault(update.Monitor, 5*time.Second)
	fails := check.StartPeriod + withDefault(check.Interval, 30*time.Second)*time.Duration(withDefault(check.Retries, 3))
	if monitor < fails {
		w.warn(w.place("services", service, "deploy", "update_config", "monitor"), fmt.Sprintf("make it at least %s", fails),
			"services.%s.deploy.update_config.monitor is %s, but a sick task is unhealthy after %s only: the update would be called done", service, monitor, fails)
	}
}

func withDefault[N ~int | ~int64](value, standard N) N {
	if value == 0 {
		return standard
	}
	return value
}

// checkStartFirst warns of an update that waits for itself: the new task needs
// the port of the node that the old one holds.
func (w *work) checkStartFirst(service string, spec swarm.ServiceSpec) {
	if spec.UpdateConfig == nil || spec.UpdateConfig.Order != swarm.UpdateOrderStartFirst || spec.EndpointSpec == nil {
		return
	}
	for _, port := range spec.EndpointSpec.Ports {
		if port.PublishMode == swarm.PortConfigPublishModeHost {
			w.warn(w.place("services", service, "deploy", "update_config", "order"), "use stop-first, or publish the port in ingress mode",
				"services.%s starts a new task first, which waits for port %d of its node until the old one ends", service, port.PublishedPort)
			return
		}
	}
}

// hostAddress is the address of a node in front of a published port.
var hostAddress = regexp.MustCompile(`^(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\]):`)

// lintPorts warns of addresses in front of ports: Swarm has no place for them,
// and opens the port to everybody.
func (w *work) lintPorts(l *layer, name string) {
	ports, _ := l.serviceDict(name)["ports"].([]any)
	for i, port := range ports {
		text, _ := port.(string)
		if text = w.substituted(text); hostAddress.MatchString(text) {
			w.warn(l.at("services", name, "ports", fmt.Sprint(i)), "the port is open on every address of the node; close it by other means",
				"services.%s.ports: the address of %q is ignored by Swarm", name, text)
		}
	}
}

// checkPorts warns of two services that publish one port of the whole Swarm:
// it refuses the second.
func (r *renderer) checkPorts(stacks []kargo.Stack) {
	type port struct {
		number   uint32
		protocol swarm.PortConfigProtocol
	}
	owners := map[port]string{}
	for _, stack := range stacks {
		for _, service := range stack.Services {
			if service.Spec.EndpointSpec == nil {
				continue
			}
			for _, published := range service.Spec.EndpointSpec.Ports {
				key := port{published.PublishedPort, published.Protocol}
				if published.PublishedPort == 0 || published.PublishMode == swarm.PortConfigPublishModeHost {
					continue
				}
				if other, taken := owners[key]; taken && other != service.Name {
					r.warn(r.places[service.Name], "publish one of them elsewhere", "%s and %s both publish port %d/%s of every node; Swarm refuses the second",
						other, service.Name, key.number, key.protocol)
				}
				owners[key] = service.Name
			}
		}
	}
}

// passwordHash is what htpasswd makes and Traefik understands.
var passwordHash = regexp.MustCompile(`^(?:\$apr1\$|\$2[abxy]?\$|\{SHA\})`)

// checkHash warns of a basic authentication that lets nobody in.
func (r *renderer) checkHash() {
	const variable = "AUTH_PASSWORD"
	if value := r.ws.Env[variable]; value != "" && !passwordHash.MatchString(value) {
		r.warn(r.variable(variable), "write what `htpasswd -nB USER` prints behind the colon, in single quotes",
			"%s is no password hash that Traefik knows (bcrypt, MD5 or SHA1)", variable)
	}
}
