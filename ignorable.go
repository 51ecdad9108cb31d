package kargo

import (
	"reflect"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/swarm"

	"kargo/spelling"
)

// checkPointer refuses a JSON pointer into a service that never has an effect: it names
// no field, or an entry of a list, which has no fixed position.
func checkPointer(pointer string) error {
	names, ok := strings.CutPrefix(pointer, "/Spec/")
	if !ok {
		return badValue(`write it as "/Spec/Mode/Replicated/Replicas"`, "holds %q, which is not a JSON pointer into a service", pointer)
	}
	at, before := reflect.TypeFor[swarm.ServiceSpec](), "/Spec"
	for name := range strings.SplitSeq(names, "/") {
		if at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		switch at.Kind() {
		case reflect.Map: // of labels and options, which may have any name
			at = at.Elem()
		case reflect.Slice:
			return badValue("a list is ignored as a whole: "+before, "holds %q, an entry of a list", pointer)
		default:
			fields := fieldsOf(at)
			index := slices.IndexFunc(fields, func(f reflect.StructField) bool { return f.Name == name })
			if index < 0 {
				return badValue(nearestField(before, name, fields), "holds %q, and a service has no field %s/%s", pointer, before, name)
			}
			at = fields[index].Type
		}
		before += "/" + name
	}
	return nil
}

// fieldsOf returns the fields of a structure that have a name in JSON, which is theirs;
// none for another type.
func fieldsOf(t reflect.Type) (fields []reflect.StructField) {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || field.Anonymous || name == "-" {
			continue
		}
		if name != "" {
			field.Name = name
		}
		fields = append(fields, field)
	}
	return fields
}

func nearestField(before, name string, fields []reflect.StructField) string {
	var names []string
	for _, field := range fields {
		if strings.EqualFold(field.Name, name) {
			return "did you mean " + before + "/" + field.Name + "?"
		}
		names = append(names, field.Name)
	}
	if near := spelling.Nearest(name, names, 2); near != "" {
		return "did you mean " + before + "/" + near + "?"
	}
	return "`docker service inspect` shows the fields of a service"
}
