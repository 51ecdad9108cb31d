// Package traefik translates labels of Traefik 1.7 to those of version 3.
//
// Sources: Traefik's own guide from version 1 to 2, and the reference of its
// Docker provider in both versions.
package traefik

import (
	"maps"
	"slices"
	"strings"
)

// Route translates the labels of one service, file by file.
type Route struct {
	name   string            // of router, service and the middlewares' names
	labels map[string]string // of version 3, so far
	added  map[string]string // for the current file
}

// NewRoute returns the route of a service without labels. The name becomes that
// of its router, its load balancer and its middlewares.
func NewRoute(name string) *Route {
	return &Route{name: name, labels: map[string]string{}}
}

// Notice describes the translation of one label of version 1.7.
type Notice struct {
	Label string
	// Counts are the labels of version 3 that mean the same. There are none where
	// version 3 does not need the label.
	Counts []string
	// Beside is a label of version 3 that the file has, too, and that counts.
	Beside string
	// Unknown reports that the label was not translated.
	Unknown bool
}

// Add takes the labels of one more file of the service. It returns the labels of
// version 3 that the old ones mean, and a notice for each old label, in order of
// name.
func (r *Route) Add(own map[string]string) (added map[string]string, notices []Notice) {
	r.added = map[string]string{}
	for _, label := range slices.Sorted(maps.Keys(own)) {
		if !old(label) {
			continue
		}
		before := maps.Clone(r.added)
		counts, ok := r.translate(label, own[label])
		notice := Notice{Label: label, Counts: counts, Unknown: !ok}
		if beside := slices.IndexFunc(counts, func(name string) bool { _, there := own[name]; return there }); beside >= 0 {
			notice.Beside = counts[beside]
			r.added = before
		}
		notices = append(notices, notice)
	}
	for _, labels := range []map[string]string{own, r.added} {
		for name, value := range labels {
			if strings.HasPrefix(name, "traefik.http.") {
				r.labels[name] = value
			}
		}
	}
	return r.added, notices
}

// set adds a label of version 3 and returns its name.
func (r *Route) set(name, value string) string {
	r.added[name] = value
	return name
}

func (r *Route) router(option, value string) string {
	return r.set("traefik.http.routers."+r.name+"."+option, value)
}

func (r *Route) balancer(option, value string) string {
	return r.set("traefik.http.services."+r.name+".loadbalancer."+option, value)
}

// middleware adds an option of a middleware and puts that at the end of the
// router's list.
func (r *Route) middleware(suffix, option, value string) string {
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
