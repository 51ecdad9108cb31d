package render

import (
	"slices"

	"kargo"

	"gopkg.in/yaml.v3"
)

// The two tags lift what files below have set (workspace contract, section
// 16, item 21): without them lists only ever grow.
//
//	!override  this value counts, whatever files below say
//	!reset     as if neither files below nor this one had said anything
const (
	tagOverride = "!override"
	tagReset    = "!reset"
)

// tag is a tagged value of a file.
type tag struct {
	name string
	path []string
}

// takeTags removes the two tags from the nodes, so that the values decode as
// what they are, and answers which nodes had them.
func takeTags(node *yaml.Node) map[*yaml.Node]string {
	tagged := map[*yaml.Node]string{}
	var visit func(node *yaml.Node)
	visit = func(node *yaml.Node) {
		if node.Tag == tagOverride || node.Tag == tagReset {
			tagged[node] = node.Tag
			node.Tag = ""
		}
		for _, child := range node.Content {
			visit(child)
		}
	}
	visit(node)
	return tagged
}

// placeTags finds the paths of the tagged values. An anchor's tag counts
// wherever the anchor is used.
func (w *work) placeTags(l *layer, tagged map[*yaml.Node]string) []tag {
	if len(tagged) == 0 {
		return nil
	}
	var tags []tag
	var visit func(node *yaml.Node, path []string)
	visit = func(node *yaml.Node, path []string) {
		node = resolve(node)
		if name, ok := tagged[node]; ok {
			tags = append(tags, tag{name, slices.Clone(path)})
		}
		switch node.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == "<<" {
					visit(node.Content[i+1], path)
				} else {
					visit(node.Content[i+1], append(path, node.Content[i].Value))
				}
			}
		case yaml.SequenceNode:
			for _, item := range node.Content {
				if name, ok := tagged[resolve(item)]; ok {
					w.fail(kargo.Place{File: l.path, Line: item.Line}, "put it before the list", "%s cannot stand inside a list", name)
					return
				}
			}
		}
	}
	visit(l.root, nil)
	return tags
}

// applyTags removes what a new file lifts: from all files below it and, for
// !reset, from itself.
func (w *work) applyTags(l *layer) {
	for _, t := range l.tags {
		for _, below := range w.layers {
			remove(below.dict, t.path)
		}
		if t.name == tagReset {
			remove(l.dict, t.path)
		}
	}
}

// remove deletes a path from nested mappings. Where a file writes as a list
// what may be a mapping as well (environment, labels, networks), the entry of
// that name goes.
func remove(dict map[string]any, path []string) {
	for i, key := range path {
		last := i == len(path)-1
		switch value := dict[key].(type) {
		case map[string]any:
			if !last {
				dict = value
				continue
			}
		case []any:
			if i == len(path)-2 {
				if j := indexOf(value, path[i+1]); j >= 0 {
					dict[key] = slices.Delete(slices.Clone(value), j, j+1)
				}
				return
			}
		}
		if last {
			delete(dict, key)
		}
		return
	}
}
