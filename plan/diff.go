package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo"
	"kargo/pattern"
)

// Diff returns how the live spec must change to become the desired one, one line
// for each field, sorted: `Mode.Replicated.Replicas: 1 -> 2`. It returns nothing
// where the two are the same to Swarm: the daemon fills in defaults, drops empty
// lists and reorders others, and none of that is a difference. Secret values are
// masked.
func Diff(live, desired swarm.ServiceSpec, mask kargo.Mask) []string {
	var lines []string
	for _, d := range differences(live, desired, mask) {
		lines = append(lines, d.text)
	}
	return lines
}

// difference is one field in which two specs differ, and its line in the plan.
type difference struct{ path, text, before, after string }

func differences(live, desired swarm.ServiceSpec, mask kargo.Mask) []difference {
	if clearlySame(live, desired) {
		return nil // most services, most of the time
	}
	was, is := normalise(live), normalise(desired)
	if reflect.DeepEqual(was, is) {
		return nil
	}
	mask = mask.With(environmentOf(live))
	var all []difference
	compare("", was, is, func(path string, a, b any) {
		before, after := showBoth(path, a, b, mask)
		all = append(all, difference{path, path + ": " + before + " -> " + after, before, after})
	})
	return all
}

// environmentOf returns the environment of a service's containers.
func environmentOf(spec swarm.ServiceSpec) kargo.Environment {
	env := kargo.Environment{}
	if container := spec.TaskTemplate.ContainerSpec; container != nil {
		for _, entry := range container.Env {
			name, value, _ := strings.Cut(entry, "=")
			env[name] = value
		}
	}
	return env
}

// SpecDigest returns a digest under a key, in hexadecimal digits, that identifies a
// spec. Two specs that Diff calls the same have the same digest.
func SpecDigest(key []byte, spec swarm.ServiceSpec) string {
	data, err := json.Marshal(normalise(spec))
	if err != nil {
		panic("plan: encode spec of " + spec.Name + ": " + err.Error())
	}
	return kargo.KeyedDigest(key, string(data))
}

// daemonDefaults has the values that the daemon writes into fields that were left
// empty. An absent field and the default of the field are the same. They were
// found by reading back what was sent to engine 20.10. A default that only a
// newer engine has shows as a change that does not converge; add it here.
var daemonDefaults = map[string]any{
	"EndpointSpec.Mode":                    "vip",
	"EndpointSpec.Ports[].Protocol":        "tcp",
	"EndpointSpec.Ports[].PublishMode":     "ingress",
	"TaskTemplate.ContainerSpec.Isolation": "default",
	"TaskTemplate.Runtime":                 "container",
	"TaskTemplate.RestartPolicy.Condition": "any",
	"TaskTemplate.ContainerSpec.DNSConfig": map[string]any{},
	"UpdateConfig.FailureAction":           "pause",
	"UpdateConfig.Order":                   "stop-first",
	"RollbackConfig.FailureAction":         "pause",
	"RollbackConfig.Order":                 "stop-first",
	replicasPath:                           float64(1),
	"Mode.ReplicatedJob.MaxConcurrent":     float64(1),
	"Mode.ReplicatedJob.TotalCompletions":  float64(1),
}

// replicasPath is the one field whose zero is not the same as its absence.
const replicasPath = "Mode.Replicated.Replicas"

// notCompared has the fields that the workspace does not set.
var notCompared = map[string]bool{
	// The restart counter of `docker service update --force`.
	"TaskTemplate.ForceUpdate": true,
	// Docker's client derives it from the image when it asks the registry.
	"TaskTemplate.Placement.Platforms": true,
	// Repeats the image.
	"Labels." + kargo.LabelImage: true,
	// Marks the volumes that a service makes. A service does not restart for it.
	"TaskTemplate.ContainerSpec.Mounts[].VolumeOptions.Labels." + kargo.LabelInstance: true,
	// Names the revision that changed the service last. It must never cause a change.
	"Labels." + kargo.LabelRevision: true,
	"Labels." + kargo.LabelEpoch:    true,
}

// keyedLists has the lists whose order means nothing to Swarm, with the key of an
// entry. They are compared as maps.
var keyedLists = map[string]func(entry any) string{
	"TaskTemplate.ContainerSpec.Env":     func(entry any) string { name, _, _ := strings.Cut(entry.(string), "="); return name },
	"TaskTemplate.ContainerSpec.Mounts":  byField("Target"),
	"TaskTemplate.ContainerSpec.Configs": firstField("File.Name", "ConfigName"),
	"TaskTemplate.ContainerSpec.Secrets": firstField("File.Name", "SecretName"),
	"TaskTemplate.ContainerSpec.Ulimits": byField("Name"),
	"TaskTemplate.Networks":              byField("Target"),
	"TaskTemplate.Placement.Constraints": func(entry any) string { return entry.(string) },
	"EndpointSpec.Ports":                 byField("PublishedPort", "TargetPort", "Protocol", "PublishMode"),
}

// byField returns a key made of an entry's fields. A dot goes one level down.
func byField(paths ...string) func(any) string {
	return func(entry any) string {
		var parts []string
		for _, path := range paths {
			if value := fieldAt(entry, path); value != nil {
				parts = append(parts, fmt.Sprint(value))
			}
		}
		return strings.Join(parts, "/")
	}
}

// firstField returns a key made of the first of the fields that an entry has.
func firstField(paths ...string) func(any) string {
	return func(entry any) string {
		for _, path := range paths {
			if value := fieldAt(entry, path); value != nil {
				return fmt.Sprint(value)
			}
		}
		return ""
	}
}

func fieldAt(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		fields, _ := value.(map[string]any)
		value = fields[name]
	}
	return value
}

// normalise returns the spec as a tree of JSON values, without what makes no
// difference to Swarm.
func normalise(spec swarm.ServiceSpec) map[string]any {
	clean, _ := simplify("", asTree(spec)).(map[string]any)
	// The modes differ only in which structure is set, and simplify drops empty
	// structures.
	clean["ModeName"] = modeName(spec.Mode)
	return clean
}

// simplify returns a value without what makes no difference; nil where nothing is left.
func simplify(path string, value any) any {
	if notCompared[path] {
		return nil
	}
	switch v := value.(type) {
	case map[string]any:
		value = simplifyMap(path, v)
	case []any:
		value = simplifyList(path, v)
	}
	if standard, known := daemonDefaults[path]; known && reflect.DeepEqual(value, standard) {
		return nil
	}
	if isZero(value) && path != replicasPath {
		return nil
	}
	return value
}

func simplifyMap(path string, fields map[string]any) any {
	clean := map[string]any{}
	for name, field := range fields {
		if isFreeMap(path) {
			// In labels and options an empty value is a value.
			if !notCompared[join(path, name)] {
				clean[name] = field
			}
		} else if field = simplify(join(path, name), field); field != nil {
			clean[name] = field
		}
	}
	return clean
}

func simplifyList(path string, list []any) any {
	key, keyed := keyedLists[path]
	if !keyed {
		clean := make([]any, len(list))
		for i, entry := range list {
			clean[i] = simplify(path+"[]", entry)
		}
		return clean
	}
	clean := map[string]any{}
	for _, entry := range list {
		// Before the key is made, so that a default in it makes no difference either.
		if fields, isMap := entry.(map[string]any); isMap {
			entry = simplifyMap(path+"[]", fields)
		}
		name := key(entry)
		for clean["["+name+"]"] != nil { // duplicates are kept, and counted
			name += "'"
		}
		clean["["+name+"]"] = entry
	}
	return clean
}

// isFreeMap reports whether the keys of a map are the user's, and not the fields of
// a structure of Docker's.
func isFreeMap(path string) bool {
	last := path[strings.LastIndexByte(path, '.')+1:]
	switch last {
	case "Labels", "Options", "Sysctls", "DriverOpts", "DriverConfig":
		return true
	}
	return false
}

func isZero(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// join returns the path of a field in a spec. Keys of labels may have any character.
func join(path, name string) string {
	name = kargo.Printable(name)
	if path == "" || strings.HasPrefix(name, "[") {
		return path + name
	}
	return path + "." + name
}

// compare calls differ for each leaf in which the trees are not equal.
func compare(path string, was, is any, differ func(path string, was, is any)) {
	before, okBefore := was.(map[string]any)
	after, okAfter := is.(map[string]any)
	if okBefore && okAfter || okBefore && is == nil || okAfter && was == nil {
		names := slices.Collect(maps.Keys(before))
		for name := range after {
			if _, both := before[name]; !both {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			compare(join(path, name), before[name], after[name], differ)
		}
		return
	}
	if !reflect.DeepEqual(was, is) {
		differ(path, was, is)
	}
}

// showBoth returns the two sides of a difference as a plan prints them. Where one
// side has a known secret, the other may have the same secret in an older value,
// which no mask knows. So only what both sides have in common is shown.
func showBoth(path string, was, is any, mask kargo.Mask) (before, after string) {
	before, hidBefore := show(path, was, mask)
	after, hidAfter := show(path, is, mask)
	if !hidBefore && !hidAfter || was == nil || is == nil || skeleton(before) == skeleton(after) {
		return before, after
	}
	a, aIsList := was.([]any)
	b, bIsList := is.([]any)
	if aIsList && bIsList {
		return showCommon(a, b, mask), showCommon(b, a, mask)
	}
	return fmt.Sprintf("%q", mask.Digest(before)), fmt.Sprintf("%q", mask.Digest(after))
}

// digests matches what masks put in place of secrets.
var digests = pattern.Lazy(`\*\*\*[0-9a-f]{8}`)

// skeleton returns a masked text without the digests of its secrets.
func skeleton(text string) string { return digests().ReplaceAllString(text, "***") }

// showCommon returns a list as text, with digests in place of the entries that the
// other list lacks.
func showCommon(list, other []any, mask kargo.Mask) string {
	common := map[string]bool{}
	for _, entry := range other {
		text, _ := show("", entry, mask)
		common[skeleton(text)] = true
	}
	shown := make([]string, 0, len(list))
	for _, entry := range list {
		text, _ := show("", entry, mask)
		if !common[skeleton(text)] {
			text = fmt.Sprintf("%q", mask.Digest(text))
		}
		shown = append(shown, text)
	}
	return "[" + strings.Join(shown, ",") + "]"
}

// show returns a value as a plan prints it, and reports whether part of it was hidden.
func show(path string, value any, mask kargo.Mask) (text string, hid bool) {
	if value == nil {
		standard, known := daemonDefaults[path]
		if !known {
			return "(none)", false
		}
		value = standard
	}
	if plain, isText := value.(string); isText {
		return showText(path, plain, mask)
	}
	// Masked before it is encoded, because JSON may write a secret differently.
	masked := maskTexts(value, mask)
	data, err := json.Marshal(masked)
	if err != nil {
		panic("plan: encode " + path + ": " + err.Error())
	}
	return string(data), !reflect.DeepEqual(value, masked)
}

// maskTexts returns a tree of JSON values with every text in it masked.
func maskTexts(value any, mask kargo.Mask) any {
	switch v := value.(type) {
	case string:
		return mask.Text(v)
	case []any:
		list := make([]any, len(v))
		for i, entry := range v {
			list[i] = maskTexts(entry, mask)
			if text, isText := entry.(string); isText && i > 0 {
				if before, isText := v[i-1].(string); isText {
					list[i] = mask.After(before, text)
				}
			}
		}
		return list
	case map[string]any:
		fields := make(map[string]any, len(v))
		for name, field := range v {
			fields[name] = maskTexts(field, mask)
		}
		return fields
	}
	return value
}

func showText(path, text string, mask kargo.Mask) (shown string, hid bool) {
	const env = "TaskTemplate.ContainerSpec.Env["
	shown = mask.Text(text)
	if rest, ok := strings.CutPrefix(path, env); ok {
		name := strings.TrimRight(rest, "]'")
		_, text, _ = strings.Cut(text, "=")
		shown = mask.Value(name, text)
	} else if _, label, ok := strings.Cut(path, "Labels."); ok {
		shown = mask.Value(label, text)
	}
	return fmt.Sprintf("%q", shown), shown != text
}
