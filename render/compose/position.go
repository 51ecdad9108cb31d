package compose

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// lineOf returns the line of a path below a node, or of the deepest part of it
// that is there. Keys of lists are indices, or entries such as "KEY" of
// "KEY=value" or "x" of "{source: x}".
func lineOf(node *yaml.Node, path []string) int {
	line := node.Line
	for _, key := range path {
		at, value := child(node, key)
		if value == nil {
			break
		}
		line, node = at.Line, value
	}
	return line
}

// child finds a key of a mapping or list: the node that holds the key and the
// one that holds the value. Anchors and merge keys are followed.
func child(node *yaml.Node, key string) (at, value *yaml.Node) {
	node = resolve(node)
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				return node.Content[i], node.Content[i+1]
			}
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == "<<" {
				if at, value := childOfMerge(node.Content[i+1], key); value != nil {
					return at, value
				}
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
		for _, item := range slices.Backward(node.Content) { // the last of two KEY=value counts
			if item.Value == key || strings.HasPrefix(item.Value, key+"=") {
				return item, item
			}
		}
		for _, item := range node.Content {
			if item.Kind == yaml.MappingNode {
				if _, source := child(item, "source"); source != nil && source.Value == key {
					return item, item
				}
			}
		}
	}
	return nil, nil
}

// childOfMerge looks into what "<<" merges in: one mapping or a list of them.
func childOfMerge(node *yaml.Node, key string) (at, value *yaml.Node) {
	node = resolve(node)
	if node.Kind != yaml.SequenceNode {
		return child(node, key)
	}
	for _, item := range node.Content {
		if at, value := child(item, key); value != nil {
			return at, value
		}
	}
	return nil, nil
}

func resolve(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// splitPath takes a dotted path apart as far as the nodes go: a key may hold
// dots itself, so the file decides where one ends. "[]" is some list entry.
func splitPath(node *yaml.Node, dotted string) []string {
	var path []string
	for dotted != "" && node != nil {
		node = resolve(node)
		key, rest, _ := strings.Cut(dotted, ".")
		for _, name := range namesIn(node) {
			if after, ok := strings.CutPrefix(dotted, name); ok && len(name) > len(key) && (after == "" || after[0] == '.') {
				key, rest = name, strings.TrimPrefix(after, ".")
			}
		}
		path = append(path, key)
		_, node = child(node, key)
		dotted = rest
	}
	if dotted != "" {
		path = append(path, strings.Split(dotted, ".")...)
	}
	return path
}

// namesIn returns the keys of a mapping, and those of a list's entries: "KEY" of
// "KEY=value".
func namesIn(node *yaml.Node) (names []string) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(node.Content); i += 2 {
			names = append(names, node.Content[i].Value)
		}
	case yaml.SequenceNode:
		for _, item := range node.Content {
			name, _, _ := strings.Cut(item.Value, "=")
			names = append(names, name)
		}
	}
	return names
}
