package compose

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
)

// Trail returns where the value at a dotted path comes from, "services.redis.image",
// with the trails of what is directly below it. It reports whether any file has
// the path.
func (c *Configuration) Trail(dotted string) (kargo.Trail, bool) {
	trail, keys := c.oneTrail(dotted)
	for _, key := range keys {
		if part, _ := c.oneTrail(dotted + "." + key); len(part.Mentions) > 0 {
			trail.Parts = append(trail.Parts, part)
		}
	}
	return trail, len(trail.Mentions) > 0
}

// oneTrail follows a dotted path through the files. It returns the keys below
// it, too.
func (c *Configuration) oneTrail(dotted string) (trail kargo.Trail, keys []string) {
	trail = kargo.Trail{Stack: c.stack, Path: dotted}
	for _, f := range c.Files {
		if f.Generated() {
			continue
		}
		path := splitPath(f.root, dotted)
		node := f.node(path...)
		if node == nil || len(path) == 0 {
			continue
		}
		trail.Key = path[len(path)-1]
		trail.Mentions = append(trail.Mentions, c.mention(f, path, node))
		if resolved := resolve(node); resolved.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(resolved.Content); i += 2 {
				if key := resolved.Content[i].Value; !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	c.mentionVariable(&trail)
	settle(trail.Mentions)
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
	}
	return m
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
		trail.Key = path[4]
		trail.Mentions = append(trail.Mentions, kargo.Mention{
			Layer: at.EnvLayer(), Where: at,
			Text: "${" + variable + "}", Value: c.ws.Value(variable), Variables: []string{variable}, Counts: true,
		})
	}
}

// settle lets only the last text count, where the last mention is a text.
func settle(mentions []kargo.Mention) {
	if len(mentions) == 0 || mentions[len(mentions)-1].Text == "" {
		return
	}
	for i := range mentions[:len(mentions)-1] {
		mentions[i].Counts = mentions[i].Counts && mentions[i].Text == ""
	}
}
