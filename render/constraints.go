package render

import (
	"strings"

	"kargo"
)

// constraintLayer puts <COMPOSE_SERVICE>_CONSTRAINTS under the compose
// services of a service's files. It is a layer of its own above them: lists
// are appended, so the variable adds to what the files say.
func (w *work) constraintLayer(service string, own []*layer) *layer {
	services := map[string]any{}
	readBy := map[string]string{}
	readsDefaults := false
	for _, l := range own {
		for _, name := range l.serviceNames() {
			variable := kargo.SuffixConstraints.Of(name)
			constraints := w.ws.Env.List(variable)
			if len(constraints) == 0 {
				continue
			}
			if other, taken := readBy[variable]; taken && other != name {
				w.warn(w.variable(variable), "", "services %q and %q share the variable %s", other, name, variable)
			}
			readBy[variable] = name
			readsDefaults = readsDefaults || w.fromCatalogue(variable)
			services[name] = map[string]any{"deploy": map[string]any{
				"placement": map[string]any{"constraints": escapeList(constraints)},
			}}
		}
	}
	if len(services) == 0 {
		return nil
	}
	return &layer{
		path:    "deploy/" + service + "-deploy-constraints.yml",
		service: service,
		dict:    map[string]any{"services": services},

		readsDefaults: readsDefaults,
	}
}

// escapeList makes texts stay what they are through the loader.
func escapeList(texts []string) []any {
	list := make([]any, 0, len(texts))
	for _, text := range texts {
		list = append(list, escape(text))
	}
	return list
}

// escape doubles dollars: the text was expanded once and is no template.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }
