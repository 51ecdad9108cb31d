package plan

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"
)

// withIgnored returns the desired spec with the live value of every field that
// someone else manages, so that neither a comparison nor an update for another
// reason touches it. Pointers are JSON pointers (RFC 6901) into the service:
// "/Spec/Mode/Replicated/Replicas". A pointer to a field that does not exist has
// no effect.
func withIgnored(desired, live swarm.ServiceSpec, pointers []string) swarm.ServiceSpec {
	if len(pointers) == 0 {
		return desired
	}
	wanted, running := asTree(desired), asTree(live)
	for _, pointer := range pointers {
		path := pointerPath(pointer)
		if len(path) > 0 {
			copyField(wanted, running, path)
		}
	}
	data, err := json.Marshal(wanted)
	if err != nil {
		panic("plan: encode spec of " + desired.Name + ": " + err.Error())
	}
	var merged swarm.ServiceSpec
	if err := json.Unmarshal(data, &merged); err != nil {
		return desired // the pointer mixed structures that do not fit
	}
	return merged
}

// pointersTo returns the JSON pointers to the differing fields, as a stack's
// IGNORE has them: sorted, each once.
func pointersTo(different []difference) []string {
	var pointers []string
	for _, d := range different {
		pointers = append(pointers, pointerTo(d.path))
	}
	slices.Sort(pointers)
	return slices.Compact(pointers)
}

// pointerTo returns the pointer to the field of a difference. For an entry of a
// list it is the pointer to the list, because entries have no fixed position.
func pointerTo(path string) string {
	if path == "ModeName" {
		return "/Spec/Mode"
	}
	path, _, _ = strings.Cut(path, "[")
	pointer, at := "/Spec", ""
	for rest := path; rest != ""; {
		name := rest
		if isFreeMap(at) {
			rest = "" // a label may have dots in its name
		} else {
			name, rest, _ = strings.Cut(rest, ".")
		}
		at = join(at, name)
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	return pointer
}

// pointerPath returns the names in a pointer into a service, nil for another.
func pointerPath(pointer string) []string {
	rest, ok := strings.CutPrefix(pointer, "/Spec/")
	if !ok {
		return nil
	}
	path := strings.Split(rest, "/")
	for i, name := range path {
		path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	}
	return path
}

// copyField copies the value at a path from one tree to another. Where the first
// has none, the value is deleted in the other.
func copyField(to, from map[string]any, path []string) {
	name := path[0]
	if len(path) == 1 {
		if value, exists := from[name]; exists {
			to[name] = value
		} else {
			delete(to, name)
		}
		return
	}
	below, isMap := from[name].(map[string]any)
	if !isMap {
		below = map[string]any{}
	}
	target, isMap := to[name].(map[string]any)
	if !isMap {
		if len(below) == 0 {
			return
		}
		target = map[string]any{}
		to[name] = target
	}
	copyField(target, below, path[1:])
}
