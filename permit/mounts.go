package permit

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	units "github.com/docker/go-units"

	"github.com/docker/docker/api/types/mount"

	"kargo/pattern"
)

// mount judges one mount.
func (e *examiner) mount(m mount.Mount, say say) {
	at := []string{"volumes", m.Target}
	template(m.Target, "the target of a mount", say, at...)
	switch m.Type {
	case mount.TypeBind, mount.TypeNamedPipe:
		e.hostPath(m.Source, m.ReadOnly, say, at...)
		if m.BindOptions != nil {
			propagation(m.BindOptions.Propagation, say, at...)
		}
	case mount.TypeVolume, "":
		e.volume(m, say, at...)
	case mount.TypeCluster:
		value := m.Source
		if e.hasOwnName(m.Source) && !isComputed(m.Source) {
			value = ownVolume + ":" + m.Source
		}
		say("cluster-volumes", value, "mounts the cluster volume "+m.Source, at...)
	case mount.TypeImage:
		image(m.Source, say, at...)
	case mount.TypeTmpfs:
		memory(m.TmpfsOptions, say, at...)
	default:
		say("volume-drivers", string(m.Type), fmt.Sprintf("has a mount of the unknown type %q", m.Type), at...)
	}
}

// hostPath judges a path of a node that a container can see.
func (e *examiner) hostPath(source string, readOnly bool, say say, at ...string) {
	source = cleaned(source)
	if reachesSocket(source) {
		say("docker-socket", source, "mounts "+source+", which gives access to Docker itself", at...)
	}
	if readOnly && e.isRendered(source) {
		return
	}
	what := "mounts the node's " + source
	if e.isRendered(source) {
		what = "can write to " + source + " of the merged configuration"
	}
	say("bind-mounts", source, what, at...)
}

// isRendered reports whether a path is a file of the merged configuration, or a
// folder that has some: Kargo writes these for each revision. Whatever else is
// below the root may be a link that a container left there.
func (e *examiner) isRendered(source string) bool {
	inside, ok := strings.CutPrefix(source, path.Clean(e.in.Root)+"/")
	return ok && e.in.Root != "" && e.ask(asksForFile, inside)
}

// placeholder is what Swarm replaces in the texts of a task by a value that no
// workspace chooses freely. A service's name has no slash and no dot.
var placeholder = pattern.Lazy(`\{\{\s*\.(?:Service\.(?:ID|Name)|Node\.(?:ID|Hostname|Platform\.(?:OS|Architecture))|Task\.(?:ID|Name|Slot))\s*\}\}`)

// computed stands for a text that only Swarm completes: no pattern except "*"
// permits it.
const computed = "{{…}}"

// isComputed reports whether Swarm completes a text with more than placeholders.
func isComputed(text string) bool {
	return strings.Contains(placeholder().ReplaceAllString(text, ""), "{{")
}

// template judges a text that Swarm completes on the node.
func template(text, what string, say say, property ...string) {
	if isComputed(text) {
		say(ruleTemplates, computed, "has a template in "+what+" that can become any text", property...)
	}
}

// cleaned returns a path in its final form. The path of a template can be any.
func cleaned(source string) string {
	if isComputed(source) {
		return computed
	}
	source = strings.ReplaceAll(source, `\`, "/")
	if source == "" {
		return source
	}
	return path.Clean(source)
}

// sockets are where the engine and its parts listen.
var sockets = []string{
	"/var/run/docker.sock", "/run/docker.sock", "/run/docker", "/var/run/docker", "/run/containerd", "/var/run/containerd",
	"/run/podman", "/run/crio",
	"/pipe/docker_engine", "/pipe/containerd-containerd", // as cleaned writes Windows's pipes
}

// reachesSocket reports whether a path contains, or is, a socket of the engine.
func reachesSocket(source string) bool {
	if strings.HasSuffix(source, ".sock") || source == "/" || source == computed {
		return true
	}
	return slices.ContainsFunc(sockets, func(socket string) bool {
		return source == socket || strings.HasPrefix(socket, source+"/") || strings.HasPrefix(source, socket+"/")
	})
}

// propagation judges whether mounts propagate. A private mount does not; a
// slave sees later mounts of the node.
func propagation(p mount.Propagation, say say, at ...string) {
	switch p {
	case "", mount.PropagationPrivate, mount.PropagationRPrivate:
		return
	}
	say("mount-propagation", string(p), "has a mount with the propagation "+string(p), at...)
}

// memory judges a file system in memory.
func memory(options *mount.TmpfsOptions, say say, at ...string) {
	if options == nil {
		options = &mount.TmpfsOptions{}
	}
	memorySize(options.SizeBytes, say, at...)
	for _, option := range options.Options {
		text := strings.Join(option, "=")
		flag(text, say, at...)
		if strings.HasPrefix(text, "size") || strings.HasPrefix(text, "nr_blocks") {
			memorySize(sizeAmong([]string{text}), say, at...) // it comes after the size above
		}
	}
}

// memorySize judges how much memory a file system may take; 0 is no limit.
func memorySize(bytes int64, say say, at ...string) {
	value, what := "unlimited", "has a tmpfs without a size"
	if bytes > 0 {
		value, what = strconv.FormatInt(bytes, 10), "has a tmpfs of "+units.BytesSize(float64(bytes))
	}
	say(ruleMemoryMounts, value, what, at...)
}

// flag judges one option of mount(8).
func flag(option string, say say, at ...string) {
	if option == "" {
		return
	}
	if isComputed(option) {
		option = computed
	}
	say(ruleVolumeOptions, option, fmt.Sprintf("has a volume with the mount option %q", option), at...)
}

// volume judges a volume: its owner, its driver and the options of that.
func (e *examiner) volume(m mount.Mount, say say, at ...string) {
	if m.Source != "" && !strings.HasPrefix(m.Source, e.stack.Namespace()+"_") {
		say(ruleExternalVolumes, m.Source, "mounts the volume "+m.Source, at...)
	}
	template(m.Source, "the name of a volume", say, at...)
	if m.VolumeOptions == nil {
		return
	}
	for key, value := range m.VolumeOptions.Labels {
		template(key+value, "the label of a volume", say, at...)
	}
	driver := m.VolumeOptions.DriverConfig
	switch {
	case driver == nil:
	case isComputed(driver.Name):
		say("volume-drivers", computed, "has a volume of the driver "+computed, at...)
	case driver.Name != "" && driver.Name != "local":
		say("volume-drivers", driver.Name, "has a volume of the driver "+driver.Name, at...)
	default:
		e.localVolume(driver.Options, say, at...)
	}
}

// localVolume judges the options of Docker's own driver, which are those of
// mount(8): a volume can be a path or a disk of the node. The texts are completed
// on the node, so one that could become anything counts as the worst: a bind of
// any path.
func (e *examiner) localVolume(options map[string]string, say say, at ...string) {
	if len(options) == 0 {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if isComputed(key + options[key]) {
			e.hostPath(computed, false, say, at...)
			return
		}
		if !slices.Contains([]string{"type", "device", "o"}, key) {
			say(ruleVolumeOptions, key+"="+options[key], fmt.Sprintf("has a volume with the option %q", key), at...)
		}
	}
	kind, device, flags := options["type"], options["device"], strings.Split(options["o"], ",")
	if e.mountFlags(flags, say, at...) || kind == "none" && device != "" {
		e.hostPath(device, false, say, at...)
		return
	}
	switch {
	case kind == "tmpfs":
		memorySize(sizeAmong(flags), say, at...)
	case kind == "" && device == "":
		return
	case strings.HasPrefix(cleaned(device), "/") && !strings.Contains(device, ":"):
		say("devices", cleaned(device), "has a volume on the node's "+cleaned(device), at...)
	}
	say("volume-drivers", "local:"+kind, fmt.Sprintf("has a volume of the type %q", kind), at...)
}

// mountFlags judges the flags of a volume. It reports whether they make the
// volume a bind, whatever its type is.
func (e *examiner) mountFlags(flags []string, say say, at ...string) (binds bool) {
	for _, option := range flags {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case slices.Contains([]string{"bind", "rbind", "move"}, option):
			binds = true
		case slices.Contains(mount.Propagations, mount.Propagation(option)): // are flags of mount(8), too
			propagation(mount.Propagation(option), say, at...)
		case strings.HasSuffix(name, "dir"): // the layers of an overlay are paths of the node
			for _, layer := range strings.Split(value, ":") {
				e.hostPath(layer, false, say, at...)
			}
		default:
			flag(option, say, at...)
		}
	}
	return binds
}

// sizeAmong returns the size in bytes that the flags of a tmpfs set; 0 where they set
// none, one that is no number, such as a share of the node's memory, or no limit. Of
// several, the last one counts; the largest one is taken here.
func sizeAmong(flags []string) (most int64) {
	for _, option := range flags {
		name, text, _ := strings.Cut(option, "=")
		unit := int64(1)
		switch name {
		case "size":
		case "nr_blocks":
			unit = blockSize
		default:
			continue
		}
		size, err := units.RAMInBytes(text)
		if err != nil || size <= 0 || size > math.MaxInt64/unit {
			return 0
		}
		most = max(most, size*unit)
	}
	return most
}

// blockSize is at least the size of a block of a tmpfs, which is a page of the node.
const blockSize = 64 << 10
