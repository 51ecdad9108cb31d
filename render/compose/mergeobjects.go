package compose

import (
	"maps"
	"slices"
	"strings"
)

// objectSections are the top-level sections that declare objects of Swarm.
var objectSections = []string{"networks", "volumes", "configs", "secrets"}

// mergeObjects merges the declarations of networks, volumes, configs and secrets
// of all files, property by property, before they are loaded. Docker's loader
// replaces a declaration by a later one as a whole: a file that only repeats the
// name would turn an external secret into one without a file.
func mergeObjects(s *reading) map[string]any {
	merged := map[string]any{}
	for _, section := range objectSections {
		entries := map[string]any{}
		for _, f := range s.files {
			for name, entry := range f.section(section) {
				above, _ := entry.(map[string]any)
				below, _ := entries[name].(map[string]any)
				entries[name] = mergeObject(s, f, []string{section, name}, below, above)
			}
		}
		if len(entries) > 0 {
			merged[section] = entries
		}
	}
	return merged
}

// ofOwn are the properties, by section, that only an object has which the stack
// makes itself.
var ofOwn = map[string][]string{
	"volumes": {"driver", "driver_opts"},
	"configs": {"file"},
	"secrets": {"file"},
}

// mergeObject lays one declaration over another.
func mergeObject(s *reading, f *File, path []string, below, above map[string]any) map[string]any {
	merged := maps.Clone(below)
	if merged == nil {
		merged = map[string]any{}
	}
	section := path[0]
	_, saysExternal := above["external"]
	switch {
	case saysExternal && isTrue(above["external"], s.ws.Lookup):
		for _, property := range append(ofOwn[section], "labels") {
			if section != "networks" {
				delete(merged, property)
			}
		}
	case !saysExternal && isTrue(below["external"], s.ws.Lookup):
		above = checkExternal(s, f, path, above)
	}
	if driver := above["driver"]; driver != nil && merged["driver"] != nil && driver != merged["driver"] {
		delete(merged, "driver_opts") // they are those of the other driver
	}
	for property, value := range above {
		merged[property] = mergeValue(merged[property], value)
	}
	return merged
}

// checkExternal refuses properties that an external object cannot have, and
// removes labels, which have no effect there.
func checkExternal(s *reading, f *File, path []string, above map[string]any) map[string]any {
	above = maps.Clone(above)
	for _, property := range ofOwn[path[0]] {
		if above[property] != nil {
			at := append(slices.Clone(path), property)
			s.report.Fail(f.At(at...), "add external: false here if the stack is to make it",
				"%s: a file below says external: true", strings.Join(at, "."))
			delete(above, property) // the loader would report it, too
		}
	}
	if path[0] == "volumes" && above["labels"] != nil {
		at := append(slices.Clone(path), "labels")
		s.report.Warn(f.At(at...), "", "%s has no effect: a file below says external: true", strings.Join(at, "."))
		delete(above, "labels")
	}
	return above
}

// mergeValue merges mappings key by key, lists of KEY=value among them. Any
// other value replaces that below; one that is empty does not.
func mergeValue(below, above any) any {
	if above == nil {
		return below
	}
	lower, upper := asMapping(below), asMapping(above)
	if lower == nil || upper == nil {
		return above
	}
	merged := maps.Clone(lower)
	for key, value := range upper {
		merged[key] = mergeValue(merged[key], value)
	}
	return merged
}

// asMapping returns a value as a mapping, or nil if it is none.
func asMapping(value any) map[string]any {
	switch value := value.(type) {
	case map[string]any:
		return value
	case []any:
		mapping := map[string]any{}
		for _, entry := range value {
			text, isText := entry.(string)
			if !isText {
				return nil
			}
			key, content, _ := strings.Cut(text, "=")
			mapping[key] = content
		}
		return mapping
	}
	return nil
}
