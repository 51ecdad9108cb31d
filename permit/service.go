package permit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/swarm"
	units "github.com/docker/go-units"

	"kargo"
)

// say reports one privilege: its rule, its value, its description, and where the
// compose file of a service sets it.
type say func(rule, value, what string, property ...string)

// service judges one service.
func (e *examiner) service(service kargo.Service, say say) {
	task := service.Spec.TaskTemplate
	if task.PluginSpec != nil || task.Runtime != "" && task.Runtime != swarm.RuntimeContainer {
		say("plugins", "*", "is a plugin of the engine, or runs in no container")
	}
	if container := task.ContainerSpec; container != nil {
		image(container.Image, say, "image")
		kernel(container, say)
		if container.Privileges != nil {
			privileges(container.Privileges, say)
		}
		for _, m := range container.Mounts {
			e.mount(m, say)
		}
		e.objects(container, say)
		template(container.Hostname, "its hostname", say, "hostname")
		for _, entry := range container.Env {
			name, _, _ := strings.Cut(entry, "=")
			template(entry, "its environment", say, "environment", name)
		}
	}
	resources(task, say)
	if task.LogDriver != nil {
		logging(*task.LogDriver, say)
	}
	placement(task.Placement, say)
	e.routes(service, say)
	reserved(service.Spec.Labels, say)
	e.attachments(service, say)
	if service.Spec.EndpointSpec != nil {
		ports(service.Spec.EndpointSpec.Ports, say)
	}
	say("replicas", strconv.FormatUint(tasks(service.Spec.Mode), 10), fmt.Sprintf("has %d tasks", tasks(service.Spec.Mode)), "deploy", "replicas")
	unknownFields(service.Spec, say)
}

// tasks returns how many tasks of a service may run at once, on one node where
// there is one for each.
func tasks(mode swarm.ServiceMode) uint64 {
	switch {
	case mode.Replicated != nil && mode.Replicated.Replicas != nil:
		return *mode.Replicated.Replicas
	case mode.ReplicatedJob != nil && mode.ReplicatedJob.MaxConcurrent != nil:
		return *mode.ReplicatedJob.MaxConcurrent
	}
	return 1
}

// kernel judges capabilities, kernel parameters, limits, the OOM score and the
// isolation of Windows containers.
func kernel(container *swarm.ContainerSpec, say say) {
	for _, capability := range container.CapabilityAdd {
		name := strings.TrimPrefix(strings.ToUpper(capability), "CAP_")
		say("capabilities", name, "adds the capability "+name, "cap_add", capability)
	}
	for _, name := range slices.Sorted(maps.Keys(container.Sysctls)) {
		say("sysctls", name, "sets the kernel parameter "+name, "sysctls", name)
	}
	for _, limit := range container.Ulimits {
		hard := max(limit.Hard, limit.Soft)
		if limit.Hard < 0 || limit.Soft < 0 {
			hard = -1
		}
		say("ulimits", fmt.Sprintf("%s:%d", limit.Name, hard), fmt.Sprintf("sets the limit %s to %d", limit.Name, hard), "ulimits", limit.Name)
	}
	if score := container.OomScoreAdj; score < 0 {
		say("oom-score", strconv.FormatInt(score, 10), fmt.Sprintf("has the OOM score %d", score), "oom_score_adj")
	}
	if isolation := container.Isolation; !isolation.IsDefault() && !isolation.IsHyperV() {
		say("privileges", "isolation="+string(isolation), "has the isolation "+string(isolation), "isolation")
	}
}

// privileges judges what weakens the isolation of containers. The words after
// "=" are those of docker run's --security-opt.
func privileges(p *swarm.Privileges, say say) {
	if spec := p.CredentialSpec; spec != nil {
		for _, kind := range []struct{ name, value string }{{"config", spec.Config}, {"file", spec.File}, {"registry", spec.Registry}} {
			if kind.value != "" {
				say("privileges", "credential-spec="+kind.name, "has a credential spec from a "+kind.name, "credential_spec")
			}
		}
	}
	if selinux := p.SELinuxContext; selinux != nil && (selinux.Disable || selinux.User+selinux.Role+selinux.Type+selinux.Level != "") {
		say("privileges", "selinux", "has an SELinux context of its own", "security_opt")
	}
	if p.Seccomp != nil && p.Seccomp.Mode != "" && p.Seccomp.Mode != swarm.SeccompModeDefault {
		say("privileges", "seccomp="+string(p.Seccomp.Mode), "has the seccomp profile "+string(p.Seccomp.Mode), "security_opt")
	}
	if p.AppArmor != nil && p.AppArmor.Mode != "" && p.AppArmor.Mode != swarm.AppArmorModeDefault {
		say("privileges", "apparmor="+string(p.AppArmor.Mode), "has the AppArmor mode "+string(p.AppArmor.Mode), "security_opt")
	}
}

// resources judges devices.
func resources(task swarm.TaskSpec, say say) {
	if task.Resources == nil || task.Resources.Reservations == nil {
		return
	}
	for _, generic := range task.Resources.Reservations.GenericResources {
		kind := ""
		switch {
		case generic.NamedResourceSpec != nil:
			kind = generic.NamedResourceSpec.Kind
		case generic.DiscreteResourceSpec != nil:
			kind = generic.DiscreteResourceSpec.Kind
		}
		say("devices", kind, "reserves "+kind, "deploy", "resources", "reservations", "generic_resources")
	}
}

// largestLogBuffer is how many bytes of a container's log the daemon may keep in its own
// memory without that being a privilege. It keeps 1 MB if nothing is said.
const largestLogBuffer = 64 << 20

// logging judges where a service logs to. The daemon itself opens the addresses
// and files that the options name.
func logging(driver swarm.Driver, say say) {
	if driver.Name != "" {
		say("log-drivers", driver.Name, "logs through "+driver.Name, "logging")
	}
	for _, key := range slices.Sorted(maps.Keys(driver.Options)) {
		value := key
		if strings.HasSuffix(key, "address") || strings.HasSuffix(key, "url") {
			value += "=" + driver.Options[key]
		}
		if size, err := units.RAMInBytes(driver.Options[key]); key == "max-buffer-size" && (err != nil || size > largestLogBuffer) {
			value += "=" + driver.Options[key]
		}
		say("log-options", value, "logs with the option "+value, "logging", "options", key)
	}
}

// placement judges whether a service asks for the nodes that rule the Swarm.
func placement(p *swarm.Placement, say say) {
	if p == nil {
		return
	}
	for _, constraint := range p.Constraints {
		text := strings.ToLower(strings.Join(strings.Fields(constraint), ""))
		if text == "node.role==manager" || text == "node.role!=worker" {
			say(rulePlacement, "manager", asksForManagers, "deploy", "placement", "constraints")
		}
	}
}

const asksForManagers = "wants to run on managers"

// reserved judges labels that Kargo looks for on the services of all others.
func reserved(labels map[string]string, say say) {
	for _, label := range []string{kargo.LabelJob, kargo.LabelLeaseService} {
		if _, has := labels[label]; has {
			say(ruleOwnNames, label, "has the label "+label+", which Kargo gives services of its own", "deploy", "labels", label)
		}
	}
}

// image judges the registry of an image.
func image(image string, say say, property ...string) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		// A bare digest, or no image at all: no list can contain it.
		say("registries", image, "has the image "+image, property...)
		return
	}
	say("registries", named.Name(), "has an image from "+reference.Domain(named), property...)
}

// ports judges published ports.
func ports(ports []swarm.PortConfig, say say) {
	for _, port := range ports {
		rule, published := "published-ports", strconv.FormatUint(uint64(port.PublishedPort), 10)
		what := "publishes port " + published
		if port.PublishMode == swarm.PortConfigPublishModeHost {
			rule, what = "host-ports", what+" of the node"
		}
		say(rule, published, what, "ports")
	}
}
