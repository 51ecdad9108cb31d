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
	document map[string]any
	files    int // in the document
	invalid  bool
}

// filesTogether bounds the size of a document.
const filesTogether = 300

// add adds a file whose variables are replaced. It returns false for a file that
// must be validated by itself.
func (t *together) add(dict map[string]any) bool {
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
			added[section][fmt.Sprintf("%d.%s", t.files, name)] = json.RawMessage(data)
		}
	}
	for section, entries := range added {
		if all, exists := t.document[section].(map[string]any); exists {
			maps.Copy(all, entries)
		} else {
			t.document[section] = entries
		}
	}
	if t.files++; t.files >= filesTogether {
		t.validate()
	}
	return true
}

// validate validates the files since the last call.
func (t *together) validate() {
	if t.files > 0 && schema.Validate(t.document, schema.Version(t.document)) != nil {
		t.invalid = true
	}
	t.document, t.files = map[string]any{}, 0
}

// unvalidated loads a file that is validated later, with others. It returns nil for
// a file that must be loaded by itself, because something is wrong with it or it is
// unusual.
func (l loading) unvalidated(f *File) *types.Config {
	dict, err := interpolation.Interpolate(f.dict, interpolation.Options{LookupValue: interpolation.LookupValue(l.lookup), TypeCastMapping: casts()})
	if err != nil || !l.together.add(dict) {
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
