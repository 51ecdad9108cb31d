package render

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/cli/compose/types"
)

// normalise settles what files may say in old ways. It keeps the loader from
// refusing files of different versions, from writing warnings of its own to
// the log, and from looking for a home directory.
func (w *work) normalise() {
	for _, l := range w.layers {
		delete(l.dict, "version") // workspace contract, section 16, item 17
		for _, section := range []string{"networks", "volumes", "configs", "secrets"} {
			for _, entry := range l.section(section) {
				if entry, ok := entry.(map[string]any); ok {
					plainExternal(entry)
				}
			}
		}
		for _, name := range l.serviceNames() {
			w.refuseHome(l, name)
			w.plainDependencies(l, name)
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

// refuseHome refuses bind sources below "~": whose home would it be?
func (w *work) refuseHome(l *layer, service string) {
	volumes, _ := l.serviceDict(service)["volumes"].([]any)
	for i, volume := range volumes {
		source, ok := volume.(string)
		if !ok {
			long, _ := volume.(map[string]any)
			source, _ = long["source"].(string)
		}
		if text, err := template.Substitute(source, w.ws.Env.Lookup); err == nil && strings.HasPrefix(text, "~") {
			w.fail(l.at("services", service, "volumes", strconv.Itoa(i)), "write the path out",
				`%q: "~" would be the home directory of the controller`, text)
		}
	}
}

// load merges the layers into one configuration; nil if a layer is refused.
// Each is loaded alone first, for only so can an error be told its file.
func (w *work) load() *types.Config {
	for _, l := range w.layers {
		w.loadAlone(l)
	}
	if w.failed {
		return nil
	}
	files := make([]types.ConfigFile, 0, len(w.layers))
	for _, l := range w.layers {
		files = append(files, types.ConfigFile{Filename: l.path, Config: l.dict})
	}
	config, err := w.run(files, func(o *loader.Options) { o.SkipValidation = true })
	if err != nil {
		w.blameMerge(err)
		return nil
	}
	sort.Slice(config.Services, func(i, j int) bool { return config.Services[i].Name < config.Services[j].Name })
	return config
}

// maxErrors of one file are reported at once; the rest waits for the next try.
const maxErrors = 50

// loadAlone loads one layer. The loader stops at its first error, so the
// offending part is taken out and the rest tried again.
func (w *work) loadAlone(l *layer) {
	dict := copyValue(l.dict).(map[string]any)
	for range maxErrors {
		_, err := w.run([]types.ConfigFile{{Filename: l.path, Config: dict}})
		if err == nil {
			return
		}
		path := w.blame(l, dict, err)
		if !cut(dict, path) {
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

// run calls the loader. It panics on some values that the schema lets pass.
func (w *work) run(files []types.ConfigFile, options ...func(*loader.Options)) (config *types.Config, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			config, err = nil, fmt.Errorf("%w: %v", errPanic, cause)
		}
	}()
	return loader.Load(types.ConfigDetails{
		WorkingDir:  w.directory(),
		ConfigFiles: files,
		Environment: w.ws.Env,
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

// treeNames are the paths of the merged tree in order.
func (r *renderer) treeNames() []string {
	names := make([]string, 0, len(r.ws.Files))
	for name := range r.ws.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// inTree is a path of the host as one of the merged tree.
func (r *renderer) inTree(host string) (string, bool) {
	host = path.Clean(host)
	if host == path.Clean(r.ws.Root) {
		return ".", true
	}
	return strings.CutPrefix(host, path.Clean(r.ws.Root)+"/")
}
