package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kargo/render/compose"
	"kargo/render/view"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
)

// The least resources of a service that Swarm accepts.
const (
	minMemory   = 4 << 20 // bytes
	minNanoCPUs = 1e6
)

// checkLimits checks a finished spec for what Swarm refuses, or does otherwise
// than was meant.
func checkLimits(s *rendering, service string, spec swarm.ServiceSpec) {
	if resources := spec.TaskTemplate.Resources; resources != nil {
		if limits := resources.Limits; limits != nil {
			checkResources(s, service, "limits", limits.MemoryBytes, limits.NanoCPUs)
		}
		if reservations := resources.Reservations; reservations != nil {
			checkResources(s, service, "reservations", reservations.MemoryBytes, reservations.NanoCPUs)
		}
	}
	checkTest(s, service, spec)
	checkMonitor(s, service, spec)
	checkStartFirst(s, service, spec)
	checkReplicas(s, service, spec.Mode)
}

func checkResources(s *rendering, service, kind string, memory, cpus int64) {
	path := []string{"services", service, "deploy", "resources", kind}
	if memory != 0 && memory < minMemory {
		s.report.Fail(s.files.Place(append(path, "memory")...), `write it with its unit, as in "64m"`, "%s.memory: %d bytes; Swarm accepts at least 4 MiB", strings.Join(path, "."), memory)
	}
	if cpus != 0 && cpus < minNanoCPUs {
		s.report.Fail(s.files.Place(append(path, "cpus")...), "", "%s.cpus: Swarm takes at least 0.001", strings.Join(path, "."))
	}
}

// shellSyntax is what only a shell understands.
var shellSyntax = pattern.Lazy(`\|\||&&|[|;<>]|\$\(|\$\{?[A-Za-z_]|\x60`)

// checkTest warns of a health check that runs something else than was written,
// or nothing.
func checkTest(s *rendering, service string, spec swarm.ServiceSpec) {
	check := spec.TaskTemplate.ContainerSpec.Healthcheck
	if check == nil || len(check.Test) == 0 {
		return
	}
	kind, words := check.Test[0], check.Test[1:]
	command := strings.Join(words, " ")
	message, hint := "", ""
	switch {
	case kind == "NONE":
		if len(words) > 0 {
			message, hint = "NONE switches the check off; what follows is not run", "write [CMD, …] to run it"
		}
	case kind != "CMD" && kind != "CMD-SHELL":
		message, hint = fmt.Sprintf("a list begins with CMD, CMD-SHELL or NONE, not with %q: the engine runs nothing", kind), "write [CMD, "+kind+", …]"
	case strings.TrimSpace(command) == "":
		message, hint = "it has no command, and every check fails", "write the command, or disable: true"
	case kind == "CMD-SHELL" && len(words) > 1:
		message, hint = "the shell runs only the first word behind CMD-SHELL", "write the command as one text"
	case kind == "CMD-SHELL" && (command == "NONE" || strings.HasPrefix(command, "CMD ") || strings.HasPrefix(command, "CMD-SHELL ")):
		message, hint = "as a text it is run by a shell, "+strings.Fields(command)[0]+" included", "write it as a list, or without that word"
	case kind == "CMD" && len(words) == 1 && strings.ContainsAny(words[0], " \t"):
		message, hint = "CMD runs a program of that whole name", "write the words as a list, or CMD-SHELL"
	case kind == "CMD" && slices.ContainsFunc(words, isShell):
		message, hint = "CMD runs no shell, which the command needs", "write CMD-SHELL and the command as one text"
	}
	if message != "" {
		s.report.Warn(s.files.Place("services", service, "healthcheck", "test"), hint, "services.%s.healthcheck.test: %s", service, message)
	}
}

// isShell reports whether a word of a command means something to a shell only.
// The text of a script for a shell that CMD runs may have all of it.
func isShell(word string) bool {
	return slices.Contains([]string{"||", "&&", "|", ";", ">", "<", ">>", "2>&1"}, word) ||
		!strings.Contains(word, " ") && !strings.Contains(word, "://") && shellSyntax().MatchString(word)
}

// checkMonitor warns of an update whose failure comes too late to count: a task
// becomes unhealthy after the start period and all its retries, and Swarm
// watches it only for the time of monitor.
func checkMonitor(s *rendering, service string, spec swarm.ServiceSpec) {
	check, update := spec.TaskTemplate.ContainerSpec.Healthcheck, spec.UpdateConfig
	if check == nil || update == nil || len(check.Test) > 0 && check.Test[0] == "NONE" ||
		len(check.Test) == 0 && check.StartPeriod == 0 && check.Interval == 0 { // the image's check, with times that only the image knows
		return
	}
	if update.Monitor == 0 && update.FailureAction != "rollback" {
		return // nobody counts on it
	}
	monitor := withDefault(update.Monitor, 5*time.Second)
	fails := check.StartPeriod + withDefault(check.Interval, 30*time.Second)*time.Duration(withDefault(check.Retries, 3))
	if monitor < fails {
		s.report.Warn(s.files.Place("services", service, "deploy", "update_config", "monitor"), fmt.Sprintf("make it at least %s", fails),
			"services.%s.deploy.update_config.monitor is %s, but a failing task becomes unhealthy after %s: the update would count as successful", service, monitor, fails)
	}
}

func withDefault[N ~int | ~int64](value, standard N) N {
	if value == 0 {
		return standard
	}
	return value
}

// checkStartFirst warns of an update that waits for itself: the new task needs
// the port of the node, or the place on it, that the old task holds.
func checkStartFirst(s *rendering, service string, spec swarm.ServiceSpec) {
	if spec.UpdateConfig == nil || spec.UpdateConfig.Order != swarm.UpdateOrderStartFirst {
		return
	}
	warn := func(hint, format string, args ...any) {
		s.report.Warn(s.files.Place("services", service, "deploy", "update_config", "order"), hint,
			"services.%s starts a new task first, which "+format, append([]any{service}, args...)...)
	}
	if nodes, most := fullNodes(spec); nodes > 0 {
		warn("use stop-first, or have a node more", "finds no place if there are %d nodes: max_replicas_per_node %d makes them full", nodes, most)
	}
	if spec.EndpointSpec == nil {
		return
	}
	for _, port := range spec.EndpointSpec.Ports {
		if port.PublishMode == swarm.PortConfigPublishModeHost {
			warn("use stop-first, or publish the port in ingress mode", "waits for port %d of its node until the old one ends", port.PublishedPort)
			return
		}
	}
}

// fullNodes returns how many nodes the tasks of a service fill, of which each may run most,
// and 0 if these would leave a place free.
func fullNodes(spec swarm.ServiceSpec) (nodes, most uint64) {
	replicated, placement := spec.Mode.Replicated, spec.TaskTemplate.Placement
	if replicated == nil || placement == nil || placement.MaxReplicas == 0 {
		return 0, 0
	}
	replicas := uint64(1)
	if replicated.Replicas != nil {
		replicas = *replicated.Replicas
	}
	if replicas%placement.MaxReplicas > 0 {
		return 0, 0
	}
	return replicas / placement.MaxReplicas, placement.MaxReplicas
}

// maxReplicas of one service are far more than any Swarm can run.
const maxReplicas = 10_000

// checkReplicas refuses more tasks than any Swarm can run: it would try.
func checkReplicas(s *rendering, service string, mode swarm.ServiceMode) {
	var replicas uint64
	switch {
	case mode.Replicated != nil && mode.Replicated.Replicas != nil:
		replicas = *mode.Replicated.Replicas
	case mode.ReplicatedJob != nil && mode.ReplicatedJob.TotalCompletions != nil:
		replicas = *mode.ReplicatedJob.TotalCompletions
	}
	if replicas > maxReplicas {
		s.report.Fail(s.files.Place("services", service, "deploy", "replicas"), "",
			"services.%s.deploy.replicas: %d; the limit is %d", service, replicas, maxReplicas)
	}
}

// checkPorts refuses two services of one port, which Swarm refuses unless both
// publish it on their own node only.
func checkPorts(report *compose.Report, origins *Provenance, stacks []kargo.Stack) {
	type port struct {
		number   uint32
		protocol swarm.PortConfigProtocol
	}
	type owner struct {
		service string
		mode    swarm.PortConfigPublishMode
	}
	owners := map[port][]owner{}
	for _, stack := range stacks {
		for _, service := range stack.Services {
			if service.Spec.EndpointSpec == nil {
				continue
			}
			for _, published := range service.Spec.EndpointSpec.Ports {
				key := port{published.PublishedPort, cmp.Or(published.Protocol, swarm.PortConfigProtocolTCP)}
				if key.number == 0 {
					continue
				}
				for _, other := range owners[key] {
					bothOfNodes := other.mode == swarm.PortConfigPublishModeHost && published.PublishMode == other.mode
					if other.service != service.Name && !bothOfNodes {
						report.Fail(origins.Place(service.Name, "ports"), "publish one of them elsewhere", "%s and %s both publish port %d/%s; Swarm refuses the second",
							other.service, service.Name, key.number, key.protocol)
						break
					}
				}
				owners[key] = append(owners[key], owner{service.Name, published.PublishMode})
			}
		}
	}
}

// passwordHash is how a hash begins that htpasswd makes and Traefik
// understands.
var passwordHash = pattern.Lazy(`^(?:\$apr1\$|\$2[abxy]?\$|\{SHA\})`)

// checkHash warns of a basic authentication that refuses everybody.
func checkHash(ws *view.Workspace, report *compose.Report) {
	const variable = "AUTH_PASSWORD"
	if value := ws.Env[variable]; value != "" && !passwordHash().MatchString(value) {
		report.Warn(ws.PlaceOf(variable), "write what `htpasswd -nB USER` prints after the colon, in single quotes",
			"%s is not a password hash that Traefik knows (bcrypt, MD5 or SHA1)", variable)
	}
}
