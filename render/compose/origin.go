package compose

import (
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"kargo"
)

// harmless are the properties of a service with which a workspace does not
// control what a container does: where and how often it runs, and how it is
// described.
var harmless = []string{"deploy", "depends_on", "labels", "logging", "stop_grace_period"}

// IsDefaultProgram reports whether what a service runs is the catalogue's: no
// file of the workspace sets anything but harmless properties, no variable of
// the workspace is part of the command, and the image is the catalogue's but
// for its tag.
func (c *Configuration) IsDefaultProgram(service string) bool {
	for _, f := range c.Files {
		if c.isDefault(f) {
			continue
		}
		for property := range f.Service(service) {
			if !slices.Contains(harmless, property) {
				return false
			}
		}
	}
	for _, property := range []string{"command", "entrypoint", "healthcheck"} {
		if c.SetByWorkspace("services", service, property) {
			return false
		}
	}
	return c.hasDefaultImage(service)
}

// isDefault reports whether the workspace has no part in a file. Generated
// files hold constraints, which only decide where a service runs.
func (c *Configuration) isDefault(f *File) bool {
	return f.Generated() || c.ws.Layer(f.Path) == kargo.OriginDefault
}

// hasDefaultImage reports whether a service's image is the catalogue's, but for
// the tag.
func (c *Configuration) hasDefaultImage(service string) bool {
	for _, f := range c.Files {
		node := f.node("services", service, "image")
		if node == nil {
			continue
		}
		withTags := kargo.Environment{}
		for _, name := range variablesIn(node) {
			value := c.ws.Value(name)
			if c.isOwn(name) {
				if !strings.HasSuffix(name, "_TAG") {
					return false
				}
				value = "any"
			}
			withTags[name] = value
		}
		wanted, errWanted := reference.ParseNormalizedNamed(substitute(node.Value, withTags.Lookup))
		actual, errActual := reference.ParseNormalizedNamed(c.Substituted(node.Value))
		// A "tag" with a slash in it would make another registry of the name.
		if errWanted != nil || errActual != nil || wanted.Name() != actual.Name() {
			return false
		}
	}
	return true
}

// SetByWorkspace reports whether the workspace has a part in the value at a
// path: a file of its own sets it, or a default file reads a variable of the
// workspace there.
func (c *Configuration) SetByWorkspace(path ...string) bool {
	for _, f := range c.Files {
		if f.Generated() {
			continue
		}
		node := f.node(path...)
		if node == nil {
			continue
		}
		if !c.isDefault(f) || slices.ContainsFunc(variablesIn(node), c.isOwn) {
			return true
		}
	}
	return false
}

// isOwn reports whether a variable was assigned by another layer than the
// catalogue.
func (c *Configuration) isOwn(variable string) bool {
	return c.ws.IsOwn(variable)
}

// VolumePaths returns, of every file, the path of the entry with which a
// service mounts something at a target, and the path of the volume it names.
func (c *Configuration) VolumePaths(service, target string) [][]string {
	var paths [][]string
	for _, f := range c.filesOf("services", service) {
		for i, entry := range volumesOf(f, service) {
			if !c.mounts(entry, target) {
				continue
			}
			paths = append(paths, []string{"services", service, "volumes", strconv.Itoa(i)})
			for key := range c.Config.Volumes {
				if c.mounts(entry, key) {
					paths = append(paths, []string{"volumes", key})
				}
			}
		}
	}
	return paths
}
