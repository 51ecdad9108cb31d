package permit

import (
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"
)

// level says what happens to a value that no pattern of a rule permits.
type level int

const (
	refuse level = iota
	warn
	allow
)

// setting is what a policy says to one rule.
type setting struct {
	level level
	// patterns are values that are permitted at every level.
	patterns []string
}

// rule is one kind of privilege. Every policy has a setting for it.
type rule struct {
	name                 string
	baseline, restricted setting
	// silent rules say nothing under Open: what they are about is only of
	// interest where the operator and the author of a workspace differ.
	silent bool
	// match reports whether a pattern matches a value; nil is wildcard.
	match func(pattern, value string) bool
}

var always = setting{level: allow}

func only(patterns ...string) setting { return setting{refuse, patterns} }

// Names of the rules that more than one file, or a special case, names.
const (
	ruleForeign  = "foreign-names"
	ruleOwnNames = "own-names"
	ruleFields   = "unknown-fields"
	ruleExternal = "external-networks"
	ruleShared   = "shared-networks"
	// Volumes that the stack did not make.
	ruleExternalVolumes = "external-volumes"
	ruleSocket          = "socket-network"
	ruleVolumeOptions   = "volume-options"
	ruleNetworkOptions  = "network-options"
	ruleMemoryMounts    = "memory-mounts"
	rulePlacement       = "placement"
	ruleNodeLabels      = "node-labels"
	ruleAdoption        = "adoption"
	ruleStackNames      = "stack-names"
	ruleIgnored         = "ignored-fields"
	ruleTemplates       = "templates"
	ruleAliases         = "aliases"
	// What labels ask of Traefik.
	ruleHosts        = "hosts"
	ruleRoutes       = "foreign-routes"
	ruleReservations = "reservations"
	ruleNetworks     = "networks"
	ruleStored       = "stored-bytes"
	// How much work a service makes for its node beside its own.
	ruleRestartDelay   = "restart-delay"
	ruleHealthInterval = "health-interval"
	ruleStopGrace      = "stop-grace"
)

// rules are all kinds of privileges that a spec of the Docker API 1.41 to 1.51
// can hold, those of names that belong to others, and those of the variables
// that let a workspace leave something to others. docs/policy.md explains each.
// A policy without a setting for a rule permits nothing under it.
var rules = []rule{
	{name: "capabilities", restricted: only("NET_BIND_SERVICE"),
		// Those that Docker gives every container.
		baseline: only("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
			"NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")},
	{name: "sysctls",
		// Those that Kubernetes calls safe, and the length of queues.
		baseline: only("kernel.shm_rmid_forced", "net.core.somaxconn", "net.ipv4.ip_local_port_range",
			"net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range",
			"net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_*", "net.ipv4.tcp_syncookies")},
	{name: "privileges"},
	{name: "devices"},
	{name: "host-network"},
	{name: "bind-mounts"},
	{name: "mount-propagation"},
	{name: "docker-socket"},
	{name: "volume-drivers", baseline: only("local:tmpfs"), restricted: only("local:tmpfs")},
	{name: ruleVolumeOptions,
		baseline: only(harmlessVolumeOptions...), restricted: only(harmlessVolumeOptions...)},
	{name: ruleMemoryMounts, baseline: always, restricted: only("1g"), match: matchSize},
	{name: "cluster-volumes", baseline: only(ownVolume), match: matchClusterVolume},
	{name: ruleExternalVolumes},
	{name: ruleExternal},
	{name: "external-configs"},
	{name: "external-secrets"},
	{name: ruleShared, silent: true,
		baseline:   only("front:kargo-front", "back:kargo-back", "socket:kargo-docker-socket"),
		restricted: only("front:kargo-front", "back:kargo-back", "socket:kargo-docker-socket")},
	{name: ruleSocket},
	{name: "network-drivers", baseline: only("overlay"), restricted: only("overlay")},
	{name: ruleNetworkOptions, restricted: only("encrypted", "com.docker.network.driver.mtu"),
		baseline: only("encrypted", "com.docker.network.driver.mtu", "subnet=*", "ip-range=*", "gateway=*")},
	{name: ruleAliases, silent: true},
	{name: ruleHosts, baseline: always, restricted: only("*.*", "localhost")},
	{name: ruleRoutes, silent: true},
	{name: "registries", baseline: always, restricted: always, match: matchImage},
	{name: "published-ports", baseline: always, match: matchPort},
	{name: "host-ports", baseline: always, match: matchPort},
	{name: "log-drivers", restricted: only("json-file", "local", "journald", "none"),
		baseline: only("json-file", "local", "journald", "none", "syslog", "gelf", "fluentd", "awslogs", "gcplogs", "splunk", "etwlogs", "logentries")},
	{name: "log-options", restricted: only(harmlessLogOptions...),
		baseline: only(append(remoteLogOptions, harmlessLogOptions...)...)},
	{name: rulePlacement, baseline: always},
	{name: ruleNodeLabels, baseline: always},
	{name: "ulimits", baseline: always, match: matchLimit,
		restricted: only("core:0", "nofile:1048576", "nproc:65536", "stack:67108864")},
	{name: "replicas", baseline: always, restricted: only("100"), match: matchAtMost},
	{name: "tasks", baseline: always, restricted: only("1000"), match: matchAtMost},
	{name: ruleReservations, baseline: always, restricted: only("cpus:64", "memory:256g"), match: matchReservation},
	{name: ruleNetworks, baseline: always, restricted: only("256"), match: matchAtMost},
	{name: ruleStored, baseline: always, restricted: only("64m"), match: matchSize},
	{name: ruleRestartDelay, baseline: always, restricted: only("1s"), match: matchAtLeast},
	{name: ruleHealthInterval, baseline: always, restricted: only("1s"), match: matchAtLeast},
	{name: ruleStopGrace, baseline: always, restricted: only("1h"), match: matchWithin},
	{name: "oom-score"},
	{name: "plugins"},
	{name: ruleTemplates, silent: true},
	{name: ruleIgnored, silent: true, baseline: only(harmlessPointers...), restricted: only(harmlessPointers...)},
	{name: ruleAdoption, silent: true},
	{name: ruleStackNames, baseline: always, restricted: always},
	{name: ruleFields, silent: true},
	{name: ruleOwnNames, silent: true},
	{name: ruleForeign},
}

// gentle are the rules about privileges that give no access to a node or to others'
// services. The catalogue keeps these as long as the program and the property are
// its own; all others only as long as the workspace has no hand in any input of the
// service.
var gentle = []string{
	"registries", "published-ports", "host-ports", "log-drivers", rulePlacement, "ulimits", "replicas", ruleMemoryMounts, ruleTemplates, ruleAliases,
	ruleRestartDelay, ruleHealthInterval, ruleStopGrace,
}

// harmlessVolumeOptions are the flags and data of mount(8) that give a tmpfs or
// network file system nothing but its size, its owner and less rights.
var harmlessVolumeOptions = []string{
	"size=*", "nr_blocks=*", "nr_inodes=*", "mode=*", "uid=*", "gid=*",
	"addr=*", "vers=*", "nfsvers=*", "proto=*", "port=*", "timeo=*", "retrans=*", "rsize=*", "wsize=*", "hard", "soft", "nolock",
	"ro", "rw", "noexec", "exec", "nosuid", "nodev", "noatime", "nodiratime", "relatime", "strictatime", "sync", "async",
}

// harmlessLogOptions say what is logged and how much of it is kept.
var harmlessLogOptions = []string{
	"max-size", "max-file", "max-buffer-size", "mode", "compress", "labels", "labels-regex", "env", "env-regex", "tag",
}

// remoteLogOptions send logs to another machine. The values of addresses are
// judged: the daemon would open a socket of the node, or read a file of it.
var remoteLogOptions = []string{
	"syslog-address=tcp://*", "syslog-address=tcp+tls://*", "syslog-address=udp://*", "syslog-facility", "syslog-format", "syslog-tls-skip-verify",
	"gelf-address=tcp://*", "gelf-address=udp://*", "gelf-compression-type", "gelf-compression-level", "gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay",
	"fluentd-address=tcp://*", "fluentd-address=tls://*", "fluentd-async", "fluentd-async-reconnect-interval", "fluentd-buffer-limit",
	"fluentd-retry-wait", "fluentd-max-retries", "fluentd-sub-second-precision", "fluentd-request-ack",
	"awslogs-region", "awslogs-group", "awslogs-stream", "awslogs-create-group", "awslogs-datetime-format", "awslogs-multiline-pattern", "awslogs-format",
	"gcp-project", "gcp-log-cmd", "gcp-meta-zone", "gcp-meta-name", "gcp-meta-id",
	"splunk-token", "splunk-url=http://*", "splunk-url=https://*", "splunk-source", "splunk-sourcetype", "splunk-index", "splunk-format",
	"splunk-gzip", "splunk-gzip-level", "splunk-verify-connection", "splunk-insecureskipverify", "logentries-token", "line-only",
}

// harmlessPointers are the fields whose live value may stay: how much of a
// service runs, and labels. Other fields say what runs.
var harmlessPointers = []string{
	"/Spec/Mode/Replicated/Replicas", "/Spec/Mode/ReplicatedJob/MaxConcurrent", "/Spec/Mode/ReplicatedJob/TotalCompletions",
	"/Spec/TaskTemplate/Resources/Limits", "/Spec/TaskTemplate/Resources/Limits/*",
	"/Spec/TaskTemplate/Resources/Reservations/NanoCPUs", "/Spec/TaskTemplate/Resources/Reservations/MemoryBytes",
	"/Spec/Labels/*", "/Spec/TaskTemplate/ContainerSpec/Labels/*",
}

func findRule(name string) (rule, bool) {
	for _, r := range rules {
		if r.name == name {
			return r, true
		}
	}
	return rule{}, false
}

// permits reports whether a setting permits a value.
func (s setting) permits(name, value string) bool {
	if s.level == allow {
		return true
	}
	r, _ := findRule(name)
	match := r.match
	if match == nil {
		match = wildcard
	}
	for _, pattern := range s.patterns {
		if match(pattern, value) {
			return true
		}
	}
	return false
}

// wildcard reports whether a pattern matches a text; "*" matches any text.
func wildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	text, ok := strings.CutPrefix(text, parts[0])
	if len(parts) == 1 || !ok {
		return ok && text == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// matchImage reports whether "registry", "registry/path" or "registry/path*"
// matches an image's registry and repository.
func matchImage(pattern, repository string) bool {
	registry, _, _ := strings.Cut(repository, "/")
	if !strings.Contains(pattern, "/") {
		return wildcard(pattern, registry)
	}
	return wildcard(pattern, repository)
}

// matchPort reports whether "80" or "8000-8100" matches a port.
func matchPort(pattern, port string) bool {
	first, last, isRange := strings.Cut(pattern, "-")
	if !isRange {
		return wildcard(pattern, port)
	}
	low, errLow := strconv.Atoi(first)
	high, errHigh := strconv.Atoi(last)
	n, err := strconv.Atoi(port)
	return errLow == nil && errHigh == nil && err == nil && low <= n && n <= high
}

// matchAtMost reports whether a number is at most the pattern's.
func matchAtMost(pattern, number string) bool {
	most, errMost := strconv.ParseInt(pattern, 10, 64)
	n, err := strconv.ParseInt(number, 10, 64)
	return pattern == "*" || errMost == nil && err == nil && n <= most
}

// matchAtLeast reports whether a duration is at least the pattern's: "1s" matches "5s".
func matchAtLeast(pattern, duration string) bool {
	least, errLeast := time.ParseDuration(pattern)
	d, err := time.ParseDuration(duration)
	return pattern == "*" || errLeast == nil && err == nil && d >= least
}

// matchWithin reports whether a duration is at most the pattern's: "1h" matches "30s".
func matchWithin(pattern, duration string) bool {
	most, errMost := time.ParseDuration(pattern)
	d, err := time.ParseDuration(duration)
	return pattern == "*" || errMost == nil && err == nil && d <= most
}

// matchLimit reports whether "nofile:65536" covers a limit of that name and at
// most that size. A limit of -1 is none, which only "memlock:*" or "*" covers.
func matchLimit(pattern, limit string) bool {
	name, most, _ := strings.Cut(pattern, ":")
	ofName, size, _ := strings.Cut(limit, ":")
	return pattern == "*" || wildcard(name, ofName) && (most == "*" || !strings.HasPrefix(size, "-") && matchAtMost(most, size))
}

// matchSize reports whether "64m" or "1g" is as much memory as a value, in bytes,
// or more.
func matchSize(pattern, bytes string) bool {
	most, errMost := units.RAMInBytes(pattern)
	n, err := strconv.ParseInt(bytes, 10, 64)
	return pattern == "*" || errMost == nil && err == nil && n <= most
}

// ownVolume is what a list of cluster volumes calls those of the stack itself, and
// begins the value of one.
const ownVolume = "own"

// matchClusterVolume reports whether "own", or a pattern of names, matches a cluster
// volume: "own:kargo-web_data", or "group:fast".
func matchClusterVolume(pattern, volume string) bool {
	name, own := strings.CutPrefix(volume, ownVolume+":")
	return own && pattern == ownVolume || wildcard(pattern, name)
}

// matchReservation reports whether "cpus:16" or "memory:64g" covers the CPUs or the
// bytes that are reserved.
func matchReservation(pattern, reserved string) bool {
	resource, most, _ := strings.Cut(pattern, ":")
	ofResource, amount, _ := strings.Cut(reserved, ":")
	if pattern == "*" || resource == ofResource && most == "*" {
		return true
	}
	n, err := strconv.ParseFloat(amount, 64)
	if err != nil || resource != ofResource {
		return false
	}
	if resource == "memory" {
		bytes, err := units.RAMInBytes(most)
		return err == nil && n <= float64(bytes)
	}
	cpus, err := strconv.ParseFloat(most, 64)
	return err == nil && n <= cpus
}
