package plan

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/docker/docker/api/types/swarm"
)

// asTree returns a spec as a tree of JSON values: what encoding/json makes of the text
// that it writes of the spec, without the text. That takes a tenth of the time. A test
// compares both over random specs.
func asTree(spec swarm.ServiceSpec) map[string]any {
	tree, _ := treeOf(reflect.ValueOf(&spec).Elem()).(map[string]any)
	return tree
}

func treeOf(value reflect.Value) any {
	if value.Kind() != reflect.Invalid && marshalsItself(value.Type()) {
		return throughJSON(value)
	}
	switch value.Kind() {
	case reflect.Invalid:
		return nil
	case reflect.Pointer, reflect.Interface:
		return treeOf(value.Elem())
	case reflect.Struct:
		return treeOfStruct(value)
	case reflect.Map:
		return treeOfMap(value)
	case reflect.Slice:
		return treeOfSlice(value)
	case reflect.String:
		return validText(value.String())
	case reflect.Bool:
		return value.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(value.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(value.Uint())
	default:
		return throughJSON(value)
	}
}

func treeOfStruct(value reflect.Value) any {
	fields := treeFieldsOf(value.Type())
	tree := make(map[string]any, len(fields))
	for _, field := range fields {
		if at := value.FieldByIndex(field.index); !field.omitEmpty || !isEmpty(at) {
			tree[field.name] = treeOf(at)
		}
	}
	return tree
}

func treeOfMap(value reflect.Value) any {
	switch {
	case value.IsNil():
		return nil
	case value.Type().Key().Kind() != reflect.String:
		return throughJSON(value)
	}
	tree := make(map[string]any, value.Len())
	for entries := value.MapRange(); entries.Next(); {
		tree[validText(entries.Key().String())] = treeOf(entries.Value())
	}
	return tree
}

func treeOfSlice(value reflect.Value) any {
	switch {
	case value.IsNil():
		return nil
	case value.Type().Elem().Kind() == reflect.Uint8:
		return base64.StdEncoding.EncodeToString(value.Bytes())
	}
	tree := make([]any, value.Len())
	for i := range tree {
		tree[i] = treeOf(value.Index(i))
	}
	return tree
}

// treeField is a field of a structure as JSON has it.
type treeField struct {
	index     []int
	name      string
	omitEmpty bool
}

// treeFields has the fields by the type of the structure. There are as many types as
// Docker's spec is made of.
var treeFields sync.Map

func treeFieldsOf(of reflect.Type) []treeField {
	if known, ok := treeFields.Load(of); ok {
		return known.([]treeField)
	}
	var fields []treeField
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct:
			for _, below := range treeFieldsOf(field.Type) {
				below.index = append([]int{i}, below.index...)
				fields = append(fields, below)
			}
			continue
		case !field.IsExported() || name == "-" && options == "":
			continue
		case name == "":
			name = field.Name
		}
		fields = append(fields, treeField{[]int{i}, name, strings.Contains(options, "omitempty")})
	}
	treeFields.Store(of, fields)
	return fields
}

// isEmpty reports whether omitempty leaves a value out.
func isEmpty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return value.Len() == 0
	case reflect.Struct:
		return false
	default:
		return value.IsZero()
	}
}

// validText is a text as JSON has it: a byte that is no UTF-8 becomes a mark.
func validText(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

var jsonMarshaler, textMarshaler = reflect.TypeFor[json.Marshaler](), reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()

func marshalsItself(of reflect.Type) bool {
	return of.Implements(jsonMarshaler) || of.Implements(textMarshaler)
}

// throughJSON is treeOf for what a spec seldom has.
func throughJSON(value reflect.Value) (tree any) {
	data, err := json.Marshal(value.Interface())
	if err == nil {
		err = json.Unmarshal(data, &tree)
	}
	if err != nil {
		panic(fmt.Sprintf("plan: encode a %s: %v", value.Type(), err))
	}
	return tree
}
