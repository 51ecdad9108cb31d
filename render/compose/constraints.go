package compose

import (
	"slices"
	"strings"

	"kargo"
	"kargo/render/view"
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
			constraints := joinOperators(s.ws.List(variable))
			if len(constraints) == 0 || s.ws.IsDefault(variable) && !isOfCatalogue(s.ws, own, name) {
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

// isOfCatalogue reports whether a file of the catalogue defines a service. The
// catalogue's constraints are made for its own services, and not for one of the
// workspace that has the same name.
func isOfCatalogue(ws view.View, own []*File, service string) bool {
	return slices.ContainsFunc(own, func(f *File) bool {
		return f.Defines(service) && ws.Layer(f.Path) == kargo.OriginDefault
	})
}

// joinOperators joins what blanks around an operator took apart: "a", "==", "b"
// are one constraint.
func joinOperators(words []string) []string {
	var constraints []string
	open := false // the last constraint lacks its value
	for _, word := range words {
		operator := strings.HasPrefix(word, "==") || strings.HasPrefix(word, "!=")
		if last := len(constraints) - 1; last >= 0 && (open || operator) {
			constraints[last] += word
		} else {
			constraints = append(constraints, word)
		}
		open = strings.HasSuffix(word, "==") || strings.HasSuffix(word, "!=")
	}
	return constraints
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
