package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kargo"

	"gopkg.in/yaml.v3"
)

// layer is one compose file of a stack. The dict is what counts and changes on
// the way to Docker's loader; the nodes stay as parsed and tell the lines.
type layer struct {
	path    string     // "deploy/redis.yml"
	service string     // the entry of <STACK>_STACK that it was read for
	root    *yaml.Node // nil where the layer was made from a variable
	dict    map[string]any
	tags    []tag
	// readsDefaults: variables with the catalogue's values are read.
	readsDefaults bool
}

// generated tells whether the layer was made from a variable.
func (l *layer) generated() bool { return l.root == nil }

// section is a top-level mapping of the file, nil where there is none.
func (l *layer) section(name string) map[string]any {
	section, _ := l.dict[name].(map[string]any)
	return section
}

func (l *layer) services() map[string]any { return l.section("services") }

// serviceNames are the compose services of the file in order of name.
func (l *layer) serviceNames() []string { return slices.Sorted(maps.Keys(l.services())) }

// serviceDict is one compose service of the file, nil where there is none.
func (l *layer) serviceDict(name string) map[string]any {
	dict, _ := l.services()[name].(map[string]any)
	return dict
}

// parse reads one compose file; nil where it is no YAML mapping.
func (w *work) parse(path, service string, data []byte) *layer {
	l := &layer{path: path, service: service}
	if len(data) > maxComposeFile {
		w.fail(kargo.Place{File: path}, "", "is longer than %d bytes", maxComposeFile)
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); err != nil && err != io.EOF {
		w.failYAML(path, err)
		return nil
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		w.fail(kargo.Place{File: path, Line: 1}, "a compose file begins with services:", "is not a mapping")
		return nil
	}
	if decoder.Decode(&more) == nil && more.Content[0].ShortTag() != "!!null" {
		w.warn(kargo.Place{File: path, Line: more.Content[0].Line}, "join them, or give it a file of its own",
			"a second document begins here, which is not read")
	}
	l.root = document.Content[0]
	tagged := takeTags(l.root)
	if err := l.root.Decode(&l.dict); err != nil {
		w.failYAML(path, err)
		return nil
	}
	if key := oddKey(l.root); key != nil {
		w.fail(kargo.Place{File: path, Line: key.Line}, "put it in quotes", "the key %s is not text", key.Value)
		return nil
	}
	l.tags = w.placeTags(l, tagged)
	return l
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// failYAML reports the errors of the YAML library, which name their lines.
func (w *work) failYAML(path string, err error) {
	messages := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var typeError *yaml.TypeError
	if errors.As(err, &typeError) {
		messages = typeError.Errors
	}
	for _, message := range messages {
		at := kargo.Place{File: path}
		if match := yamlLine.FindStringSubmatchIndex(message); match != nil {
			at.Line, _ = strconv.Atoi(message[match[2]:match[3]])
			message = message[:match[0]] + message[match[1]:]
		}
		w.fail(at, "", "%s", message)
	}
}

// oddKey finds a key that YAML reads as a number, a date or a truth value.
// Docker's loader knows keys of text only.
func oddKey(node *yaml.Node) *yaml.Node {
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			if tag := child.ShortTag(); tag != "!!str" && tag != "!!merge" && child.Kind == yaml.ScalarNode {
				return child
			}
		}
		if key := oddKey(child); key != nil {
			return key
		}
	}
	return nil
}

// at is the place of a path in the file, or of the nearest part of it that
// the file has.
func (l *layer) at(path ...string) kargo.Place {
	if l.root == nil {
		return kargo.Place{File: l.path}
	}
	return kargo.Place{File: l.path, Line: lineOf(l.root, path)}
}

// has tells whether the file still has a path, after tags took some away.
func (l *layer) has(path ...string) bool {
	var value any = l.dict
	for _, key := range path {
		switch v := value.(type) {
		case map[string]any:
			next, ok := v[key]
			if !ok {
				return false
			}
			value = next
		case []any:
			if indexOf(v, key) < 0 {
				return false
			}
			value = nil
		default:
			return false
		}
	}
	return true
}

// indexOf finds an entry of a list by its key: "KEY", "KEY=value" or
// "{source: KEY}".
func indexOf(list []any, key string) int {
	return slices.IndexFunc(list, func(item any) bool {
		if long, ok := item.(map[string]any); ok {
			return long["source"] == key
		}
		text := fmt.Sprint(item)
		return text == key || strings.HasPrefix(text, key+"=")
	})
}

// place of a path: in the last layer that has it, for that one counts.
func (w *work) place(path ...string) kargo.Place {
	for _, l := range slices.Backward(w.layers) {
		if !l.generated() && l.has(path...) {
			return l.at(path...)
		}
	}
	return w.fallback(path)
}

// fallback is the place of the nearest part of a path that some layer has.
func (w *work) fallback(path []string) kargo.Place {
	if len(path) == 0 {
		return kargo.Place{File: "deploy"}
	}
	return w.place(path[:len(path)-1]...)
}
