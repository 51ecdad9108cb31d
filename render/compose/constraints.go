package compose

import (
	"strings"

	"kargo"
)

// constraintFile puts the constraints of <COMPOSE_SERVICE>_CONSTRAINTS under
// the services of an entry's files, as a file above them. Lists are appended
// when files are merged, so the variable adds to what the files say.
func constraintFile(s *reading, entry string, own []*File) *File {
	services := map[string]any{}
	readBy := map[string]string{}
	readsDefaults := false
	for _, f := range own {
		for _, name := range f.ServiceNames() {
			variable := kargo.SuffixConstraints.Of(name)
			constraints := s.ws.Env.List(variable)
			if len(constraints) == 0 {
				continue
			}
			if other, taken := readBy[variable]; taken && other != name {
				s.report.Warn(s.ws.PlaceOf(variable), "", "services %q and %q share the variable %s", other, name, variable)
			}
			readBy[variable] = name
			readsDefaults = readsDefaults || s.ws.IsDefault(variable)
			services[name] = map[string]any{"deploy": map[string]any{
				"placement": map[string]any{"constraints": escapeList(constraints)},
			}}
		}
	}
	if len(services) == 0 {
		return nil
	}
	return &File{
		Path: "deploy/" + entry + "-deploy-constraints.yml", Entry: entry,
		dict: map[string]any{"services": services}, readsDefaults: readsDefaults,
	}
}

// escapeList escapes every text of a list.
func escapeList(texts []string) []any {
	list := make([]any, 0, len(texts))
	for _, text := range texts {
		list = append(list, escape(text))
	}
	return list
}

// escape doubles dollars, so that the loader leaves the text as it is: its
// variables were replaced already.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }
