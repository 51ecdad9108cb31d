package compose

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/cli/compose/types"

	"kargo"
)

// normalise rewrites what files may say in old ways. It keeps the loader from
// refusing files of different versions, from writing warnings to the log, and
// from looking for a home directory.
func normalise(s *reading) {
	for _, f := range s.files {
		delete(f.dict, "version") // workspace contract, section 16, item 17
		for _, section := range []string{"networks", "volumes", "configs", "secrets"} {
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
		if text, err := template.Substitute(source, s.ws.Env.Lookup); err == nil && strings.HasPrefix(text, "~") {
			s.report.Fail(f.At("services", service, "volumes", strconv.Itoa(i)), "write the path out",
				`%q: "~" would be the home directory of the controller`, text)
		}
	}
}

// load merges the files into one configuration. It loads each file alone first:
// only so can an error be attributed to its file.
func load(s *reading) {
	l := loading{directory: s.tree.Directory(), env: s.ws.Env, report: s.report}
	before := s.report.Errors()
	for _, f := range s.files {
		l.alone(f)
	}
	if s.report.Errors() == before {
		s.config = l.together(s.files)
	}
}

// loading calls Docker's loader and explains its errors.
type loading struct {
	directory string // where relative paths start
	env       kargo.Environment
	report    *Report
}

// together loads all files as one; nil where they cannot be merged.
func (l loading) together(files []*File) *types.Config {
	sources := make([]types.ConfigFile, 0, len(files))
	for _, f := range files {
		sources = append(sources, types.ConfigFile{Filename: f.Path, Config: f.dict})
	}
	config, err := l.run(sources, func(o *loader.Options) { o.SkipValidation = true })
	if err != nil {
		l.blameMerge(files, err)
		return nil
	}
	sort.Slice(config.Services, func(i, j int) bool { return config.Services[i].Name < config.Services[j].Name })
	return config
}

// maxErrors of one file are reported at once; the rest at the next try.
const maxErrors = 50

// alone loads one file. The loader stops at its first error, so the offending
// part is removed and the rest is tried again.
func (l loading) alone(f *File) {
	dict := copyValue(f.dict).(map[string]any)
	for range maxErrors {
		_, err := l.run([]types.ConfigFile{{Filename: f.Path, Config: dict}})
		if err == nil {
			return
		}
		if !cut(dict, l.blame(f, dict, err)) {
			return
		}
	}
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
	return loader.Load(types.ConfigDetails{
		WorkingDir:  l.directory,
		ConfigFiles: files,
		Environment: l.env,
	}, options...)
}

// copyValue is a deep copy of what YAML decodes to.
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
