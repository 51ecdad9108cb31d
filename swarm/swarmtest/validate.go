package swarmtest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/swarm"
)

var dnsName = regexp.MustCompile(`^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`)

// validateName checks the name of a service or network.
func validateName(name string) error {
	switch {
	case name == "":
		return invalid("meta: name must be provided")
	case !dnsName.MatchString(name):
		return invalid("name must be valid as a DNS name component")
	case len(name) > 63:
		return invalid("name must be 63 characters or fewer")
	}
	return nil
}

// validateSpec checks what does not depend on other objects.
func validateSpec(spec *swarm.ServiceSpec) error {
	if err := validateName(spec.Name); err != nil {
		return err
	}
	if err := validateResources(spec.TaskTemplate.Resources); err != nil {
		return err
	}
	if placement := spec.TaskTemplate.Placement; placement != nil {
		for _, text := range placement.Constraints {
			if _, err := parseConstraint(text); err != nil {
				return err
			}
		}
	}
	if err := validateContainer(spec.TaskTemplate.ContainerSpec); err != nil {
		return err
	}
	if isJob(spec.Mode) && spec.UpdateConfig != nil {
		return invalid("Jobs may not have an update config")
	}
	if update := spec.UpdateConfig; update != nil && (update.MaxFailureRatio < 0 || update.MaxFailureRatio > 1) {
		return invalid("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1")
	}
	return validateEndpoint(spec.EndpointSpec)
}

func validateResources(resources *swarm.ResourceRequirements) error {
	if resources == nil {
		return nil
	}
	check := func(nanoCPUs, memory int64) error {
		if nanoCPUs != 0 && nanoCPUs < 1e6 {
			return invalid("invalid cpu value %g: Must be at least %g", float64(nanoCPUs)/1e9, 1e6/1e9)
		}
		if memory != 0 && memory < 4*1024*1024 {
			return invalid("invalid memory value %d: Must be at least 4MiB", memory)
		}
		return nil
	}
	if limits := resources.Limits; limits != nil {
		if err := check(limits.NanoCPUs, limits.MemoryBytes); err != nil {
			return err
		}
	}
	if reserved := resources.Reservations; reserved != nil {
		return check(reserved.NanoCPUs, reserved.MemoryBytes)
	}
	return nil
}

func validateContainer(container *swarm.ContainerSpec) error {
	if err := validateReferences(container); err != nil {
		return err
	}
	if container.Image == "" {
		return invalid("ContainerSpec: image reference must be provided")
	}
	if _, err := reference.ParseNormalizedNamed(container.Image); err != nil {
		return invalid("ContainerSpec: %q is not a valid repository/tag", container.Image)
	}
	targets := map[string]bool{}
	for _, mount := range container.Mounts {
		if targets[mount.Target] {
			return invalid("ContainerSpec: duplicate mount point: %s", mount.Target)
		}
		targets[mount.Target] = true
	}
	if health := container.Healthcheck; health != nil && health.Retries < 0 {
		return invalid("ContainerSpec: Retries in HealthConfig cannot be negative")
	}
	return nil
}

// validateReferences checks that references are complete and that no two of a kind have
// the same path.
func validateReferences(container *swarm.ContainerSpec) error {
	const conflict = "%s references '%s' and '%s' have a conflicting target: '%s'"
	targets := map[string]string{}
	for _, secret := range container.Secrets {
		if secret.SecretID == "" || secret.SecretName == "" {
			return invalid("malformed secret reference")
		}
		if other, taken := targets[secret.File.Name]; taken {
			return invalid(conflict, "secret", other, secret.SecretName, secret.File.Name)
		}
		targets[secret.File.Name] = secret.SecretName
	}
	clear(targets)
	for _, config := range container.Configs {
		if config.ConfigID == "" || config.ConfigName == "" {
			return invalid("malformed config reference")
		}
		if config.File == nil {
			continue
		}
		if other, taken := targets[config.File.Name]; taken {
			return invalid(conflict, "config", other, config.ConfigName, config.File.Name)
		}
		targets[config.File.Name] = config.ConfigName
	}
	return nil
}

// port is a port that two services cannot both publish.
type port struct {
	number   uint32
	protocol swarm.PortConfigProtocol
}

func validateEndpoint(endpoint *swarm.EndpointSpec) error {
	if endpoint == nil {
		return nil
	}
	taken := map[port]bool{}
	for _, published := range endpoint.Ports {
		if endpoint.Mode == swarm.ResolutionModeDNSRR && published.PublishMode == swarm.PortConfigPublishModeIngress {
			return invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
		}
		key := port{published.PublishedPort, published.Protocol}
		if key.number != 0 && taken[key] {
			return invalid("EndpointSpec: duplicate published ports provided")
		}
		taken[key] = true
	}
	return nil
}

func (e *Engine) checkIngress(spec *swarm.ServiceSpec) error {
	for _, n := range e.networks {
		if n.Ingress && attached(spec.TaskTemplate.Networks, n.ID) {
			return invalid("Service cannot be explicitly attached to the ingress network %q", n.Name)
		}
	}
	return nil
}

// checkPorts refuses ports that another service publishes. It allows two host ports of
// the same number, which the scheduler keeps apart.
func (e *Engine) checkPorts(spec *swarm.ServiceSpec, current *service) error {
	if spec.EndpointSpec == nil {
		return nil
	}
	for _, other := range e.services {
		if other == current || other.Spec.EndpointSpec == nil {
			continue
		}
		for _, theirs := range other.Spec.EndpointSpec.Ports {
			clash := func(ours swarm.PortConfig) bool {
				return ours.PublishedPort != 0 && ours.PublishedPort == theirs.PublishedPort && ours.Protocol == theirs.Protocol &&
					(ours.PublishMode == swarm.PortConfigPublishModeIngress || theirs.PublishMode == swarm.PortConfigPublishModeIngress)
			}
			if slices.ContainsFunc(spec.EndpointSpec.Ports, clash) {
				how := "an ingress port"
				if theirs.PublishMode == swarm.PortConfigPublishModeHost {
					how = "a host-published port"
				}
				return invalid("port '%d' is already in use by service '%s' (%s) as %s",
					theirs.PublishedPort, other.Spec.Name, other.ID, how)
			}
		}
	}
	return nil
}

// checkReferences refuses configs and secrets that do not exist, or not under the name
// in the reference.
func (e *Engine) checkReferences(container *swarm.ContainerSpec) error {
	var lost []string
	for _, ref := range container.Secrets {
		if !slices.ContainsFunc(e.secrets, func(s *swarm.Secret) bool { return s.ID == ref.SecretID && s.Spec.Name == ref.SecretName }) {
			lost = append(lost, ref.SecretName)
		}
	}
	if err := missing("secret", lost); err != nil {
		return err
	}
	for _, ref := range container.Configs {
		if !slices.ContainsFunc(e.configs, func(c *swarm.Config) bool { return c.ID == ref.ConfigID && c.Spec.Name == ref.ConfigName }) {
			lost = append(lost, ref.ConfigName)
		}
	}
	return missing("config", lost)
}

func missing(kind string, names []string) error {
	switch len(names) {
	case 0:
		return nil
	case 1:
		return invalid("%s not found: %s", kind, names[0])
	}
	return invalid("%ss not found: %s", kind, strings.Join(names, ", "))
}
