package draft

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// service returns what the compose file says of one service, which is called full in
// Swarm.
func (w writing) service(full, name string, spec swarm.ServiceSpec) mapping {
	c := spec.TaskTemplate.ContainerSpec
	w.unsaid(full, spec)
	var m mapping
	m.set("image", c.Image)
	m.set("entrypoint", c.Command)
	m.set("command", c.Args)
	m.set("hostname", c.Hostname)
	m.set("user", c.User)
	m.set("working_dir", c.Dir)
	m.set("environment", c.Env)
	m.set("labels", labels(c.Labels))
	m.set("healthcheck", healthcheck(c.Healthcheck))
	m.set("networks", w.attachments(name, spec.TaskTemplate.Networks))
	if endpoint := spec.EndpointSpec; endpoint != nil {
		m.set("ports", ports(endpoint.Ports))
	}
	m.set("volumes", w.mounts(full, c.Mounts))
	m.set("configs", w.configReferences(full, c.Configs))
	m.set("secrets", w.secretReferences(c.Secrets))
	m.set("credential_spec", credentialSpec(c.Privileges))
	m.set("extra_hosts", extraHosts(c.Hosts))
	if dns := c.DNSConfig; dns != nil {
		m.set("dns", dns.Nameservers)
		m.set("dns_search", dns.Search)
	}
	m.set("cap_add", c.CapabilityAdd)
	m.set("cap_drop", c.CapabilityDrop)
	m.set("sysctls", c.Sysctls)
	m.set("ulimits", ulimits(c.Ulimits))
	if c.Init != nil {
		m.put("init", *c.Init)
	}
	m.set("read_only", c.ReadOnly)
	m.set("tty", c.TTY)
	m.set("stdin_open", c.OpenStdin)
	m.set("stop_signal", c.StopSignal)
	m.duration("stop_grace_period", c.StopGracePeriod)
	m.set("oom_score_adj", c.OomScoreAdj)
	if c.Isolation != "default" {
		m.set("isolation", string(c.Isolation))
	}
	if driver := spec.TaskTemplate.LogDriver; driver != nil {
		var logging mapping
		logging.set("driver", driver.Name)
		logging.set("options", driver.Options)
		m.set("logging", logging)
	}
	m.set("deploy", w.deploy(full, spec))
	return m
}

// deploy returns the section of how Swarm runs the service.
func (w writing) deploy(full string, spec swarm.ServiceSpec) mapping {
	var m mapping
	switch mode := spec.Mode; {
	case mode.Global != nil:
		m.set("mode", "global")
	case mode.GlobalJob != nil:
		m.set("mode", "global-job")
	case mode.ReplicatedJob != nil:
		m.set("mode", "replicated-job")
		if total := mode.ReplicatedJob.TotalCompletions; total != nil {
			m.put("replicas", *total)
			if concurrent := mode.ReplicatedJob.MaxConcurrent; concurrent != nil && *concurrent != *total {
				w.lose("service %s: the job runs %d tasks at once of %d in all; a compose file has one number for both", full, *concurrent, *total)
			}
		}
	case mode.Replicated != nil && mode.Replicated.Replicas != nil:
		m.put("replicas", *mode.Replicated.Replicas)
	}
	m.set("labels", labels(spec.Labels))
	if endpoint := spec.EndpointSpec; endpoint != nil && endpoint.Mode != swarm.ResolutionModeVIP {
		m.set("endpoint_mode", string(endpoint.Mode))
	}
	if placement := spec.TaskTemplate.Placement; placement != nil {
		var p mapping
		p.set("constraints", placement.Constraints)
		var preferences []mapping
		for _, preference := range placement.Preferences {
			if preference.Spread != nil {
				preferences = append(preferences, mapping{{"spread", preference.Spread.SpreadDescriptor}})
			}
		}
		p.set("preferences", preferences)
		p.set("max_replicas_per_node", placement.MaxReplicas)
		m.set("placement", p)
	}
	m.set("resources", w.resources(full, spec.TaskTemplate.Resources))
	if policy := spec.TaskTemplate.RestartPolicy; policy != nil {
		var p mapping
		p.set("condition", string(policy.Condition))
		p.duration("delay", policy.Delay)
		if policy.MaxAttempts != nil {
			p.put("max_attempts", *policy.MaxAttempts)
		}
		p.duration("window", policy.Window)
		m.set("restart_policy", p)
	}
	m.set("update_config", updateConfig(spec.UpdateConfig))
	m.set("rollback_config", updateConfig(spec.RollbackConfig))
	return m
}

func updateConfig(config *swarm.UpdateConfig) mapping {
	if config == nil {
		return nil
	}
	m := mapping{{"parallelism", config.Parallelism}}
	m.duration("delay", &config.Delay)
	m.set("failure_action", config.FailureAction)
	m.duration("monitor", &config.Monitor)
	if ratio := config.MaxFailureRatio; ratio != 0 {
		m.put("max_failure_ratio", literal(strconv.FormatFloat(float64(ratio), 'f', -1, 32)))
	}
	m.set("order", config.Order)
	return m
}

func (w writing) resources(full string, resources *swarm.ResourceRequirements) mapping {
	if resources == nil {
		return nil
	}
	var m mapping
	if limits := resources.Limits; limits != nil {
		var l mapping
		l.set("cpus", cpus(limits.NanoCPUs))
		l.set("memory", memory(limits.MemoryBytes))
		l.set("pids", limits.Pids)
		m.set("limits", l)
	}
	if reserved := resources.Reservations; reserved != nil {
		var r mapping
		r.set("cpus", cpus(reserved.NanoCPUs))
		r.set("memory", memory(reserved.MemoryBytes))
		var generic []mapping
		for _, resource := range reserved.GenericResources {
			if discrete := resource.DiscreteResourceSpec; discrete != nil {
				generic = append(generic, mapping{{"discrete_resource_spec", mapping{{"kind", discrete.Kind}, {"value", discrete.Value}}}})
			} else {
				w.lose("service %s: it reserves a named generic resource, which a compose file cannot say", full)
			}
		}
		r.set("generic_resources", generic)
		m.set("reservations", r)
	}
	return m
}

// cpus returns billionths of a processor as compose files have them: "0.5".
func cpus(nano int64) string {
	if nano == 0 {
		return ""
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%09d", nano/1e9, nano%1e9), "0"), ".")
}

func memory(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return strconv.FormatInt(bytes, 10)
}

func healthcheck(check *container.HealthConfig) mapping {
	if check == nil {
		return nil
	}
	if len(check.Test) == 1 && check.Test[0] == "NONE" {
		return mapping{{"disable", true}}
	}
	var m mapping
	m.set("test", check.Test)
	m.duration("interval", &check.Interval)
	m.duration("timeout", &check.Timeout)
	m.duration("start_period", &check.StartPeriod)
	m.duration("start_interval", &check.StartInterval)
	m.set("retries", check.Retries)
	return m
}

func ports(configs []swarm.PortConfig) []mapping {
	var list []mapping
	for _, port := range configs {
		m := mapping{{"target", port.TargetPort}}
		m.set("published", port.PublishedPort)
		m.set("protocol", string(port.Protocol))
		m.set("mode", string(port.PublishMode))
		list = append(list, m)
	}
	return list
}

// extraHosts turns "10.0.0.1 db" into "db:10.0.0.1".
func extraHosts(hosts []string) []string {
	var list []string
	for _, host := range hosts {
		words := strings.Fields(host)
		for _, name := range words[min(1, len(words)):] {
			list = append(list, name+":"+words[0])
		}
	}
	return list
}

func ulimits(limits []*container.Ulimit) mapping {
	var m mapping
	for _, limit := range limits {
		m.put(limit.Name, mapping{{"soft", limit.Soft}, {"hard", limit.Hard}})
	}
	return m
}

func credentialSpec(privileges *swarm.Privileges) mapping {
	if privileges == nil || privileges.CredentialSpec == nil {
		return nil
	}
	var m mapping
	m.set("file", privileges.CredentialSpec.File)
	m.set("registry", privileges.CredentialSpec.Registry)
	return m
}

// labels leaves out what the converter and Kargo add.
func labels(all map[string]string) map[string]string {
	own := maps.Clone(all)
	maps.DeleteFunc(own, func(name, _ string) bool {
		return name == kargo.LabelNamespace || name == kargo.LabelImage || strings.HasPrefix(name, "kargo.")
	})
	return own
}

// unsaid says what compose files cannot say of a service. Taking it over replaces its
// tasks, because the rendering lacks it.
func (w writing) unsaid(full string, spec swarm.ServiceSpec) {
	c := spec.TaskTemplate.ContainerSpec
	lost := func(what string) {
		w.lose("service %s: %s, which a compose file cannot say; taking the service over replaces its tasks", full, what)
	}
	if len(c.Groups) > 0 {
		lost("it has additional groups (" + strings.Join(c.Groups, ", ") + ")")
	}
	if p := c.Privileges; p != nil {
		if p.SELinuxContext != nil || p.Seccomp != nil || p.AppArmor != nil || p.NoNewPrivileges {
			lost("it has options of SELinux, seccomp, AppArmor or no-new-privileges")
		}
		if p.CredentialSpec != nil && p.CredentialSpec.Config != "" {
			lost("its credential spec is a Swarm config")
		}
	}
	if c.Labels[kargo.LabelNamespace] != w.stack.Namespace() {
		w.lose("service %s: containers without the label of stack %s; they get it, which replaces its tasks once", full, w.stack.Name)
	}
	if len(spec.TaskTemplate.Networks) == 0 {
		w.lose("service %s: a service without a network; a compose file puts it on %s_default, which replaces its tasks once", full, w.stack.Namespace())
	}
}
