package permit

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"kargo"

	"github.com/docker/docker/api/types/mount"
)

// mount judges one mount.
func (j *judge) mount(m mount.Mount, say say) {
	at := []string{"volumes", m.Target}
	switch m.Type {
	case mount.TypeBind, mount.TypeNamedPipe:
		j.hostPath(m.Source, say, at...)
		if m.BindOptions != nil {
			propagation(m.BindOptions.Propagation, say, at...)
		}
	case mount.TypeVolume, "":
		j.volume(m, say, at...)
	case mount.TypeCluster:
		say("cluster-volumes", m.Source, "mounts the cluster volume "+m.Source, at...)
	case mount.TypeImage:
		j.image(m.Source, say, at...)
	case mount.TypeTmpfs:
	default:
		say("volume-drivers", string(m.Type), fmt.Sprintf("has a mount of the unknown type %q", m.Type), at...)
	}
}

// hostPath judges a path of a node that a container can see.
func (j *judge) hostPath(source string, say say, at ...string) {
	source = cleaned(source)
	if reachesSocket(source) {
		say("docker-socket", source, "mounts "+source+", which gives access to Docker itself", at...)
	}
	if !j.ownFiles(source) {
		say("bind-mounts", source, "mounts the node's "+source, at...)
	}
}

// ownFiles reports whether a path belongs to the merged configuration, which
// Kargo writes for each revision. State folders do not: a link that one service
// left there could lead another service anywhere.
func (j *judge) ownFiles(source string) bool {
	if j.in.Root == "" {
		return false
	}
	inside, ok := strings.CutPrefix(source, path.Clean(j.in.Root)+"/")
	first, _, _ := strings.Cut(inside, "/")
	return ok && (slices.Contains(kargo.LayerFolders, first) || slices.ContainsFunc(j.in.Directories, func(d kargo.StackDirectory) bool {
		return strings.HasPrefix(inside+"/", d.Path+"/") && !kargo.IsState(d.Path)
	}))
}

// placeholder is what Swarm replaces in the texts of a mount by a value that no
// workspace chooses freely. A service's name has no slash and no dot.
var placeholder = regexp.MustCompile(`\{\{\s*\.(?:Service\.(?:ID|Name)|Node\.(?:ID|Hostname|Platform\.(?:OS|Architecture))|Task\.(?:ID|Name|Slot))\s*\}\}`)

// computed stands for a text that only Swarm completes: no pattern except "*"
// permits it.
const computed = "{{…}}"

// cleaned returns a path in its final form. The path of a template can be any.
func cleaned(source string) string {
	if strings.Contains(placeholder.ReplaceAllString(source, ""), "{{") {
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

// volume judges a volume: its owner, its driver and the options of that.
func (j *judge) volume(m mount.Mount, say say, at ...string) {
	if m.Source != "" && !strings.HasPrefix(m.Source, j.stack.Namespace()+"_") {
		say("external-volumes", m.Source, "mounts the volume "+m.Source, at...)
	}
	if m.VolumeOptions == nil || m.VolumeOptions.DriverConfig == nil {
		return
	}
	driver := m.VolumeOptions.DriverConfig
	if driver.Name != "" && driver.Name != "local" {
		say("volume-drivers", driver.Name, "has a volume of the driver "+driver.Name, at...)
		return
	}
	j.localVolume(driver.Options, say, at...)
}

// localVolume judges the options of Docker's own driver, which are those of
// mount(8): a volume can be a path or a disk of the node.
func (j *judge) localVolume(options map[string]string, say say, at ...string) {
	kind, device := options["type"], options["device"]
	flags := strings.Split(options["o"], ",")
	binds := slices.Contains(flags, "bind") || slices.Contains(flags, "rbind") || slices.Contains(flags, "move")
	for _, flag := range flags {
		// shared, rslave and so on are flags of mount(8), too.
		if slices.Contains(mount.Propagations, mount.Propagation(flag)) {
			propagation(mount.Propagation(flag), say, at...)
		}
	}
	if kind == "overlay" {
		// Its layers are paths of the node, named among the flags.
		for _, flag := range flags {
			if _, layers, ok := strings.Cut(flag, "dir="); ok {
				for _, layer := range strings.Split(layers, ":") {
					j.hostPath(layer, say, at...)
				}
			}
		}
	}
	switch {
	case binds, kind == "none" && device != "":
		j.hostPath(device, say, at...)
		return
	case kind == "tmpfs", kind == "" && device == "":
		return
	case strings.HasPrefix(cleaned(device), "/") && !strings.Contains(device, ":"), cleaned(device) == computed:
		say("devices", cleaned(device), "has a volume on the node's "+cleaned(device), at...)
	}
	say("volume-drivers", "local:"+kind, fmt.Sprintf("has a volume of the type %q", kind), at...)
}
