package compose

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/interpolation"
	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/cli/compose/types"
)

// normalise rewrites what files may say in old ways. It keeps the loader from
// refusing files of different versions, from writing warnings to the log, and
// from looking for a home directory.
func normalise(s *reading) {
	for _, f := range s.files {
		delete(f.dict, "version") // workspace contract, section 16, item 17
		for _, section := range objectSections {
			for _, entry := range f.section(section) {
				if entry, ok := entry.(map[string]any); ok {
					plainExternal(entry)
				}
			}
		}
		for _, name := range f.ServiceNames() {
			refuseHome(s, f, name)
			shortDependencies(s, f, name)
		}
	}
}

// plainExternal writes "external: {name: x}" as "external: true" and "name: x".
func plainExternal(entry map[string]any) {
	external, ok := entry["external"].(map[string]any)
	if _, both := entry["name"]; !ok || both {
		return
	}
	name, ok := external["name"]
	if !ok || len(external) != 1 {
		return
	}
	entry["external"], entry["name"] = true, name
}

// refuseHome refuses bind sources below "~": it would be the controller's home.
func refuseHome(s *reading, f *File, service string) {
	volumes, _ := f.Service(service)["volumes"].([]any)
	for i, volume := range volumes {
		source, ok := volume.(string)
		if !ok {
			long, _ := volume.(map[string]any)
			source, _ = long["source"].(string)
		}
		if text, err := template.Substitute(source, s.ws.Lookup); err == nil && strings.HasPrefix(text, "~") {
			s.report.Fail(f.At("services", service, "volumes", strconv.Itoa(i)), "write the path out",
				`%q: "~" would be the home directory of the controller`, text)
		}
	}
}

// load loads each file alone, for only so can an error be attributed to its
// file, and merges the results into one configuration.
func load(s *reading) {
	l := loading{directory: s.tree.Directory(), lookup: s.ws.Lookup, report: s.report, budget: s.budget, together: s.together, valid: s.valid}
	before := s.report.Errors()
	loaded := make([]*types.Config, 0, len(s.files))
	for i, f := range s.files {
		loaded = append(loaded, l.alone(fileOf{s.stack, i}, f))
	}
	if s.report.Errors() > before {
		return
	}
	config := l.objects(s.files, mergeObjects(s))
	if s.report.Errors() > before {
		return
	}
	config.Services = mergeServices(s, loaded)
	s.config = config
}

// loading calls Docker's loader and explains its errors.
type loading struct {
	directory string           // where relative paths start
	lookup    template.Mapping // a variable of the stack
	report    *Report
	budget    *budget
	together  *together       // nil where each file is validated by itself
	valid     map[fileOf]bool // files that need no validation
	// emptied are the entries of environments that are left empty, by service and name.
	emptied map[[2]string]bool
}

// objects loads the merged declarations of networks, volumes, configs and
// secrets.
func (l loading) objects(files []*File, merged map[string]any) *types.Config {
	skip := func(o *loader.Options) { o.SkipValidation = true } // each file was validated
	config, err := l.run([]types.ConfigFile{{Config: merged}}, skip)
	if err == nil {
		return config
	}
	for _, section := range objectSections {
		entries, _ := merged[section].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			only := map[string]any{section: map[string]any{name: entries[name]}}
			if _, err := l.run([]types.ConfigFile{{Config: only}}, skip); err != nil {
				l.report.Fail(placeIn(files, section, name), "", "%s.%s: %s", section, name, oneLine(err.Error()))
			}
		}
	}
	return nil
}

const (
	maxErrors    = 50  // of one file are reported at once; the rest at the next try
	maxExplained = 200 // of all files; then each has its first error reported
)

// alone loads one file; nil where it has errors. The loader stops at its first
// error, so the offending part is removed and the rest is tried again.
func (l loading) alone(file fileOf, f *File) *types.Config {
	l.emptied = f.emptied
	if config := l.unvalidated(file, f); config != nil {
		return config
	}
	dict := copyValue(f.dict).(map[string]any)
	for range maxErrors {
		config, err := l.run([]types.ConfigFile{{Filename: f.Path, Config: dict}})
		if err == nil {
			return config
		}
		path := l.blame(f, dict, err)
		l.budget.explained++
		if l.budget.explained >= maxExplained || !cut(dict, path) {
			return nil
		}
	}
	return nil
}

// cut deletes a path from nested mappings, or the list that it leads into.
func cut(dict map[string]any, path []string) bool {
	for i, key := range path {
		value, exists := dict[key]
		inner, isMap := value.(map[string]any)
		if !isMap || i == len(path)-1 {
			delete(dict, key)
			return exists
		}
		dict = inner
	}
	return false
}

// errPanic marks values that Docker's loader does not expect at all.
var errPanic = errors.New("cannot be read by Docker's loader")

// run calls the loader, which panics on some values that the schema permits.
func (l loading) run(files []types.ConfigFile, options ...func(*loader.Options)) (config *types.Config, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			config, err = nil, fmt.Errorf("%w: %v", errPanic, cause)
		}
	}()
	options = append(options, func(o *loader.Options) { o.Interpolate.LookupValue = interpolation.LookupValue(l.lookup) })
	config, err = loader.Load(types.ConfigDetails{WorkingDir: l.directory, ConfigFiles: files}, options...)
	if err == nil {
		l.resolveEnvironments(config)
	}
	return config, err
}

// resolveEnvironments gives each entry of an environment without a value that of the
// variable. The loader would do that, but only with a map of all variables.
func (l loading) resolveEnvironments(config *types.Config) {
	for _, service := range config.Services {
		for name, given := range service.Environment {
			if given != nil && *given != "" || l.emptied[[2]string{service.Name, name}] {
				continue
			}
			if value, set := l.lookup(name); set {
				service.Environment[name] = &value
			}
		}
	}
}

// copyValue returns a deep copy of what YAML decodes to.
func copyValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		dict := make(map[string]any, len(value))
		for key, entry := range value {
			dict[key] = copyValue(entry)
		}
		return dict
	case []any:
		list := make([]any, 0, len(value))
		for _, entry := range value {
			list = append(list, copyValue(entry))
		}
		return list
	}
	return value
}
