package permit

import (
	"strconv"
	"strings"
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
	// match reports whether a pattern matches a value; nil is wildcard.
	match func(pattern, value string) bool
}

var always = setting{level: allow}

func only(patterns ...string) setting { return setting{refuse, patterns} }

// rules are all kinds of privileges that a spec of the Docker API 1.41 to 1.51
// can hold, and those of names that belong to others. docs/policy.md explains
// each. A policy without a setting for a rule permits nothing under it.
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
	{name: "volume-drivers"},
	{name: "cluster-volumes", baseline: always},
	{name: "external-volumes"},
	{name: "external-networks"},
	{name: "external-configs"},
	{name: "external-secrets"},
	{name: "socket-network", baseline: always},
	{name: "registries", baseline: always, restricted: always, match: matchImage},
	{name: "published-ports", baseline: always, match: matchPort},
	{name: "host-ports", baseline: always, match: matchPort},
	{name: "log-drivers", baseline: always,
		restricted: only("json-file", "local", "journald", "none")},
	{name: "oom-score"},
	{name: "plugins"},
	{name: "foreign-names"},
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
