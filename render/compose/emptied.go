package compose

import (
	"maps"
	"slices"

	"kargo"
)

// An entry of an environment that is empty has the value of the variable of its name,
// where there is one: `docker stack deploy` does not tell FULL="" from FULL. So a file
// could not empty what a file below passes on.

// settleEmptied finds the empty entries that empty one of the files below, or say
// !override, and warns of those that are filled in.
func settleEmptied(s *reading) {
	named := map[[2]string]bool{} // entries of the files so far, by service
	for _, f := range s.files {
		for _, service := range f.ServiceNames() {
			entries := asMapping(f.Service(service)["environment"])
			for _, name := range slices.Sorted(maps.Keys(entries)) {
				if fills(s, f, service, name, entries[name]) {
					s.settleEmpty(f, service, name, named[[2]string{service, name}])
				}
			}
			for name := range entries {
				named[[2]string{service, name}] = true
			}
		}
	}
}

// fills reports whether the loader would fill in a variable for an entry that is empty.
func fills(s *reading, f *File, service, name string, value any) bool {
	text, isText := value.(string)
	if !isText || substitute(text, s.ws.Lookup) != "" {
		return false
	}
	path := []string{"services", service, "environment", name}
	node := resolve(f.node(path...))
	if node == nil || f.passesOn(path, node) { // nil: of an env_file
		return false
	}
	filled, _ := s.ws.Lookup(name)
	return filled != ""
}

// settleEmpty decides about one entry.
func (s *reading) settleEmpty(f *File, service, name string, below bool) {
	path := []string{"services", service, "environment", name}
	overrides := slices.ContainsFunc(f.tags, func(t tag) bool { return t.name == tagOverride && slices.Equal(t.path, path) })
	switch {
	case below || overrides:
		if f.emptied == nil {
			f.emptied = map[[2]string]bool{}
		}
		f.emptied[[2]string{service, name}] = true
	case s.ws.Layer(f.Path) != kargo.OriginDefault:
		s.report.Warn(f.At(path...), "write "+name+`: !override "" to empty it`,
			"services.%s.environment.%s is empty, and Docker gives it the value of the variable %s", service, name, name)
	}
}
