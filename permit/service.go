package permit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// service judges one service.
func (j *judge) service(service kargo.Service) {
	task := service.Spec.TaskTemplate
	say := func(rule, value, what string, property ...string) {
		j.find(finding{service.Name, property, rule, value, what})
	}
	if task.PluginSpec != nil || task.Runtime == swarm.RuntimePlugin {
		say("plugins", "*", "is a plugin of the engine")
	}
	if container := task.ContainerSpec; container != nil {
		j.image(container.Image, say, "image")
		kernel(container, say)
		if container.Privileges != nil {
			privileges(container.Privileges, say)
		}
		for _, m := range container.Mounts {
			j.mount(m, say)
		}
		j.objects(container, say)
	}
	resources(task, say)
	j.networks(task.Networks, say)
	if service.Spec.EndpointSpec != nil {
		ports(service.Spec.EndpointSpec.Ports, say)
	}
}

// say reports one privilege of a service: its rule, its value, its description,
// and its path in the compose file.
type say func(rule, value, what string, property ...string)

// kernel judges capabilities, kernel parameters and the OOM score.
func kernel(container *swarm.ContainerSpec, say say) {
	for _, capability := range container.CapabilityAdd {
		name := strings.TrimPrefix(strings.ToUpper(capability), "CAP_")
		say("capabilities", name, "adds the capability "+name, "cap_add", capability)
	}
	for _, name := range slices.Sorted(maps.Keys(container.Sysctls)) {
		say("sysctls", name, "sets the kernel parameter "+name, "sysctls", name)
	}
	if score := container.OomScoreAdj; score < 0 {
		say("oom-score", strconv.FormatInt(score, 10), fmt.Sprintf("has the OOM score %d", score), "oom_score_adj")
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

// resources judges devices and log drivers.
func resources(task swarm.TaskSpec, say say) {
	if task.Resources != nil && task.Resources.Reservations != nil {
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
	if task.LogDriver != nil && task.LogDriver.Name != "" {
		say("log-drivers", task.LogDriver.Name, "logs through "+task.LogDriver.Name, "logging")
	}
}

// image judges the registry of an image.
func (j *judge) image(image string, say say, property ...string) {
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
