package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
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
	routes := map[string]*route{}
	for _, l := range w.layers {
		for _, service := range l.serviceNames() {
			if l.generated() {
				continue
			}
			if routes[service] == nil {
				routes[service] = &route{name: w.routeName(service), labels: map[string]string{}}
			}
			w.translateLabels(l, service, routes[service])
		}
	}
}

// route is what the labels of one compose service come to, file by file.
type route struct {
	name   string            // of router, service and the middlewares' names
	labels map[string]string // of version 3, so far
	added  map[string]string // by the file at hand
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
func (w *work) translateLabels(l *layer, service string, r *route) {
	own := w.serviceLabels(l, service)
	r.added = map[string]string{}
	for _, label := range slices.Sorted(maps.Keys(own)) {
		if !oldLabel(label) {
			continue
		}
		at := l.at("services", service, "deploy", "labels", label)
		before := maps.Clone(r.added)
		counts, ok := r.translate(label, own[label])
		said := slices.IndexFunc(counts, func(name string) bool { _, there := own[name]; return there })
		switch {
		case said >= 0:
			r.added = before
			w.warn(at, "take it away", "services.%s: %s is a label of Traefik 1.7, and %s beside it counts", service, label, counts[said])
		case !ok:
			w.warn(at, "see docs/workspace.md for what to write", "services.%s: %s is a label of Traefik 1.7 that is not translated", service, label)
		case len(counts) == 0:
			w.warn(at, "take it away", "services.%s: %s is a label of Traefik 1.7 that version 3 does without", service, label)
		default:
			w.warn(at, "write that in its place", "services.%s: %s is a label of Traefik 1.7, and counts as %s", service, label, strings.Join(counts, ", "))
		}
	}
	for _, labels := range []map[string]string{own, r.added} {
		for name, value := range labels {
			if strings.HasPrefix(name, "traefik.http.") {
				r.labels[name] = value
			}
		}
	}
	addLabels(l.serviceDict(service), r.added)
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

// set adds a label of version 3 and answers its name.
func (r *route) set(name, value string) string {
	r.added[name] = value
	return name
}

func (r *route) router(option, value string) string {
	return r.set("traefik.http.routers."+r.name+"."+option, value)
}

func (r *route) balancer(option, value string) string {
	return r.set("traefik.http.services."+r.name+".loadbalancer."+option, value)
}

// middleware adds an option of a middleware and puts that at the end of the
// router's list.
func (r *route) middleware(suffix, option, value string) string {
	const before, behind = "traefik.http.routers.", ".middlewares"
	list := r.added[before+r.name+behind]
	if list == "" {
		list = r.labels[before+r.name+behind]
	}
	name := r.name + "-" + suffix
	names := strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' })
	if !slices.Contains(names, name) {
		names = append(names, name)
	}
	r.router("middlewares", strings.Join(names, ","))
	return r.set("traefik.http.middlewares."+name+"."+option, value)
}
