package compose

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
)

// mostTrails limits how many values below one are followed, mostEntries how many of a
// list are.
const (
	mostTrails  = 2000
	mostEntries = 200
)

// Trail returns where the value at a dotted path comes from, "services.redis.image",
// with the trails of what is directly below it; if deep, of all that is below it, up to
// a limit. It reports whether any file has the path.
func (c *Configuration) Trail(dotted string, deep bool) (kargo.Trail, bool) {
	trail, keys := c.oneTrail(dotted)
	left := mostTrails
	c.addParts(&trail, keys, deep, &left)
	return trail, len(trail.Mentions) > 0
}

// addParts adds the trails of the keys below a value, as long as any are left to add.
func (c *Configuration) addParts(trail *kargo.Trail, keys []string, deep bool, left *int) {
	for _, key := range keys {
		if *left == 0 {
			return
		}
		*left--
		part, below := c.oneTrail(trail.Path + "." + key)
		if deep {
			c.addParts(&part, below, deep, left)
		}
		if len(part.Mentions) > 0 {
			trail.Parts = append(trail.Parts, part)
		}
	}
}

// oneTrail follows a dotted path through the files. It returns the keys below
// it, too.
func (c *Configuration) oneTrail(dotted string) (trail kargo.Trail, keys []string) {
	trail = kargo.Trail{Stack: c.stack, Path: dotted}
	known := map[string]bool{}
	var said []effect
	for _, f := range c.Files {
		if f.Generated() {
			continue
		}
		path := splitPath(f.root, dotted)
		node := f.node(path...)
		if node == nil || len(path) == 0 {
			continue
		}
		trail.Keys = path
		mention := c.mention(f, path, node)
		said = append(said, f.effectOf(path, resolve(node), mention))
		trail.Mentions = append(trail.Mentions, mention)
		for _, key := range append(keysOf(node), keysOfEntries(node, path[len(path)-1])...) {
			if !known[key] {
				known[key] = true
				keys = append(keys, key)
			}
		}
	}
	settle(trail.Mentions, said)
	c.mentionVariable(&trail)
	return trail, keys
}

// mention returns what one file says at a path. It does not count if a tag of a
// file above removed it.
func (c *Configuration) mention(f *File, path []string, node *yaml.Node) kargo.Mention {
	m := kargo.Mention{
		Layer: c.ws.Layer(f.Path), Where: f.At(path...),
		Variables: variablesIn(node), Counts: f.has(path...),
	}
	if resolved := resolve(node); resolved.Kind == yaml.ScalarNode {
		m.Text = strings.TrimPrefix(resolved.Value, path[len(path)-1]+"=") // an entry of a list
		m.Value = c.Substituted(m.Text)
		c.passOn(&m, f, path, resolved)
	} else if resolved.Kind == yaml.SequenceNode && len(keysOfEntries(node, path[len(path)-1])) == 0 {
		m.Entries = c.entries(resolved)
	}
	return m
}

// entries returns the entries of a list as texts: "8080:80", "{target: 80}".
func (c *Configuration) entries(list *yaml.Node) (texts []string) {
	for _, item := range list.Content[:min(len(list.Content), mostEntries)] {
		item = resolve(item)
		text := item.Value
		if item.Kind == yaml.MappingNode {
			var pairs []string
			for i := 0; i+1 < len(item.Content); i += 2 {
				pairs = append(pairs, item.Content[i].Value+": "+resolve(item.Content[i+1]).Value)
			}
			text = "{" + strings.Join(pairs, ", ") + "}"
		}
		texts = append(texts, c.Substituted(text))
	}
	return texts
}

// keyed are the lists whose entries have keys: "KEY=value".
var keyed = []string{"environment", "labels", "args", "sysctls", "annotations"}

// keysOf returns the keys below a value, in order. Merge keys are followed.
func keysOf(node *yaml.Node) (keys []string) {
	node = resolve(node)
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value != "<<" {
			keys = append(keys, node.Content[i].Value)
			continue
		}
		merged := resolve(node.Content[i+1])
		if merged.Kind != yaml.SequenceNode {
			keys = append(keys, keysOf(merged)...)
			continue
		}
		for _, item := range merged.Content {
			keys = append(keys, keysOf(item)...)
		}
	}
	return keys
}

// keysOfEntries returns the keys of the entries of a list that has such: "KEY" and
// "KEY=value" of environment.
func keysOfEntries(node *yaml.Node, of string) []string {
	node = resolve(node)
	if node.Kind != yaml.SequenceNode || !slices.Contains(keyed, of) {
		return nil
	}
	return slices.DeleteFunc(namesIn(node), func(key string) bool { return key == "" })
}

// mentionVariable adds the constraints that a variable gives to a service.
func (c *Configuration) mentionVariable(trail *kargo.Trail) {
	path := strings.Split(trail.Path, ".")
	if len(path) != 5 || strings.Join(path[2:], ".") != "deploy.placement.constraints" {
		return
	}
	for _, f := range c.Files {
		if !f.Generated() || !f.has(path...) {
			continue
		}
		variable := kargo.SuffixConstraints.Of(path[1])
		at := c.ws.PlaceOf(variable)
		trail.Keys = path
		trail.Mentions = append(trail.Mentions, kargo.Mention{
			Layer: at.EnvLayer(), Where: at,
			Text: "${" + variable + "}", Value: c.ws.Value(variable), Variables: []string{variable}, Counts: true,
		})
	}
}

// passOn turns the mention of a variable that the environment of a service passes on into
// one that reads it: "NAME" without a value, or an empty value that Docker fills in.
func (c *Configuration) passOn(m *kargo.Mention, f *File, path []string, node *yaml.Node) {
	if len(path) != 4 || path[0] != "services" || path[2] != "environment" {
		return
	}
	name := path[3]
	filled := m.Value == "" && c.ws.Value(name) != "" && !f.emptied[[2]string{path[1], name}]
	if f.passesOn(path, node) || filled {
		m.Text, m.Value, m.Variables = "${"+name+"}", c.ws.Value(name), append(m.Variables, name)
	}
}

// passesOn reports whether an entry of an environment is a name alone: "NAME" in a list,
// "NAME:" in a mapping.
func (f *File) passesOn(path []string, node *yaml.Node) bool {
	if resolve(f.node(path[:len(path)-1]...)).Kind == yaml.SequenceNode {
		return node.Value == path[len(path)-1]
	}
	return node.ShortTag() == "!!null"
}

// effect is what one mention does to those of the files below.
type effect int

const (
	adds     effect = iota // a mapping or a list
	replaces               // a value
	nothing                // an empty value of what an empty one does not replace
)

func (f *File) effectOf(path []string, node *yaml.Node, mention kargo.Mention) effect {
	last := path[len(path)-1]
	switch {
	case node.Kind != yaml.ScalarNode:
		if last == "command" || last == "entrypoint" || last == "test" {
			return replaces
		}
		return adds
	case mention.Value != "":
		return replaces
	case len(path) > 1 && texts[path[len(path)-2]] && !f.passesOn(path, node):
		return replaces
	}
	return nothing
}

// settle lets only the last value count. One without an effect counts only if nothing is
// below it.
func settle(mentions []kargo.Mention, said []effect) {
	settled := false
	for i := len(mentions) - 1; i >= 0; i-- {
		below := slices.ContainsFunc(mentions[:i], func(m kargo.Mention) bool { return m.Counts })
		switch {
		case !mentions[i].Counts:
		case said[i] == replaces:
			mentions[i].Counts = !settled
			settled = true
		case said[i] == nothing:
			mentions[i].Counts = !settled && !below
		}
	}
}
