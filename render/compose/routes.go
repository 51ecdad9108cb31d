package compose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/template"

	"kargo/pattern"
	"kargo/render/traefik"
)

// Workspaces put labels of Traefik 1.7 on their services, and the catalogue
// runs version 3, which does not know them. translateRoutes adds the labels of
// version 3 that mean the same. The old labels stay: a Traefik 1.7 that the
// workspace itself runs still reads them.
//
// Each file is translated by itself, before files are merged: so an extension
// with old labels overrides a default service with new ones. Within one file a
// label of version 3 counts more than the translation of an old one.
func translateRoutes(s *reading) {
	files, routes := byKey(s.files, "services"), map[string]*traefik.Route{}
	for _, f := range s.files {
		if f.Generated() {
			continue
		}
		for _, service := range f.ServiceNames() {
			if routes[service] == nil {
				routes[service] = traefik.NewRoute(routeName(s, files[service], service))
			}
			translateLabels(s, f, service, routes[service])
		}
	}
}

// unfit are the characters that the name of a router does not have.
var unfit = pattern.Lazy(`[^a-zA-Z0-9._-]+`)

// routeName returns the name of a service's router: the one that its files give
// it in labels of version 3, else the old backend, else the service.
func routeName(s *reading, files []*File, service string) string {
	name, backend := "", ""
	for _, f := range files {
		labels := deployLabels(f, service, s.ws.Lookup)
		for _, label := range slices.Sorted(maps.Keys(labels)) {
			if rest, ok := strings.CutPrefix(label, "traefik.http.routers."); ok && name == "" {
				name, _, _ = strings.Cut(rest, ".")
			}
			if label == "traefik.backend" && labels[label] != "" {
				backend = unfit().ReplaceAllString(labels[label], "-")
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

// deployLabels returns the labels under deploy of one file, variables replaced.
// In a Swarm Traefik ignores labels of containers.
func deployLabels(f *File, service string, env template.Mapping) map[string]string {
	deploy, _ := f.Service(service)["deploy"].(map[string]any)
	labels := map[string]string{}
	switch declared := deploy["labels"].(type) {
	case map[string]any:
		for name, value := range declared {
			if value != nil {
				labels[name] = substitute(fmt.Sprint(value), env)
			}
		}
	case []any:
		for _, entry := range declared {
			name, value, _ := strings.Cut(substitute(fmt.Sprint(entry), env), "=")
			labels[name] = value
		}
	}
	return labels
}

// translateLabels adds to a file what its old labels mean.
func translateLabels(s *reading, f *File, service string, route *traefik.Route) {
	added, notices := route.Add(deployLabels(f, service, s.ws.Lookup))
	for _, n := range notices {
		at := f.At("services", service, "deploy", "labels", n.Label)
		switch {
		case n.Beside != "":
			s.report.Warn(at, "remove it", "services.%s: %s is a label of Traefik 1.7, and %s beside it counts", service, n.Label, n.Beside)
		case n.Unknown:
			s.report.Warn(at, "see docs/workspace.md for what to write", "services.%s: %s is a label of Traefik 1.7 that is not translated", service, n.Label)
		case len(n.Counts) == 0:
			s.report.Warn(at, "remove it", "services.%s: %s is a label of Traefik 1.7 that version 3 does not need", service, n.Label)
		default:
			s.report.Warn(at, "write that instead", "services.%s: %s is a label of Traefik 1.7; it is translated to %s", service, n.Label, strings.Join(n.Counts, ", "))
		}
	}
	addLabels(f.Service(service), added)
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
