package permit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
	paces(task, say)
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
	all := tasksInAll(service.Spec.Mode)
	say("replicas", strconv.FormatUint(all, 10), fmt.Sprintf("has %d tasks", all), "deploy", "replicas")
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

// tasksInAll returns how many tasks a service has: of a job those that run one after
// another, too, for the managers keep them all.
func tasksInAll(mode swarm.ServiceMode) uint64 {
	all := tasks(mode)
	if job := mode.ReplicatedJob; job != nil && job.TotalCompletions != nil {
		all = max(all, *job.TotalCompletions)
	}
	return all
}

// paces judges how soon a node starts a failed task again, how often it runs the health
// check, and how long a container may go on when it was told to stop.
func paces(task swarm.TaskSpec, say say) {
	if policy := task.RestartPolicy; policy != nil && policy.Delay != nil && policy.Condition != swarm.RestartPolicyConditionNone {
		say(ruleRestartDelay, policy.Delay.String(), fmt.Sprintf("starts again %s after it has ended", *policy.Delay), "deploy", "restart_policy", "delay")
	}
	container := task.ContainerSpec
	if container == nil {
		return
	}
	if check := container.Healthcheck; check != nil {
		for _, pace := range []struct {
			property string
			interval time.Duration // 0 is the one of the image
		}{{"interval", check.Interval}, {"start_interval", check.StartInterval}} {
			if pace.interval != 0 {
				say(ruleHealthInterval, pace.interval.String(), fmt.Sprintf("has a health check every %s", pace.interval), "healthcheck", pace.property)
			}
		}
	}
	if grace := container.StopGracePeriod; grace != nil {
		say(ruleStopGrace, grace.String(), fmt.Sprintf("may go on for %s when it is stopped", *grace), "stop_grace_period")
	}
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

const (
	// largestLogBuffer is how many bytes of a container's log the daemon may keep in its own
	// memory without that being a privilege. It keeps 1 MB if nothing is said.
	largestLogBuffer = 64 << 20
	// mostLogFiles is how many files of a container's log the daemon may rename each time
	// that one is full.
	mostLogFiles = 1000
)

// isCostlyLogOption reports whether the value of an option makes work for the daemon
// itself: memory, files that it renames, or a template that it completes and that could
// grow there.
func isCostlyLogOption(key, value string) bool {
	switch key {
	case "max-buffer-size", "fluentd-buffer-limit":
		size, err := units.RAMInBytes(value)
		return err != nil || size > largestLogBuffer
	case "max-file":
		count, err := strconv.Atoi(value)
		return err != nil || count > mostLogFiles
	case "tag":
		return !isPlainTemplate(value)
	}
	return false
}

// logging judges where a service logs to. The daemon itself opens the addresses
// and files that the options name.
func logging(driver swarm.Driver, say say) {
	if driver.Name != "" {
		say("log-drivers", driver.Name, "logs through "+driver.Name, "logging")
	}
	for _, key := range slices.Sorted(maps.Keys(driver.Options)) {
		value := key
		if strings.HasSuffix(key, "address") || strings.HasSuffix(key, "url") || isCostlyLogOption(key, driver.Options[key]) {
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
