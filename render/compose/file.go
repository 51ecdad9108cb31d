package compose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
)

// File is one compose file of a stack. Its decoded content changes on the way
// to Docker's loader; its nodes stay as parsed and know the lines.
type File struct {
	Path  string // "deploy/redis.yml"
	Entry string // the entry of <STACK>_STACK that it was read for

	root *yaml.Node // nil where the file stands for a variable
	dict map[string]any
	tags []tag
	// emptied are the entries of environments that are empty, and stay so: by service and
	// name.
	emptied map[[2]string]bool
	// readsDefaults is set where the file reads a variable that has the
	// catalogue's value.
	readsDefaults bool
}

// Generated reports whether the file stands for a variable and is on no disk.
func (f *File) Generated() bool { return f.root == nil }

// ServiceNames returns the services of the file in order of name.
func (f *File) ServiceNames() []string { return slices.Sorted(maps.Keys(f.section("services"))) }

// byKey returns the files that have each key of a section, lowest first. A stack may have
// more than a thousand files with a service each, and to ask all of them about each
// service takes long.
func byKey(files []*File, section string) map[string][]*File {
	having := map[string][]*File{}
	for _, f := range files {
		for key := range f.section(section) {
			having[key] = append(having[key], f)
		}
	}
	return having
}

// Defines reports whether the file has a service of that name.
func (f *File) Defines(service string) bool { return f.section("services")[service] != nil }

// Service returns one decoded service of the file, nil where it has none.
func (f *File) Service(name string) map[string]any {
	dict, _ := f.section("services")[name].(map[string]any)
	return dict
}

// section returns a top-level mapping of the file, or nil if there is none.
func (f *File) section(name string) map[string]any {
	section, _ := f.dict[name].(map[string]any)
	return section
}

// At returns the place of a path in the file, or of the nearest part of it that
// the file has.
func (f *File) At(path ...string) kargo.Place {
	if f.root == nil {
		return kargo.Place{File: f.Path}
	}
	return kargo.Place{File: f.Path, Line: lineOf(f.root, path)}
}

// has reports whether the file still has a path, after tags took some away.
func (f *File) has(path ...string) bool {
	var value any = f.dict
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

// node returns the value at a path of the file as it was written, or nil if
// there is none.
func (f *File) node(path ...string) *yaml.Node {
	if f.root == nil {
		return nil
	}
	node := f.root
	for _, key := range path {
		if node == nil {
			return nil
		}
		_, node = child(node, key)
	}
	return node
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

// parse reads one compose file; nil where it is no YAML mapping.
func parse(report *Report, path, entry string, data []byte) *File {
	f := &File{Path: path, Entry: entry}
	whole := kargo.Place{File: path}
	if len(data) > maxFile {
		report.Fail(whole, "", "is longer than %d bytes", maxFile)
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); err != nil && err != io.EOF {
		failYAML(report, whole, data, err)
		return nil
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		report.Fail(kargo.Place{File: path, Line: 1}, "a compose file begins with services:", "is not a mapping")
		return nil
	}
	if decoder.Decode(&more) == nil && more.Content[0].ShortTag() != "!!null" {
		report.Warn(kargo.Place{File: path, Line: more.Content[0].Line}, "join them, or put it into a file of its own",
			"a second document begins here and is ignored")
	}
	root := document.Content[0]
	f.root = root
	tagged := takeTags(root)
	warnOfTags(report, path, root)
	if key, value := oddMerge(root); key != nil {
		report.Fail(kargo.Place{File: path, Line: key.Line}, "merge mappings with <<; a list has to be written again",
			"<< takes a mapping or a list of mappings, not %s", kindOf(value))
		return nil
	}
	if err := root.Decode(&f.dict); err != nil {
		failYAML(report, whole, data, err)
		return nil
	}
	if key := oddKey(root); key != nil {
		report.Fail(kargo.Place{File: path, Line: key.Line}, "put it in quotes", "the key %s is not text", key.Value)
		return nil
	}
	if value := notFinite(root); value != nil {
		report.Fail(kargo.Place{File: path, Line: value.Line}, "put it in quotes", "%s is read as a number, and JSON has no such number", value.Value)
		return nil
	}
	f.tags = placeTags(report, f, tagged)
	return f
}

// notFinite returns the first .inf or .nan below a node, or nil. Docker's validation refuses
// both, and names no key.
func notFinite(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.ScalarNode && node.Style == 0 && endsNotFinite(node.Value) && node.ShortTag() == "!!float" {
		return node
	}
	for _, child := range node.Content {
		if found := notFinite(child); found != nil {
			return found
		}
	}
	return nil
}

// endsNotFinite reports whether a text ends in .inf or .nan. It costs less than to find the
// type of each value.
func endsNotFinite(text string) bool {
	if len(text) < len(".inf") {
		return false
	}
	end := text[len(text)-len(".inf"):]
	return strings.EqualFold(end, ".inf") || strings.EqualFold(end, ".nan")
}

// oddMerge finds a merge key whose value cannot be merged, of which the YAML library
// does not say the line.
func oddMerge(node *yaml.Node) (key, value *yaml.Node) {
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && child.Value == "<<" && child.Style == 0 {
			merged := resolve(node.Content[i+1])
			all := []*yaml.Node{merged}
			if merged.Kind == yaml.SequenceNode && node.Content[i+1].Kind != yaml.AliasNode {
				all = merged.Content
			}
			for _, one := range all {
				if resolve(one).Kind != yaml.MappingNode {
					return child, resolve(one)
				}
			}
		}
		if key, value := oddMerge(child); key != nil {
			return key, value
		}
	}
	return nil, nil
}

// kindOf returns what a value is, in words.
func kindOf(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "the text " + strconv.Quote(firstWord(node.Value))
}

var yamlLine = pattern.Lazy(`line (\d+): `)

// failYAML reports the errors of the YAML library, which name their lines.
func failYAML(report *Report, at kargo.Place, data []byte, err error) {
	messages := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	slip := 0
	var typeError *yaml.TypeError
	if errors.As(err, &typeError) {
		messages = typeError.Errors
	} else {
		slip = slipLine(data)
	}
	for _, message := range messages {
		at.Line = 0
		if match := yamlLine().FindStringSubmatchIndex(message); match != nil {
			at.Line, _ = strconv.Atoi(message[match[2]:match[3]])
			message = message[:match[0]] + message[match[1]:]
		}
		if slip > 0 {
			at.Line = slip
		}
		report.Fail(at, syntaxHint(message, lineText(data, at.Line)), "%s", message)
	}
}

// oddKey finds a key that YAML reads as a number, a date or a boolean. Docker's
// loader accepts only keys that are text.
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
