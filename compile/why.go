package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kargo"
	"kargo/spelling"
)

// Why returns where the values come from that a person names: a variable, a file of the
// merged configuration, a stack, a service, or a field of one. If deep, every value
// below a stack or a service has an explanation of its own. The mask hides what is
// secret. The error is Invalid if nothing has that name.
func (d Desired) Why(what string, deep bool, mask kargo.Mask) ([]kargo.Explanation, error) {
	name := strings.TrimPrefix(what, ".kargo/")
	if variables := d.explainNamed(what, mask); len(variables) > 0 {
		return variables, nil
	}
	if file, exists := d.Workspace.Files[name]; exists {
		return []kargo.Explanation{d.explainFile(name, file)}, nil
	}
	var values []kargo.Explanation
	if d.Provenance != nil {
		for _, trail := range d.Provenance.Why(what, deep) {
			values = append(values, d.explainTrail(trail, deep, mask)...)
		}
	}
	if len(values) > 0 {
		return values, nil
	}
	if err := d.Problems.Err(); err != nil {
		return nil, fmt.Errorf("nothing is known of %q as long as the workspace is wrong: %w", what, err)
	}
	names := slices.AppendSeq(d.Workspace.StackNames(), maps.Keys(d.Workspace.Env))
	return nil, &kargo.Error{
		Fault: kargo.Invalid, Hint: spelling.DidYouMean(what, names),
		Err: fmt.Errorf("there is no variable, file, stack or service %q; see `kargo env` and `kargo info`", what),
	}
}

// explainNamed explains a variable: as the workspace has it, and as each stack directory
// does that assigns it, too.
func (d Desired) explainNamed(name string, mask kargo.Mask) (variables []kargo.Explanation) {
	if _, declared := d.Workspace.Env[name]; declared {
		variables = append(variables, explainVariable(d.Workspace, name, mask))
	}
	for _, directory := range d.Workspace.Directories {
		if _, declared := directory.Env[name]; declared {
			e := explainVariable(d.Workspace.For(directory.Name), name, mask)
			e.Stack = directory.Name
			variables = append(variables, e)
		}
	}
	return variables
}

// explainVariable explains a variable of a workspace as one stack sees it. Of its
// assignments the last one counts.
func explainVariable(workspace kargo.Workspace, name string, mask kargo.Mask) kargo.Explanation {
	e := kargo.Explanation{Variable: name, Value: mask.Value(name, workspace.Env[name])}
	places := workspace.Assignments[name]
	for i, place := range places {
		e.Origins = append(e.Origins, kargo.Origin{Layer: place.EnvLayer(), Where: place, Counts: i == len(places)-1})
	}
	if len(places) == 0 {
		e.Origins = []kargo.Origin{{Layer: kargo.KargoSets, Counts: true}}
	}
	return e
}

// explainFile explains a file of the merged configuration: the highest layer that has it
// counts.
func (d Desired) explainFile(name string, file kargo.File) kargo.Explanation {
	e := kargo.Explanation{File: name}
	for _, layer := range file.Over {
		e.Origins = append(e.Origins, kargo.Origin{Layer: layer})
	}
	origin := kargo.Origin{Layer: file.Origin, Counts: true}
	if file.Origin == kargo.OriginRendered {
		origin.Layer, origin.Template = d.Workspace.Layer(name), file.Source
	}
	e.Origins = append(e.Origins, origin)
	return e
}

// explainTrail explains a field of a compose file; if deep, the values below it in its
// place, where there are any.
func (d Desired) explainTrail(trail kargo.Trail, deep bool, mask kargo.Mask) []kargo.Explanation {
	if !deep || len(trail.Parts) == 0 {
		return []kargo.Explanation{d.explainField(trail, mask)}
	}
	var values []kargo.Explanation
	for _, part := range trail.Parts {
		values = append(values, d.explainTrail(part, deep, mask)...)
	}
	return values
}

func (d Desired) explainField(trail kargo.Trail, mask kargo.Mask) kargo.Explanation {
	e := kargo.Explanation{Stack: trail.Stack, Path: trail.Path}
	if len(trail.Keys) > 1 && trail.Keys[0] == "services" {
		e.Service, e.Field = trail.Keys[1], strings.Join(trail.Keys[2:], ".")
	}
	for _, mention := range trail.Mentions {
		e.Origins = append(e.Origins, originOf(mention, trail.Key(), mask))
	}
	for _, part := range trail.Parts {
		for _, mention := range part.Mentions {
			if mention.Counts { // a person asks for the others by name
				origin := originOf(mention, part.Key(), mask)
				origin.Part = part.Key()
				e.Origins = append(e.Origins, origin)
			}
		}
	}
	if len(trail.Parts) == 0 {
		e.Variables = d.explainVariables(trail, mask)
	}
	return e
}

func originOf(mention kargo.Mention, key string, mask kargo.Mask) kargo.Origin {
	origin := kargo.Origin{Layer: mention.Layer, Where: mention.Where, Counts: mention.Counts}
	if mention.Text != "" {
		origin.Text, origin.Value = mask.Value(key, mention.Text), mask.Value(key, mention.Value)
	}
	if mention.Value == mention.Text {
		origin.Value = origin.Text
	}
	before := ""
	for _, entry := range mention.Entries {
		origin.Entries = append(origin.Entries, mask.After(before, entry)) // perhaps the value of a flag
		before = entry
	}
	return origin
}

// explainVariables explains the variables of a single value, each once.
func (d Desired) explainVariables(trail kargo.Trail, mask kargo.Mask) (variables []kargo.Explanation) {
	said := map[string]bool{}
	var workspace kargo.Workspace
	for _, mention := range trail.Mentions {
		for _, name := range mention.Variables {
			if !mention.Counts || said[name] {
				continue
			}
			if said[name] = true; workspace.Env == nil {
				workspace = d.Workspace.For(trail.Stack)
			}
			if _, declared := workspace.Env[name]; declared {
				variables = append(variables, explainVariable(workspace, name, mask))
			}
		}
	}
	return variables
}
