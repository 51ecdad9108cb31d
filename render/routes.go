package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kargo/render/traefik"
)

// Workspaces put labels of Traefik 1.7 on their services, and the catalogue
// runs version 3, which does not know them. translateRoutes adds what they mean
// in the words of version 3, and leaves them where they are: a Traefik 1.7 of
// the workspace's own goes on reading them.
//
// Each file is translated by itself, before the files are merged: so an
// extension with old labels overrides a default service with new ones, as it
// always did. Within one file a label of version 3 counts more than what an
// old one comes to.
func (w *work) translateRoutes() {
	routes := map[string]*traefik.Route{}
	for _, l := range w.layers {
		for _, service := range l.serviceNames() {
			if l.generated() {
				continue
			}
			if routes[service] == nil {
				routes[service] = traefik.NewRoute(w.routeName(service))
			}
			w.translateLabels(l, service, routes[service])
		}
	}
}

// routeName is the name of a service's router: the one that its files give it
// in the words of version 3, else the old backend, else the service.
func (w *work) routeName(service string) string {
	name, backend := "", ""
	for _, l := range w.layers {
		labels := w.serviceLabels(l, service)
		for _, label := range slices.Sorted(maps.Keys(labels)) {
			if rest, ok := strings.CutPrefix(label, "traefik.http.routers."); ok && name == "" {
				name, _, _ = strings.Cut(rest, ".")
			}
			if label == "traefik.backend" && labels[label] != "" {
				backend = unfit.ReplaceAllString(labels[label], "-")
			}
		}
	}
	for _, candidate := range []string{name, backend} {
		if candidate != "" {
			return candidate
		}
	}
	return service
}

// serviceLabels are the labels under deploy of one file, variables replaced.
// Labels of containers mean nothing to Traefik in a Swarm.
func (w *work) serviceLabels(l *layer, service string) map[string]string {
	deploy, _ := l.serviceDict(service)["deploy"].(map[string]any)
	labels := map[string]string{}
	switch declared := deploy["labels"].(type) {
	case map[string]any:
		for name, value := range declared {
			if value != nil {
				labels[name] = w.substituted(fmt.Sprint(value))
			}
		}
	case []any:
		for _, entry := range declared {
			name, value, _ := strings.Cut(fmt.Sprint(entry), "=")
			labels[name] = w.substituted(value)
		}
	}
	return labels
}

// translateLabels adds to a file what its old labels mean.
func (w *work) translateLabels(l *layer, service string, route *traefik.Route) {
	added, notices := route.Add(w.serviceLabels(l, service))
	for _, n := range notices {
		at := l.at("services", service, "deploy", "labels", n.Label)
		switch {
		case n.Beside != "":
			w.warn(at, "take it away", "services.%s: %s is a label of Traefik 1.7, and %s beside it counts", service, n.Label, n.Beside)
		case n.Unknown:
			w.warn(at, "see docs/workspace.md for what to write", "services.%s: %s is a label of Traefik 1.7 that is not translated", service, n.Label)
		case len(n.Counts) == 0:
			w.warn(at, "take it away", "services.%s: %s is a label of Traefik 1.7 that version 3 does without", service, n.Label)
		default:
			w.warn(at, "write that in its place", "services.%s: %s is a label of Traefik 1.7, and counts as %s", service, n.Label, strings.Join(n.Counts, ", "))
		}
	}
	addLabels(l.serviceDict(service), added)
}

// addLabels puts labels under deploy of a service, in the form that it has.
func addLabels(service map[string]any, labels map[string]string) {
	if len(labels) == 0 {
		return
	}
	deploy := service["deploy"].(map[string]any) // it had the old labels
	switch declared := deploy["labels"].(type) {
	case map[string]any:
		for name, value := range labels {
			declared[name] = escape(value)
		}
	case []any:
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			declared = append(declared, name+"="+escape(labels[name]))
		}
		deploy["labels"] = declared
	}
}
