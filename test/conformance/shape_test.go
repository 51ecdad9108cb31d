package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// shape is a rendered stack, as far as the two sides have it in common.
type shape struct {
	Services map[string]any
	Files    map[string]string // "config kargo-dbs_conf" and its content
	Networks map[string]any
}

type networkShape struct {
	Attachable, Internal bool
	Options              map[string]string
}

// differences are the values in which two shapes differ.
func differences(theirs, ours shape) []string {
	a, b := flat(theirs), flat(ours)
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var lines []string
	for _, name := range names {
		if a[name] != b[name] {
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", name, orNothing(a[name]), orNothing(b[name])))
		}
	}
	return lines
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// flat is a value as paths and JSON scalars. Empty values say nothing.
func flat(value any) map[string]string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic(err)
	}
	paths := map[string]string{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, entry := range value {
				walk(path+"/"+key, entry)
			}
		case []any:
			for i, entry := range value {
				walk(fmt.Sprintf("%s/%d", path, i), entry)
			}
		case nil:
		default:
			text, err := json.Marshal(value)
			if err != nil {
				panic(err)
			}
			if string(text) != `""` {
				paths[path] = string(text)
			}
		}
	}
	walk("", tree)
	return paths
}
