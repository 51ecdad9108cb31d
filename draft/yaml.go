package draft

import (
	"bytes"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"kargo/pattern"
)

// notInKeys are the characters that a key of a compose file cannot have.
var notInKeys = pattern.Lazy(`[^a-zA-Z0-9._-]+`)

// mapping is a mapping of a compose file that keeps its order.
type mapping []field

type field struct {
	key   string
	value any
}

// literal is a plain scalar, as it is to be written.
type literal string

// put adds a field.
func (m *mapping) put(key string, value any) { *m = append(*m, field{key, value}) }

// set adds a field, unless the value is empty.
func (m *mapping) set(key string, value any) {
	if !isEmpty(value) {
		m.put(key, value)
	}
}

// duration adds a duration, if there is one and it is not 0.
func (m *mapping) duration(key string, value *time.Duration) {
	if value != nil && *value != 0 {
		m.put(key, value.String())
	}
}

func isEmpty(value any) bool {
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// withoutEmpty returns the fields that are not empty.
func (m mapping) withoutEmpty() mapping {
	var rest mapping
	for _, f := range m {
		rest.set(f.key, f.value)
	}
	return rest
}

// MarshalYAML writes the fields in their order.
func (m mapping) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range m {
		key, value := &yaml.Node{}, &yaml.Node{}
		key.SetString(f.key)
		if err := value.Encode(f.value); err != nil {
			return nil, err
		}
		node.Content = append(node.Content, key, value)
	}
	return node, nil
}

// MarshalYAML writes the scalar without quotes.
func (l literal) MarshalYAML() (any, error) {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: string(l)}, nil
}

// yaml returns the mapping as a compose file: dollars are doubled, as a single one
// would begin a variable.
func (m mapping) yaml() ([]byte, error) {
	var node yaml.Node
	if err := node.Encode(m); err != nil {
		return nil, err
	}
	escape(&node)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err := encoder.Encode(&node)
	return out.Bytes(), err
}

// escape doubles the dollars of all values.
func escape(node *yaml.Node) {
	switch node.Kind {
	case yaml.ScalarNode:
		node.Value = strings.ReplaceAll(node.Value, "$", "$$")
	case yaml.MappingNode:
		for i := 1; i < len(node.Content); i += 2 {
			escape(node.Content[i])
		}
	default:
		for _, child := range node.Content {
			escape(child)
		}
	}
}
