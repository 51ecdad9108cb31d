package compose

import (
	"cmp"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/types"
)

// Docker's loader merges files after it has decoded them. It can't know then
// what a file says: false looks like nothing, an empty string, too, and ports
// are the same that have the same number. So the services of loaded files are
// merged here, guided by what each file was written with. The rules are those
// of `docker stack deploy -c a.yml -c b.yml`, except:
//
//   - what a file does not name, it does not change
//   - false, a zero, and an empty value of environment or of labels count
//   - a port replaces only one that it can't stand beside: of the same
//     published number and protocol
//   - a config or secret replaces one of the same source and target

// mergeServices merges the services of all files, lowest first. It returns them
// in order of name.
func mergeServices(s *reading, loaded []*types.Config) []types.ServiceConfig {
	merged := map[string]types.ServiceConfig{}
	for i, f := range s.files {
		for _, service := range loaded[i].Services {
			below, exists := merged[service.Name]
			if !exists {
				merged[service.Name] = service
				continue
			}
			sortLists := lists(&below)
			m := serviceMerge{report: s.report, file: f}
			m.structs(reflect.ValueOf(&below).Elem(), reflect.ValueOf(&service).Elem(), f.Service(service.Name), []string{"services", service.Name})
			sortLists()
			merged[service.Name] = below
		}
	}
	services := make([]types.ServiceConfig, 0, len(merged))
	for _, service := range merged {
		services = append(services, service)
	}
	slices.SortFunc(services, func(a, b types.ServiceConfig) int { return cmp.Compare(a.Name, b.Name) })
	return services
}

// lists returns a function that sorts those lists of a merged service which are
// not empty now. Docker sorts just these; another order would change the specs
// of services that run.
func lists(service *types.ServiceConfig) (sort func()) {
	before := *service
	return func() {
		if len(before.Ports) > 0 {
			slices.SortStableFunc(service.Ports, func(a, b types.ServicePortConfig) int { return cmp.Compare(a.Published, b.Published) })
		}
		if len(before.Secrets) > 0 {
			slices.SortStableFunc(service.Secrets, func(a, b types.ServiceSecretConfig) int { return cmp.Compare(a.Source, b.Source) })
		}
		if len(before.Configs) > 0 {
			slices.SortStableFunc(service.Configs, func(a, b types.ServiceConfigObjConfig) int { return cmp.Compare(a.Source, b.Source) })
		}
		if len(before.Volumes) > 0 {
			slices.SortStableFunc(service.Volumes, func(a, b types.ServiceVolumeConfig) int { return cmp.Compare(a.Target, b.Target) })
		}
	}
}

// serviceMerge merges one service of a file into those of the files below.
type serviceMerge struct {
	report *Report
	file   *File
}

// structs merges the fields that a file says. said is what it says, as decoded
// from YAML.
func (m serviceMerge) structs(into, from reflect.Value, said map[string]any, at []string) {
	for i := range into.NumField() {
		name, skip := keyOf(into.Type().Field(i))
		value, isSaid := said[name]
		if skip || !isSaid || value == nil {
			continue
		}
		m.value(into.Field(i), from.Field(i), value, append(slices.Clone(at), name))
	}
}

// keyOf returns the key of a field in compose files, or skip if it has none.
func keyOf(field reflect.StructField) (name string, skip bool) {
	name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
	return cmp.Or(name, strings.ToLower(field.Name)), name == "-" || strings.Contains(options, "inline")
}

// value merges one value that a file says.
func (m serviceMerge) value(into, from reflect.Value, said any, at []string) {
	switch below := into.Addr().Interface().(type) {
	case *types.ShellCommand, *types.HealthCheckTest:
		into.Set(from)
	case *[]types.ServicePortConfig:
		*below = replaced(*below, from.Interface().([]types.ServicePortConfig), portKey)
	case *[]types.ServiceSecretConfig:
		*below = replaced(*below, from.Interface().([]types.ServiceSecretConfig), func(s types.ServiceSecretConfig) any {
			return targetKey(types.FileReferenceConfig(s), "/run/secrets")
		})
	case *[]types.ServiceConfigObjConfig:
		*below = replaced(*below, from.Interface().([]types.ServiceConfigObjConfig), func(c types.ServiceConfigObjConfig) any {
			return targetKey(types.FileReferenceConfig(c), "/")
		})
	case *[]types.ServiceVolumeConfig:
		*below = replaced(*below, from.Interface().([]types.ServiceVolumeConfig), func(v types.ServiceVolumeConfig) any { return v.Target })
	case **types.LoggingConfig:
		m.logging(below, from.Interface().(*types.LoggingConfig), said, at)
		return
	case *map[string]*types.ServiceNetworkConfig:
		m.networks(below, from.Interface().(map[string]*types.ServiceNetworkConfig), said, at)
		return
	default:
		m.plain(into, from, said, at)
		return
	}
	m.warnOfEmptyList(into, said, at)
}

// portKey returns a key that is equal for ports that cannot exist side by side.
func portKey(port types.ServicePortConfig) any {
	if port.Published != 0 {
		return types.ServicePortConfig{Published: port.Published, Protocol: cmp.Or(port.Protocol, "tcp")}
	}
	return port
}

// targetKey returns a key that is equal for references of one object at one
// place of the container. A relative target is below dir.
func targetKey(reference types.FileReferenceConfig, dir string) any {
	target := cmp.Or(reference.Target, reference.Source)
	if !path.IsAbs(target) {
		target = path.Join(dir, target)
	}
	return [2]string{reference.Source, path.Clean(target)}
}

// replaced returns the entries of both lists without those below that an entry
// above has the key of.
func replaced[E any](below, above []E, key func(E) any) []E {
	taken := map[any]bool{}
	for _, entry := range above {
		taken[key(entry)] = true
	}
	kept := slices.DeleteFunc(slices.Clone(below), func(entry E) bool { return taken[key(entry)] })
	return append(kept, above...)
}

// plain merges values without a rule of their own, by their kind.
func (m serviceMerge) plain(into, from reflect.Value, said any, at []string) {
	switch into.Kind() {
	case reflect.Struct:
		m.nested(into, from, said, at)
	case reflect.Pointer:
		switch {
		case from.IsNil():
		case into.IsNil() || into.Elem().Kind() != reflect.Struct:
			into.Set(from)
		default:
			m.nested(into.Elem(), from.Elem(), said, at)
		}
	case reflect.Map:
		m.warnOfNoValue(into, from, at)
		mergeMap(into, from)
	case reflect.Slice:
		m.warnOfEmptyList(into, said, at)
		into.Set(reflect.AppendSlice(into.Slice(0, into.Len()).Slice3(0, into.Len(), into.Len()), from))
	case reflect.String:
		if from.Len() == 0 && into.Len() > 0 {
			m.warn(at, `write !override "" to empty it`, "an empty value does not replace %q", into.String())
			return
		}
		into.Set(from)
	default:
		into.Set(from)
	}
}

// nested merges a mapping, or takes the value above where the file has another
// form than a mapping.
func (m serviceMerge) nested(into, from reflect.Value, said any, at []string) {
	if dict, isMap := said.(map[string]any); isMap {
		m.structs(into, from, dict, at)
	} else {
		into.Set(from)
	}
}

// mergeMap sets the entries of a map. One without a value, such as a variable
// of the environment that only has a name, sets nothing that is there already.
func mergeMap(into, from reflect.Value) {
	merged := reflect.MakeMap(into.Type())
	for _, side := range []reflect.Value{into, from} {
		for _, key := range side.MapKeys() {
			value := side.MapIndex(key)
			if value.Kind() == reflect.Pointer && value.IsNil() && merged.MapIndex(key).IsValid() {
				continue
			}
			merged.SetMapIndex(key, value)
		}
	}
	into.Set(merged)
}

// warnOfNoValue warns of variables that have a value below, and none in this file.
func (m serviceMerge) warnOfNoValue(into, from reflect.Value, at []string) {
	below, isEnvironment := into.Interface().(types.MappingWithEquals)
	if !isEnvironment {
		return
	}
	above := from.Interface().(types.MappingWithEquals)
	for _, name := range slices.Sorted(maps.Keys(above)) {
		if above[name] == nil && below[name] != nil {
			m.warn(append(slices.Clone(at), name), `write "" to empty it, !reset null to remove it`,
				"it has no value, and keeps that of the files below")
		}
	}
}

// logging replaces the options of another driver.
func (m serviceMerge) logging(below **types.LoggingConfig, above *types.LoggingConfig, said any, at []string) {
	if *below == nil || above == nil || above.Driver != "" && (*below).Driver != "" && above.Driver != (*below).Driver {
		*below = above
		return
	}
	merged := **below
	m.nested(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(above).Elem(), said, at)
	*below = &merged
}

// networks merges the networks of a service. The names that a file gives a
// service on a network replace those of the files below.
func (m serviceMerge) networks(below *map[string]*types.ServiceNetworkConfig, above map[string]*types.ServiceNetworkConfig, said any, at []string) {
	merged := map[string]*types.ServiceNetworkConfig{}
	for name, network := range *below {
		merged[name] = network
	}
	dict, _ := said.(map[string]any)
	for name, network := range above {
		lower := merged[name]
		if lower == nil || network == nil {
			if _, exists := merged[name]; !exists || network != nil {
				merged[name] = network
			}
			continue
		}
		settings, _ := dict[name].(map[string]any)
		joined := *lower
		if settings["aliases"] != nil {
			joined.Aliases = nil
		}
		m.structs(reflect.ValueOf(&joined).Elem(), reflect.ValueOf(network).Elem(), settings, append(slices.Clone(at), name))
		merged[name] = &joined
	}
	*below = merged
}

// warnOfEmptyList warns of a list that says nothing: lists of several files are
// joined.
func (m serviceMerge) warnOfEmptyList(below reflect.Value, said any, at []string) {
	if list, isList := said.([]any); isList && len(list) == 0 && below.Len() > 0 && below.Type() != reflect.TypeFor[types.ShellCommand]() {
		m.warn(at, "write !override [] to empty it", "an empty list adds nothing to that of the files below")
	}
}

func (m serviceMerge) warn(at []string, hint, format string, args ...any) {
	m.report.Warn(m.file.At(at...), hint, strings.Join(at, ".")+": "+format, args...)
}
