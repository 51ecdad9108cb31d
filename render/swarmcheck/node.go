package swarmcheck

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/opts"
	"github.com/docker/go-units"
	"github.com/moby/sys/signal"

	"kargo/spelling"
)

// Refusal is a reason for which nodes refuse to create a service's containers.
// Swarm accepts the service; its tasks are rejected one after the other.
type Refusal struct {
	// Property is the path in the service's compose file: "ulimits", "nofile".
	// A volume is named by its target, a capability without CAP_.
	Property []string
	Reason   string
	Hint     string // or empty
}

// Container returns what nodes would refuse in a service's containers, as far as
// that can be known without a node. Texts with templates are not judged.
func Container(spec swarm.ServiceSpec) []Refusal {
	container := spec.TaskTemplate.ContainerSpec
	if container == nil {
		return nil
	}
	var found refusals
	for _, m := range container.Mounts {
		found.mount(m)
	}
	for _, limit := range container.Ulimits {
		_, err := units.ParseUlimit(fmt.Sprintf("%s=%d:%d", limit.Name, limit.Soft, limit.Hard))
		found.add(err, "", "ulimits", limit.Name)
	}
	for _, capability := range container.CapabilityAdd {
		found.capability(capability, "cap_add")
	}
	for _, capability := range container.CapabilityDrop {
		found.capability(capability, "cap_drop")
	}
	for _, variable := range container.Env {
		if strings.HasPrefix(variable, "=") {
			found.add(fmt.Errorf("%q has no name", variable), "", "environment")
		}
	}
	for _, host := range container.Hosts {
		if address, name, ok := strings.Cut(host, " "); ok {
			_, err := opts.ValidateExtraHost(name + ":" + address)
			found.add(err, `write it as "name:address"`, "extra_hosts")
		}
	}
	if container.DNSConfig != nil {
		for _, server := range container.DNSConfig.Nameservers {
			_, err := opts.ValidateIPAddress(server)
			found.add(err, "", "dns")
		}
	}
	if container.StopSignal != "" {
		_, err := signal.ParseSignal(container.StopSignal)
		found.add(err, "for example SIGINT", "stop_signal")
	}
	if dir := container.Dir; dir != "" && !path.IsAbs(dir) && !isWindows(dir) {
		found.add(fmt.Errorf("%q is not an absolute path", dir), "", "working_dir")
	}
	if name := container.Hostname; len(name) > maxHostname && !isTemplate(name) {
		found.add(fmt.Errorf("%q is longer than %d bytes", name, maxHostname), "", "hostname")
	}
	return found
}

// maxHostname is what Linux accepts.
const maxHostname = 64

type refusals []Refusal

func (r *refusals) add(err error, hint string, property ...string) {
	if err != nil {
		*r = append(*r, Refusal{Property: property, Reason: err.Error(), Hint: hint})
	}
}

// mount checks what dockerd checks before it hands a mount to a container.
func (r *refusals) mount(m mount.Mount) {
	at := []string{"volumes", m.Target}
	if !isTemplate(m.Target) && m.Type != mount.TypeNamedPipe && !isWindows(m.Target) {
		switch {
		case !path.IsAbs(m.Target):
			r.add(fmt.Errorf("the target %q is not an absolute path", m.Target), "", at...)
		case path.Clean(m.Target) == "/":
			r.add(fmt.Errorf(`the target cannot be "/"`), "", at...)
		}
	}
	switch {
	case isTemplate(m.Source):
	case m.Type == mount.TypeBind && !path.IsAbs(m.Source) && !isWindows(m.Source):
		r.add(fmt.Errorf("the source %q of a bind is not an absolute path", m.Source), "", at...)
	case m.Type == mount.TypeVolume && path.IsAbs(m.Source):
		r.add(fmt.Errorf("the source %q of a volume is a path", m.Source), "use type: bind", at...)
	case m.Type == mount.TypeTmpfs && m.Source != "":
		r.add(fmt.Errorf("a tmpfs has no source"), "", at...)
	}
}

// capability checks the name of a Linux capability.
func (r *refusals) capability(name, property string) {
	upper := strings.ToUpper(name)
	bare := strings.TrimPrefix(upper, "CAP_")
	if bare != "ALL" && !slices.Contains(capabilities, bare) {
		r.add(fmt.Errorf("there is no capability %s", bare), spelling.DidYouMean(bare, capabilities), property, bare)
	}
}

// capabilities are those of Linux (capabilities(7)). An older kernel may lack
// the last ones.
var capabilities = strings.Fields(`AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN
	DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE
	MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN
	SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`)

// LogDrivers are those of dockerd itself; any other is a plugin of the node.
var LogDrivers = []string{
	"awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local", "none", "splunk", "syslog",
}

func isTemplate(text string) bool { return strings.Contains(text, "{{") }

// isWindows reports whether a path is one of Windows: "C:\data".
func isWindows(name string) bool {
	return len(name) > 1 && name[1] == ':' || strings.HasPrefix(name, `\\`)
}
