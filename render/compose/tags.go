package compose

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/spelling"
)

// Two tags lift what files below have set (workspace contract, section 16, item
// 21). Without them lists can only grow.
//
//	!override  this value replaces those of all files below
//	!reset     removes the value, of files below and of this one
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
// what they are, and returns the nodes that had them.
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

// warnOfTags warns of tags that mean nothing: a misspelled !reset would have no effect
// and no message.
func warnOfTags(report *Report, path string, node *yaml.Node) {
	if tag := node.Tag; strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") {
		report.Warn(kargo.Place{File: path, Line: node.Line}, spelling.DidYouMean(tag, []string{tagOverride, tagReset}),
			"the tag %s means nothing and is ignored", tag)
	}
	for _, child := range node.Content {
		warnOfTags(report, path, child)
	}
}

// placeTags finds the paths of the tagged values. The tag of an anchor counts
// wherever the anchor is used.
func placeTags(report *Report, f *File, tagged map[*yaml.Node]string) []tag {
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
					report.Fail(kargo.Place{File: f.Path, Line: item.Line}, "put it before the list", "%s is not possible inside a list", name)
					return
				}
			}
		}
	}
	visit(f.root, nil)
	return tags
}

// applyTags removes what a new file lifts: from all files below it and, for
// !reset, from itself.
func applyTags(below []*File, f *File) {
	for _, t := range f.tags {
		for _, lower := range below {
			remove(lower.dict, t.path)
		}
		if t.name == tagReset {
			remove(f.dict, t.path)
		}
	}
}

// remove deletes a path from nested mappings. Where a file has a list for what
// can be a mapping, too (environment, labels, networks), the entry of that name
// is deleted.
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
