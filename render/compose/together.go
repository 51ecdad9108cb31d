package compose

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/docker/cli/cli/compose/interpolation"
	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/schema"
	"github.com/docker/cli/cli/compose/types"
)

// together validates many compose files with Docker's JSON schema at once. Docker
// compiles the schema for each validation, which takes longer than everything else
// that is done with a file.
//
// The services of all files become the services of one document, and so do their
// networks, volumes, configs and secrets. The schema looks at each of them by
// itself, so the document is valid where every file is.
type together struct {
	waiting []checked // files that were not validated yet
	valid   map[fileOf]bool
	invalid int // files that are not valid, or lie in a document that is not
}

// fileOf is a file of a stack: the stack's name, and which of its files it is.
type fileOf struct {
	stack string
	index int
}

// checked is a file that is validated: its entries by section and name.
type checked struct {
	fileOf
	sections map[string]map[string]any
}

const (
	filesTogether = 300 // bounds the size of a document
	mostSearched  = 30  // files that are not valid, until it is not worth it to search for more
)

// add adds a file whose variables are replaced. It returns false for a file that
// must be validated by itself.
func (t *together) add(file fileOf, dict map[string]any) bool {
	added := map[string]map[string]any{}
	for section, value := range dict {
		if strings.HasPrefix(section, "x-") {
			continue // may have any content
		}
		entries, isMap := value.(map[string]any)
		if !isMap || section != "services" && !slices.Contains(objectSections, section) {
			return false
		}
		added[section] = map[string]any{}
		for name, entry := range entries {
			// The loader may change the entry before it is validated.
			data, err := json.Marshal(entry)
			if err != nil || name == "" {
				return false
			}
			added[section][fmt.Sprintf("%d.%s", len(t.waiting), name)] = json.RawMessage(data)
		}
	}
	if t.waiting = append(t.waiting, checked{file, added}); len(t.waiting) >= filesTogether {
		t.validate()
	}
	return true
}

// validate validates the files since the last call.
func (t *together) validate() {
	t.search(t.waiting)
	t.waiting = nil
}

// search validates files. If they are not valid, it validates each half of them: most
// often, one of thousands is wrong.
func (t *together) search(files []checked) {
	switch {
	case len(files) == 0:
	case valid(files):
		for _, file := range files {
			t.valid[file.fileOf] = true
		}
	case len(files) == 1, t.invalid >= mostSearched:
		t.invalid++
	default:
		half := len(files) / 2
		t.search(files[:half])
		t.search(files[half:])
	}
}

// valid reports whether all files are valid.
func valid(files []checked) bool {
	document := map[string]any{}
	for _, file := range files {
		for section, entries := range file.sections {
			if all, exists := document[section].(map[string]any); exists {
				maps.Copy(all, entries)
			} else {
				document[section] = maps.Clone(entries)
			}
		}
	}
	return schema.Validate(document, schema.Version(document)) == nil
}

// unvalidated loads a file that is known to be valid, or is validated later, with others.
// It returns nil for a file that must be loaded by itself, because something is wrong
// with it or it is unusual.
func (l loading) unvalidated(file fileOf, f *File) *types.Config {
	if l.together == nil && !l.valid[file] {
		return nil
	}
	dict, err := interpolation.Interpolate(f.dict, interpolation.Options{LookupValue: interpolation.LookupValue(l.lookup), TypeCastMapping: casts()})
	if err != nil || l.together != nil && !l.together.add(file, dict) {
		return nil
	}
	config, err := l.run([]types.ConfigFile{{Filename: f.Path, Config: dict}}, func(o *loader.Options) {
		o.SkipInterpolation, o.SkipValidation = true, true
	})
	if err != nil {
		return nil
	}
	return config
}

// casts returns the types that Docker's loader gives values whose variables it
// replaced.
var casts = sync.OnceValue(func() (mapping map[interpolation.Path]interpolation.Cast) {
	empty := types.ConfigDetails{ConfigFiles: []types.ConfigFile{{Config: map[string]any{}}}}
	_, err := loader.Load(empty, func(o *loader.Options) {
		mapping, o.SkipValidation = o.Interpolate.TypeCastMapping, true
	})
	if err != nil {
		panic("render: load an empty compose file: " + err.Error())
	}
	return mapping
})
