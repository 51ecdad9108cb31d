package draft

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// FromStacks makes a workspace of stacks as they run (swarm.Client.RunningStack).
// Each becomes a compose file with the contents of its configs. Rendered, the files
// ask for the same services: so a stack can be taken over, and no task is replaced.
//
// Swarm does not show the content of secrets. The files refer to them, and to all that
// does not belong to the stack, as external. What compose files cannot say is in Lost.
func FromStacks(stacks []kargo.Stack) (Draft, error) {
	d := newDraft()
	for _, stack := range stacks {
		w := writing{Draft: d, stack: stack, volumes: map[string]string{}, declared: map[string]mapping{}}
		if err := w.write(); err != nil {
			return Draft{}, fmt.Errorf("write the compose file of stack %s: %w", stack.Name, err)
		}
	}
	return *d, nil
}

// writing writes the compose file of one stack.
type writing struct {
	*Draft
	stack kargo.Stack
	// volumes has the keys of the volumes in the compose file, by name in Swarm.
	// declared has what the compose file says of each key.
	volumes  map[string]string
	declared map[string]mapping
}

func (w writing) write() error {
	var services mapping
	for _, service := range w.stack.Services {
		name, isNamed := strings.CutPrefix(service.Name, w.stack.Namespace()+"_")
		switch {
		case !isNamed:
			w.lose("service %s: it has the label of stack %s, but its name does not begin with %s_; it was left out", service.Name, w.stack.Name, w.stack.Name)
		case service.Spec.TaskTemplate.ContainerSpec == nil:
			w.lose("service %s: it runs no container (it is a plugin or an attachment); it was left out", service.Name)
		default:
			services.put(name, w.service(service.Name, name, service.Spec))
		}
	}
	var file mapping
	file.put("services", services)
	file.set("networks", w.networks())
	var volumes mapping
	for _, key := range slices.Sorted(maps.Keys(w.declared)) {
		volumes.put(key, w.declared[key])
	}
	file.set("volumes", volumes)
	file.set("configs", w.configs())
	file.set("secrets", w.secrets())
	data, err := file.yaml()
	if err != nil {
		return err
	}
	w.Files[path.Join(place, w.stack.Name, "compose.yml")] = File{Data: data}
	w.Stacks = append(w.Stacks, w.stack.Name)
	return nil
}

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

// keyOf returns the key in the compose file of an object that is called name in Swarm.
func (w writing) keyOf(name string) string {
	if key, own := strings.CutPrefix(name, w.stack.Namespace()+"_"); own && key != "" {
		return key
	}
	return notInKeys.ReplaceAllString(name, "-")
}

// attachments returns the networks of a service; nil if it has the default network
// only, as a service without networks has.
func (w writing) attachments(name string, networks []swarm.NetworkAttachmentConfig) mapping {
	var m mapping
	plain := true
	for _, network := range networks {
		aliases := slices.DeleteFunc(slices.Clone(network.Aliases), func(alias string) bool { return alias == name })
		key := w.keyOf(network.Target)
		var options mapping
		options.set("aliases", aliases)
		options.set("driver_opts", network.DriverOpts)
		plain = plain && key == "default" && len(options) == 0
		m.put(key, options)
	}
	if plain {
		return nil
	}
	return m
}

func (w writing) networks() mapping {
	var m mapping
	for _, network := range w.stack.Networks {
		key := w.keyOf(network.Name)
		var n mapping
		if network.External {
			m.put(key, mapping{{"external", true}, {"name", network.Name}})
			continue
		}
		if network.Name != w.stack.Namespace()+"_"+key {
			n.put("name", network.Name)
		}
		if network.Driver != "overlay" {
			n.set("driver", network.Driver)
		}
		n.set("driver_opts", network.Options)
		n.set("attachable", network.Attachable)
		n.set("internal", network.Internal)
		n.set("labels", labels(network.Labels))
		n.set("ipam", chosenSubnets(network))
		if key != "default" || len(n) > 0 {
			m.put(key, n)
		}
	}
	return m
}

// chosenSubnets returns the subnets that somebody chose. One of the size that Swarm
// gives, out of the range from which it gives them, was most likely given by Swarm.
func chosenSubnets(network kargo.Network) mapping {
	if network.IPAM == nil {
		return nil
	}
	swarms := netip.MustParsePrefix("10.0.0.0/8")
	var chosen []mapping
	for _, config := range network.IPAM.Config {
		subnet, err := netip.ParsePrefix(config.Subnet)
		if err == nil && !(subnet.Bits() == 24 && swarms.Contains(subnet.Addr())) {
			chosen = append(chosen, mapping{{"subnet", config.Subnet}})
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	return mapping{{"config", chosen}}
}

// mounts returns the volumes of a service, and declares those that have a name.
func (w writing) mounts(full string, mounts []mount.Mount) []mapping {
	var list []mapping
	for _, mounted := range mounts {
		m := mapping{{"type", string(mounted.Type)}}
		source := mounted.Source
		if mounted.Type == mount.TypeVolume && source != "" {
			source = w.volume(full, mounted)
		}
		m.set("source", source)
		m.put("target", mounted.Target)
		m.set("read_only", mounted.ReadOnly)
		if options := mounted.VolumeOptions; options != nil {
			var v mapping
			v.set("nocopy", options.NoCopy)
			v.set("subpath", options.Subpath)
			m.set("volume", v)
		}
		if options := mounted.BindOptions; options != nil {
			m.set("bind", mapping{{"propagation", string(options.Propagation)}}.withoutEmpty())
			if options.NonRecursive || options.CreateMountpoint || options.ReadOnlyNonRecursive || options.ReadOnlyForceRecursive {
				w.lose("service %s: options of the bind on %s, which a compose file cannot say; taking the service over replaces its tasks", full, mounted.Target)
			}
		}
		if options := mounted.TmpfsOptions; options != nil {
			var t mapping
			t.set("size", options.SizeBytes)
			m.set("tmpfs", t)
			if options.Mode != 0 || len(options.Options) > 0 {
				w.lose("service %s: mode or options of the tmpfs on %s, which a compose file cannot say; taking the service over replaces its tasks", full, mounted.Target)
			}
		}
		list = append(list, m)
	}
	return list
}

// volume declares the volume of a mount and returns its key.
func (w writing) volume(full string, mounted mount.Mount) string {
	key, known := w.volumes[mounted.Source]
	if !known {
		key = w.keyOf(mounted.Source)
		for w.declared[key] != nil {
			key += "-2"
		}
		w.volumes[mounted.Source] = key
	}
	options := mounted.VolumeOptions
	if options == nil || options.Labels[kargo.LabelNamespace] != w.stack.Namespace() {
		w.declared[key] = mapping{{"external", true}, {"name", mounted.Source}}
		if options != nil && (len(options.Labels) > 0 || options.DriverConfig != nil) {
			w.lose("service %s: driver or labels of volume %s, which is not the stack's; taking the service over replaces its tasks", full, mounted.Source)
		}
		return key
	}
	volume := mapping{}
	if mounted.Source != w.stack.Namespace()+"_"+key {
		volume.put("name", mounted.Source)
	}
	if driver := options.DriverConfig; driver != nil {
		volume.set("driver", driver.Name)
		volume.set("driver_opts", driver.Options)
	}
	volume.set("labels", labels(options.Labels))
	w.declared[key] = volume
	return key
}

func (w writing) configReferences(full string, references []*swarm.ConfigReference) []mapping {
	var list []mapping
	for _, reference := range references {
		if reference.File == nil {
			w.lose("service %s: config %s is not mounted as a file, which a compose file cannot say", full, reference.ConfigName)
			continue
		}
		list = append(list, w.reference(reference.ConfigName, swarm.SecretReferenceFileTarget(*reference.File)))
	}
	return list
}

func (w writing) secretReferences(references []*swarm.SecretReference) []mapping {
	var list []mapping
	for _, reference := range references {
		if reference.File != nil {
			list = append(list, w.reference(reference.SecretName, *reference.File))
		}
	}
	return list
}

// reference returns a use of a config or secret.
func (w writing) reference(name string, file swarm.SecretReferenceFileTarget) mapping {
	m := mapping{{"source", w.keyOf(name)}, {"target", file.Name}}
	if file.UID != "0" {
		m.set("uid", file.UID)
	}
	if file.GID != "0" {
		m.set("gid", file.GID)
	}
	if file.Mode != 0o444 {
		m.put("mode", literal(fmt.Sprintf("0%o", uint32(file.Mode))))
	}
	return m
}

// configs declares the Swarm configs, and writes the content of those that are the
// stack's.
func (w writing) configs() mapping {
	var m mapping
	for _, config := range w.stack.Configs {
		key := w.keyOf(config.Name)
		switch {
		case config.Secret:
		case config.External:
			m.put(key, mapping{{"external", true}, {"name", config.Name}})
		case config.Driver != "":
			m.put(key, mapping{{"external", true}, {"name", config.Name}})
			w.lose("config %s: it is a template, and another one would replace the tasks; the compose file refers to it as external. Its content is in %s",
				config.Name, w.content(key, config.Data))
		default:
			w.content(key, config.Data)
			m.put(key, mapping{{"file", "./" + contents + "/" + key}})
		}
	}
	return m
}

// contents is the folder of a stack with the contents of its configs.
const contents = "configs"

// content writes the content of a config, and returns the file.
func (w writing) content(key string, data []byte) string {
	file := path.Join(place, w.stack.Name, contents, key)
	w.Files[file] = File{Data: data}
	return file
}

func (w writing) secrets() mapping {
	var m mapping
	for _, secret := range w.stack.Configs {
		if !secret.Secret {
			continue
		}
		m.put(w.keyOf(secret.Name), mapping{{"external", true}, {"name", secret.Name}})
		if !secret.External {
			w.lose("secret %s: Swarm does not show its content. The compose file refers to it as external, so it stays as it is; to change it by the workspace, put the new content into an encrypted file and name it with file:",
				secret.Name)
		}
	}
	return m
}

// duration adds a duration, if there is one and it is not 0.
func (m *mapping) duration(key string, value *time.Duration) {
	if value != nil && *value != 0 {
		m.put(key, value.String())
	}
}
