package plan

import (
	"reflect"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/swarm"
)

// clearlySame reports whether two specs are the same to Swarm, where that can be
// seen without turning them into trees: most services, most of the time. It reads
// the tables that the comparison of trees reads. Where it returns false, the specs
// may still be the same, for example with a list in another order.
func clearlySame(a, b swarm.ServiceSpec) bool {
	return modeName(a.Mode) == modeName(b.Mode) &&
		specRules().same(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
}

// specRules returns the rules of a whole spec.
var specRules = sync.OnceValue(func() *rules { return newRules("", reflect.TypeFor[swarm.ServiceSpec]()) })

// rules say how two values of one type are compared at one path of a spec.
type rules struct {
	path string
	// ignored is set where the workspace does not set the value.
	ignored bool
	// standard is what the daemon writes into an empty field: a text or a number.
	standard any
	// fields has the rules of a structure's fields, by their index in the type.
	fields []*rules
	// entry has the rules of a list's entries, or of what a pointer points to.
	entry *rules
	// exact is set where every bit counts: labels, options, and types that a spec
	// seldom has.
	exact bool
	// unset has the labels that the workspace does not set.
	unset map[string]bool
}

func newRules(path string, of reflect.Type) *rules {
	r := &rules{path: path, ignored: notCompared[path], standard: daemonDefaults[path], unset: map[string]bool{}}
	switch of.Kind() {
	case reflect.Pointer:
		r.entry = newRules(path, of.Elem())
	case reflect.Slice:
		r.entry = newRules(path+"[]", of.Elem())
	case reflect.Struct:
		if r.exact = isFreeMap(path); r.exact {
			break
		}
		for field := range of.NumField() {
			r.fields = append(r.fields, newRules(fieldPath(path, of.Field(field)), of.Field(field).Type))
		}
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
	default:
		r.exact = true
		for ignored := range notCompared {
			if label, below := strings.CutPrefix(ignored, path+"."); below {
				r.unset[label] = true
			}
		}
	}
	return r
}

// fieldPath returns the path of a structure's field, with the name that it has in
// JSON. The fields of an embedded structure are those of the structure around it.
func fieldPath(path string, field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch {
	case field.Anonymous && name == "":
		return path
	case name == "":
		name = field.Name
	}
	return join(path, name)
}

// same reports whether two values are clearly the same.
func (r *rules) same(a, b reflect.Value) bool {
	switch {
	case r.ignored:
		return true
	case r.exact:
		return r.sameExactly(a, b)
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return (a.IsNil() || r.isNothing(a)) && (b.IsNil() || r.isNothing(b))
		}
		return r.entry.same(a.Elem(), b.Elem())
	case reflect.Slice:
		return a.Len() == b.Len() && r.sameEntries(a, b)
	case reflect.Struct:
		for i, field := range r.fields {
			if !field.same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	default:
		return a.Equal(b) || r.isNothing(a) && r.isNothing(b)
	}
}

func (r *rules) sameEntries(a, b reflect.Value) bool {
	for i := range a.Len() {
		if isNil(a.Index(i)) != isNil(b.Index(i)) || !r.entry.same(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func isNil(value reflect.Value) bool { return value.Kind() == reflect.Pointer && value.IsNil() }

// sameExactly compares labels by their text, and every other value as a whole.
func (r *rules) sameExactly(a, b reflect.Value) bool {
	if labels, areLabels := a.Interface().(map[string]string); areLabels {
		return r.sameLabels(labels, b.Interface().(map[string]string))
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (r *rules) sameLabels(a, b map[string]string) bool {
	more := 0 // labels of a without those of b
	for name, value := range a {
		if r.unset[name] {
			continue
		}
		if other, exists := b[name]; !exists || other != value {
			return false
		}
		more++
	}
	for name := range b {
		if !r.unset[name] {
			more--
		}
	}
	return more == 0
}

// isNothing reports whether a value is the same as an absent one.
func (r *rules) isNothing(value reflect.Value) bool {
	switch {
	case r.ignored:
		return true
	case r.exact:
		return value.IsZero()
	}
	switch value.Kind() {
	case reflect.Pointer:
		return value.IsNil() || r.entry.isNothing(value.Elem())
	case reflect.Slice:
		return value.Len() == 0
	case reflect.Struct:
		for i, field := range r.fields {
			if !field.isNothing(value.Field(i)) {
				return false
			}
		}
		return true
	default:
		return value.IsZero() && r.path != replicasPath || r.isStandard(value)
	}
}

func (r *rules) isStandard(value reflect.Value) bool {
	switch standard := r.standard.(type) {
	case string:
		return value.Kind() == reflect.String && value.String() == standard
	case float64:
		return value.CanUint() && float64(value.Uint()) == standard
	}
	return false
}
