package render

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
)

// Why finds the trails of what a person names: a stack ("dbs"), a service
// ("redis", "dbs.redis", "kargo-dbs_redis"), a field of one ("redis.image"), or
// a path of compose files ("networks.back.driver"). A service may be in several
// stacks, so there may be several; none if nothing has such a name.
func (p *Provenance) Why(what string) []kargo.Trail {
	var trails []kargo.Trail
	for _, w := range p.works {
		for _, path := range w.pathsFor(what) {
			if trail, ok := w.trail(path, true); ok {
				trails = append(trails, trail)
				break
			}
		}
	}
	return trails
}

// pathsFor are the dotted paths that a name may mean in one stack, the
// likeliest first.
func (w *work) pathsFor(what string) []string {
	if rest, ok := cutName(what, w.namespace+"_", ""); ok {
		return []string{"services." + rest}
	}
	if what == w.name || what == w.namespace {
		return []string{"services"}
	}
	var paths []string
	if rest, ok := cutName(what, w.name, "."); ok {
		paths = append(paths, "services."+rest, rest)
	}
	return append(paths, "services."+what, what)
}

func cutName(what, name, separator string) (string, bool) {
	rest, ok := strings.CutPrefix(what, name+separator)
	return rest, ok && rest != ""
}

// trail follows a dotted path through the files of the stack.
func (w *work) trail(dotted string, parts bool) (kargo.Trail, bool) {
	trail := kargo.Trail{Stack: w.name, Path: dotted}
	keys := []string{}
	for _, l := range w.layers {
		if l.generated() {
			continue
		}
		path := splitPath(l.root, dotted)
		node := l.node(path...)
		if node == nil || len(path) == 0 {
			continue
		}
		trail.Key = path[len(path)-1]
		trail.Mentions = append(trail.Mentions, w.mention(l, path, node))
		if resolved := resolve(node); resolved.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(resolved.Content); i += 2 {
				if key := resolved.Content[i].Value; !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	w.mentionVariable(&trail)
	settle(trail.Mentions)
	if parts {
		for _, key := range keys {
			if part, ok := w.trail(dotted+"."+key, false); ok {
				trail.Parts = append(trail.Parts, part)
			}
		}
	}
	return trail, len(trail.Mentions) > 0
}

// mention is what one file says at a path. Counts tells whether what it says
// was lifted by a tag of a file above.
func (w *work) mention(l *layer, path []string, node *yaml.Node) kargo.Mention {
	m := kargo.Mention{
		Layer: w.ws.Layer(l.path), Where: l.at(path...),
		Variables: variablesIn(node), Counts: l.has(path...),
	}
	if resolved := resolve(node); resolved.Kind == yaml.ScalarNode {
		m.Text = strings.TrimPrefix(resolved.Value, path[len(path)-1]+"=") // an entry of a list
		m.Value = w.substituted(m.Text)
	}
	return m
}

// mentionVariable adds the constraints that a variable gives to a service.
func (w *work) mentionVariable(trail *kargo.Trail) {
	path := strings.Split(trail.Path, ".")
	if len(path) != 5 || strings.Join(path[2:], ".") != "deploy.placement.constraints" {
		return
	}
	for _, l := range w.layers {
		if !l.generated() || !l.has(path...) {
			continue
		}
		variable := kargo.SuffixConstraints.Of(path[1])
		at := w.variable(variable)
		trail.Key = path[4]
		trail.Mentions = append(trail.Mentions, kargo.Mention{
			Layer: at.EnvLayer(), Where: at,
			Text: "${" + variable + "}", Value: w.ws.Env[variable], Variables: []string{variable}, Counts: true,
		})
	}
}

// settle leaves the counting to the last text, if the last is one.
func settle(mentions []kargo.Mention) {
	if len(mentions) == 0 || mentions[len(mentions)-1].Text == "" {
		return
	}
	for i := range mentions[:len(mentions)-1] {
		mentions[i].Counts = mentions[i].Counts && mentions[i].Text == ""
	}
}
