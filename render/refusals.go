package render

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
	"kargo/render/swarmcheck"
	"kargo/spelling"
)

// refuse reports what Swarm, or every node, would refuse of a service. It is
// asked only about services without another error.
func refuse(s *rendering, service string, spec swarm.ServiceSpec) {
	refuseConstraints(s, service, spec)
	explainRefusals(s, service, withoutConstraints(spec))
	for _, refusal := range swarmcheck.Container(spec) {
		at, name := placeOfRefusal(s, service, refusal.Property)
		s.report.Fail(at, refusal.Hint, "services.%s.%s: %s", service, name, refusal.Reason)
	}
	checkLogDriver(s, service, spec)
	checkPayloads(s, service, spec)
}

// explainRefusals reports what Swarm refuses of a spec, one after another: each is taken
// off the spec, and the rest is asked about again.
func explainRefusals(s *rendering, service string, spec swarm.ServiceSpec) {
	refused := s.swarm.Service(spec)
	if refused == nil {
		return // most services
	}
	rest, err := cloned(spec)
	if err != nil {
		return // not a spec that could be sent
	}
	for range len(refusedBySwarm) + len(spec.TaskTemplate.ContainerSpec.Env) {
		if refused == nil || !explainRefusal(s, service, &rest, refused.Error()) {
			return
		}
		refused = s.swarm.Service(rest)
	}
}

// placeOfRefusal returns the place of a property that nodes refuse, and its
// name.
func placeOfRefusal(s *rendering, service string, property []string) (kargo.Place, string) {
	name := strings.Join(property, ".")
	switch property[0] {
	case "volumes":
		return s.files.VolumePlace(service, property[1]), "volumes"
	case "cap_add", "cap_drop":
		name = property[0]
		if at := s.files.Place("services", service, name, "CAP_"+property[1]); at != s.files.Place("services", service, name) {
			return at, name
		}
	}
	return s.files.Place(append([]string{"services", service}, property...)...), name
}

// cloned is a deep copy of a spec.
func cloned(spec swarm.ServiceSpec) (swarm.ServiceSpec, error) {
	var copied swarm.ServiceSpec
	data, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(data, &copied)
	}
	return copied, err
}

// refuseConstraints reports each constraint that Swarm cannot parse.
func refuseConstraints(s *rendering, service string, spec swarm.ServiceSpec) {
	placement := spec.TaskTemplate.Placement
	if placement == nil {
		return
	}
	variable := kargo.SuffixConstraints.Of(service)
	for _, constraint := range placement.Constraints {
		err := swarmcheck.Constraint(constraint)
		if err == nil {
			continue
		}
		path := []string{"services", service, "deploy", "placement", "constraints", constraint}
		at := s.files.Place(path...)
		if strings.Contains(withoutBlanks(s.ws.Value(variable)), withoutBlanks(constraint)) {
			at = s.ws.PlaceOf(variable)
		}
		s.report.Fail(at, "for example node.role==manager", "%s: %q: %s", strings.Join(path[:5], "."), constraint, err)
	}
}

// withoutConstraints returns a spec without its constraints.
func withoutConstraints(spec swarm.ServiceSpec) swarm.ServiceSpec {
	if spec.TaskTemplate.Placement != nil {
		placement := *spec.TaskTemplate.Placement
		placement.Constraints = nil
		spec.TaskTemplate.Placement = &placement
	}
	return spec
}

func withoutBlanks(text string) string { return strings.Join(strings.Fields(text), "") }

// refusedBySwarm are the refusals of Swarm's own validation: how each begins,
// the property that it is about, and how the property is taken off the spec, so
// that the rest can be validated.
var refusedBySwarm = []struct {
	pattern  func() *regexp.Regexp
	property string
	hint     string
	drop     func(spec *swarm.ServiceSpec)
}{
	{pattern.Lazy(`(?i)^invalid RestartCondition`), "deploy.restart_policy.condition", "Swarm knows none, on-failure and any; always is any", func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.RestartPolicy.Condition = ""
	}},
	{pattern.Lazy(`restart-delay`), "deploy.restart_policy.delay", "", func(spec *swarm.ServiceSpec) { spec.TaskTemplate.RestartPolicy.Delay = nil }},
	{pattern.Lazy(`restart-window`), "deploy.restart_policy.window", "", func(spec *swarm.ServiceSpec) { spec.TaskTemplate.RestartPolicy.Window = nil }},
	{pattern.Lazy(`update-delay`), "deploy.update_config.delay", "", func(spec *swarm.ServiceSpec) { spec.UpdateConfig.Delay = 0 }},
	{pattern.Lazy(`update-monitor`), "deploy.update_config.monitor", "", func(spec *swarm.ServiceSpec) { spec.UpdateConfig.Monitor = 0 }},
	{pattern.Lazy(`update-maxfailureratio`), "deploy.update_config.max_failure_ratio", "write a share such as 0.3", func(spec *swarm.ServiceSpec) {
		spec.UpdateConfig.MaxFailureRatio = 0
	}},
	{pattern.Lazy(`^unrecognized update failure action`), "deploy.update_config.failure_action", "pause, continue or rollback", nil},
	{pattern.Lazy(`^unrecognized update order`), "deploy.update_config.order", "stop-first or start-first", nil},
	{pattern.Lazy(`^Jobs may not have an update config`), "deploy.update_config", "remove it: a job is not updated step by step", func(spec *swarm.ServiceSpec) { spec.UpdateConfig = nil }},
	{pattern.Lazy(`^invalid resolution mode`), "deploy.endpoint_mode", "vip or dnsrr", func(spec *swarm.ServiceSpec) { spec.EndpointSpec.Mode = "" }},
	{pattern.Lazy(`dnsrr mode`), "ports", "publish it with mode: host, or remove endpoint_mode: dnsrr", func(spec *swarm.ServiceSpec) { spec.EndpointSpec = nil }},
	{pattern.Lazy(`^duplicate published ports`), "ports", "each port of the node can be published once for a protocol", func(spec *swarm.ServiceSpec) { spec.EndpointSpec = nil }},
	{pattern.Lazy(`^Interval in HealthConfig`), "healthcheck.interval", `write it with its unit, as in "30s"`, func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Healthcheck.Interval = 0
	}},
	{pattern.Lazy(`^Timeout in HealthConfig`), "healthcheck.timeout", `write it with its unit, as in "10s"`, func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Healthcheck.Timeout = 0
	}},
	{pattern.Lazy(`^StartPeriod in HealthConfig`), "healthcheck.start_period", `write it with its unit, as in "60s"`, func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Healthcheck.StartPeriod = 0
	}},
	{pattern.Lazy(`^StartInterval in HealthConfig`), "healthcheck.start_interval", `write it with its unit, as in "5s"`, func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Healthcheck.StartInterval = 0
	}},
	{pattern.Lazy(`^Retries in HealthConfig`), "healthcheck.retries", "", func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Healthcheck.Retries = 0
	}},
	{pattern.Lazy(`^expanding hostname failed`), "hostname", hintTemplate, func(spec *swarm.ServiceSpec) {
		spec.TaskTemplate.ContainerSpec.Hostname = ""
	}},
	{pattern.Lazy(`^invalid (?:cpu|memory) value`), "deploy.resources", "", func(spec *swarm.ServiceSpec) { spec.TaskTemplate.Resources = nil }},
}

const hintTemplate = "see docker service create for the templates that there are"

var (
	envTemplate = pattern.Lazy(`^expanding env failed: expanding env "([^=]*)=`)
	anyMount    = pattern.Lazy(`^(?:expanding mounts failed|duplicate mount point|invalid Mount)`)
)

// explainRefusal reports a refusal at the property that it is about, and takes
// that off the spec. It returns false where nothing is left to ask.
func explainRefusal(s *rendering, service string, rest *swarm.ServiceSpec, reason string) bool {
	if match := envTemplate().FindStringSubmatch(reason); match != nil {
		container := rest.TaskTemplate.ContainerSpec
		container.Env = slices.DeleteFunc(container.Env, func(entry string) bool { return strings.HasPrefix(entry, match[1]+"=") })
		// The reason may quote the value, which may be a secret.
		s.report.Fail(s.files.Place("services", service, "environment", match[1]), `Swarm expands {{…}} in values; write {{"{{"}} for braces`,
			"services.%s.environment.%s: Swarm cannot expand the template in its value", service, match[1])
		return true
	}
	if anyMount().MatchString(reason) {
		refuseMounts(s, service, rest)
		return true
	}
	for _, known := range refusedBySwarm {
		if !known.pattern().MatchString(reason) {
			continue
		}
		property, drop := known.property, known.drop
		if drop == nil { // the word is one of update_config or of rollback_config
			drop = func(spec *swarm.ServiceSpec) { spec.UpdateConfig = nil }
			if !inUpdateConfig(*rest, reason) {
				property = strings.Replace(property, "update_config", "rollback_config", 1)
				drop = func(spec *swarm.ServiceSpec) { spec.RollbackConfig = nil }
			}
		}
		path := append([]string{"services", service}, strings.Split(property, ".")...)
		s.report.Fail(s.files.Place(path...), known.hint, "services.%s.%s: %s", service, property, reason)
		drop(rest)
		return true
	}
	s.report.Fail(s.files.Place("services", service), "", "services.%s: Swarm refuses it: %s", service, reason)
	return false
}

// inUpdateConfig reports whether the word that ends a refusal is one of the
// update_config, rather than of the rollback_config.
func inUpdateConfig(spec swarm.ServiceSpec, reason string) bool {
	update := spec.UpdateConfig
	return update != nil && (strings.HasSuffix(reason, " "+update.FailureAction) || strings.HasSuffix(reason, " "+update.Order))
}

// refuseMounts finds the mounts that are refused, by asking for each alone and
// for those before it.
func refuseMounts(s *rendering, service string, rest *swarm.ServiceSpec) {
	container := rest.TaskTemplate.ContainerSpec
	all := container.Mounts
	container.Mounts = nil
	for _, m := range all {
		container.Mounts = append(container.Mounts, m)
		if err := s.swarm.Service(*rest); err != nil && anyMount().MatchString(err.Error()) {
			s.report.Fail(s.files.VolumePlace(service, m.Target), "", "services.%s.volumes: %s", service, err)
			container.Mounts = container.Mounts[:len(container.Mounts)-1]
		}
	}
	container.Mounts = nil
}

// checkLogDriver warns of a driver that every node would have to have as a
// plugin.
func checkLogDriver(s *rendering, service string, spec swarm.ServiceSpec) {
	driver := spec.TaskTemplate.LogDriver
	if driver == nil || driver.Name == "" || slices.Contains(swarmcheck.LogDrivers, driver.Name) {
		return
	}
	s.report.Warn(s.files.Place("services", service, "logging", "driver"), spelling.DidYouMean(driver.Name, swarmcheck.LogDrivers),
		"services.%s.logging.driver: %q is no driver of Docker's own; every node needs its plugin", service, driver.Name)
}

// checkPayloads refuses configs and secrets that are templates which cannot be
// expanded for the service.
func checkPayloads(s *rendering, service string, spec swarm.ServiceSpec) {
	for key, object := range s.objects.templates {
		if !uses(spec.TaskTemplate.ContainerSpec, object) {
			continue
		}
		if err := swarmcheck.Payload(object.Driver, object.Data, spec); err != nil {
			reason := err.Error()
			if object.Secret {
				reason = "it is no template that can be expanded" // the reason may quote the secret
			}
			s.report.Fail(s.files.Place(key.section(), key.key, "template_driver"), "", "%s.%s for services.%s: %s", key.section(), key.key, service, reason)
		}
	}
}

// uses reports whether a container is handed an object.
func uses(container *swarm.ContainerSpec, object kargo.Config) bool {
	if object.Secret {
		return slices.ContainsFunc(container.Secrets, func(r *swarm.SecretReference) bool { return r.SecretName == object.Name })
	}
	return slices.ContainsFunc(container.Configs, func(r *swarm.ConfigReference) bool { return r.ConfigName == object.Name })
}

// localDrivers make networks of one node, which no service can be attached to.
var localDrivers = []string{"bridge", "host", "null", "none", "macvlan", "ipvlan"}

// refuseNetworks reports networks of the stack that Swarm refuses.
func refuseNetworks(s *rendering, all []kargo.Network) {
	for _, network := range all {
		if network.External {
			continue
		}
		switch err := s.swarm.Network(network); {
		case err != nil:
			s.report.Fail(placeOfNetwork(s, network), "", "network %s: %s", network.Name, err)
		case slices.Contains(localDrivers, network.Driver):
			s.report.Fail(placeOfNetwork(s, network), "use overlay, or declare a network that exists with external: true",
				"network %s: the driver %s makes networks of one node only", network.Name, network.Driver)
		}
	}
}

// placeOfNetwork returns where a network is declared, or the variable that names it for
// all stacks.
func placeOfNetwork(s *rendering, network kargo.Network) kargo.Place {
	for _, shared := range sharedNetworks {
		if network.Shared && s.ws.Value(shared.variable) == network.Name {
			return s.ws.PlaceOf(shared.variable)
		}
	}
	return s.files.Place("networks", networkKey(s.files, s.namespace, network.Name))
}
