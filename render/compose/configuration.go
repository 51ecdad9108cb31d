package compose

import (
	"cmp"
	pathlib "path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/types"

	"kargo"
	"kargo/render/view"
)

// Configuration is what the compose files of one stack mean together.
type Configuration struct {
	// Config is Docker's own form of it, services in order of name. Variables
	// are replaced.
	Config *types.Config
	// Files are the stack's compose files, lowest first. Where two set one
	// value, the higher one counts.
	Files []*File
	// Tree is the merged configuration, for files that the stack refers to.
	Tree *Tree

	// having has, by section and key, the files that have the key.
	having     map[string]map[string][]*File
	ws         view.View
	stack      string
	conditions map[dependency]kargo.NeedCondition
	size       Size
}

// Size returns what the stack takes of what all stacks may hold together.
func (c *Configuration) Size() Size { return c.size }

// In returns the same configuration in another view, in which all that was read for
// it is the same.
func (c *Configuration) In(ws view.View) *Configuration {
	moved, tree := *c, *c.Tree
	tree.ws, moved.ws, moved.Tree = ws, ws, &tree
	return &moved
}

// Condition returns what a service waits for at another one that it depends on.
func (c *Configuration) Condition(service, other string) kargo.NeedCondition {
	return cmp.Or(c.conditions[dependency{service, other}], kargo.NeedStarted)
}

// IsShort reports whether a service depends on another one in the short form of
// depends_on, which docker stack deploy ignores.
func (c *Configuration) IsShort(service, other string) bool {
	_, long := c.conditions[dependency{service, other}]
	return !long
}

// Substituted returns a text of a compose file with its variables replaced, and
// as it is where the loader would refuse it.
func (c *Configuration) Substituted(text string) string { return substitute(text, c.ws.Lookup) }

// Place returns the place of a path such as "services", "redis", "image" in the
// highest file that has it, for that one counts; or the place of the nearest
// part of the path that any file has.
func (c *Configuration) Place(path ...string) kargo.Place {
	for ; len(path) > 1; path = path[:len(path)-1] {
		if at, found := highest(c.filesOf(path[0], path[1]), path); found {
			return at
		}
	}
	return placeIn(c.Files, path...)
}

// filesOf returns the files that have a key of a section, such as a service.
func (c *Configuration) filesOf(section, key string) []*File {
	if keys, indexed := c.having[section]; indexed {
		return keys[key]
	}
	return c.Files
}

func placeIn(files []*File, path ...string) kargo.Place {
	for ; len(path) > 0; path = path[:len(path)-1] {
		if at, found := highest(files, path); found {
			return at
		}
	}
	if at, found := highest(files, nil); found {
		return at
	}
	if len(files) > 0 {
		return kargo.Place{File: pathlib.Dir(files[0].Path)}
	}
	return kargo.Place{File: "deploy"}
}

// highest returns the place of a path in the highest file that has it.
func highest(files []*File, path []string) (at kargo.Place, found bool) {
	for _, f := range slices.Backward(files) {
		if !f.Generated() && f.has(path...) {
			return f.At(path...), true
		}
	}
	return kargo.Place{}, false
}

// VolumePlace returns the place where a service mounts a volume, named by its
// source or target; or the place of the service's volumes.
func (c *Configuration) VolumePlace(service, volume string) kargo.Place {
	for _, f := range slices.Backward(c.filesOf("services", service)) {
		for i, entry := range volumesOf(f, service) {
			if c.mounts(entry, volume) {
				return f.At("services", service, "volumes", strconv.Itoa(i))
			}
		}
	}
	return c.Place("services", service, "volumes")
}

func volumesOf(f *File, service string) []any {
	volumes, _ := f.Service(service)["volumes"].([]any)
	return volumes
}

// mounts reports whether an entry under volumes has a source or target.
func (c *Configuration) mounts(entry any, volume string) bool {
	if long, ok := entry.(map[string]any); ok {
		return c.mounts(long["target"], volume) || c.mounts(long["source"], volume)
	}
	text, _ := entry.(string)
	return slices.Contains(strings.Split(c.Substituted(text), ":"), volume)
}

// SaysWritable reports whether the file that counts declares a volume writable
// explicitly. Saying nothing is no declaration: hardly any workspace writes
// "ro" behind a configuration file.
func (c *Configuration) SaysWritable(service, target string) bool {
	for _, f := range slices.Backward(c.filesOf("services", service)) {
		for _, entry := range volumesOf(f, service) {
			if !c.mounts(entry, target) {
				continue
			}
			if long, ok := entry.(map[string]any); ok {
				readOnly, said := long["read_only"]
				return said && !isTrue(readOnly, c.ws.Lookup)
			}
			text, _ := entry.(string)
			parts := strings.Split(c.Substituted(text), ":")
			return slices.Contains(strings.Split(parts[len(parts)-1], ","), "rw")
		}
	}
	return false
}

// UsesCatalogue reports whether any part of the stack may come from the
// catalogue: a file, or a variable that the workspace does not set. Files that
// were rendered from templates count, as they read variables, too.
func (c *Configuration) UsesCatalogue() bool {
	for _, f := range c.Files {
		c.Tree.Use(f.Path)
		if f.readsDefaults {
			return true
		}
	}
	for name := range c.Tree.used {
		if origin := c.Tree.Get(name).Origin; origin == kargo.OriginDefault || origin == kargo.OriginRendered {
			return true
		}
	}
	return false
}
