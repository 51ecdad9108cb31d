package compose

import (
	"cmp"
	"slices"
	"strings"

	"github.com/docker/cli/cli/compose/template"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
	"kargo/render/view"
)

// variableReference is what Docker's loader looks for in values: $$, $NAME,
// ${NAME}, and either with a default or a demand behind the name; or a lone
// dollar, which is an error.
var variableReference = pattern.Lazy(`\$(?:(\$)|(` + nameAndDefault + `)|\{(` + nameAndDefault + `)\}|)`)

const nameAndDefault = `[_a-zA-Z][_a-zA-Z0-9]*(?::?[-?][^}]*)?`

var variableName = pattern.Lazy(`^[_a-zA-Z][_a-zA-Z0-9]*`)

// checkVariables checks every reference before the loader does. The loader
// replaces a variable that is not set by nothing, without a message, and its
// errors have no line.
func checkVariables(s *reading) {
	for _, f := range s.files {
		if !f.Generated() {
			stored, _ := s.ws.File(f.Path)
			check := variableCheck{ws: s.ws, report: s.report, file: f, encrypted: stored.Secret}
			check.node(f.root, f.dict, nil)
		}
	}
}

// Hints about references.
const (
	plainDollar  = `write "$$" for a plain dollar`
	defaultInEnv = "give the variable its default in .env instead"
)

// variableCheck checks the references of one file.
type variableCheck struct {
	ws     view.View
	report *Report
	file   *File
	// encrypted: no text of the file is shown.
	encrypted bool
}

// node follows the nodes and their decoded values side by side: what a tag
// removed is not checked. The path is that of the node, with [] for an entry of a list.
func (c variableCheck) node(node *yaml.Node, value any, path []string) {
	switch node.Kind {
	case yaml.MappingNode:
		dict, _ := value.(map[string]any)
		for i := 0; i+1 < len(node.Content); i += 2 {
			if child, ok := dict[node.Content[i].Value]; ok {
				c.node(node.Content[i+1], child, append(path, node.Content[i].Value))
			}
		}
	case yaml.SequenceNode:
		list, _ := value.([]any)
		for i, item := range node.Content {
			if len(list) == len(node.Content) {
				c.node(item, list[i], append(path, "[]"))
			} else if item.Kind == yaml.ScalarNode && indexOf(list, item.Value) >= 0 {
				c.node(item, item.Value, append(path, "[]"))
			}
		}
	case yaml.ScalarNode:
		c.text(node)
		if !c.encrypted {
			c.emptied(node, path)
		}
	}
}

// text checks the references of one value.
func (c variableCheck) text(node *yaml.Node) {
	for _, match := range variableReference().FindAllStringSubmatchIndex(node.Value, -1) {
		at := kargo.Place{File: c.file.Path, Line: node.Line}
		if node.Style&yaml.LiteralStyle != 0 {
			at.Line += 1 + strings.Count(node.Value[:match[0]], "\n")
		}
		switch {
		case match[2] >= 0: // $$ is a dollar
		case match[4] >= 0:
			c.reference(at, node.Value[match[4]:match[5]], false)
		case match[6] >= 0:
			c.reference(at, node.Value[match[6]:match[7]], true)
		case c.encrypted:
			c.report.Fail(at, plainDollar, "a dollar does not begin a reference to a variable")
		default:
			c.report.Fail(at, plainDollar, "%q is not a reference to a variable", firstWord(node.Value[match[0]:]))
		}
	}
}

// reference checks what follows the dollar: "NAME:-text".
func (c variableCheck) reference(at kargo.Place, expression string, braced bool) {
	name := variableName().FindString(expression)
	rest := expression[len(name):]
	c.file.readsDefaults = c.file.readsDefaults || c.ws.IsDefault(name)
	value, set := c.ws.Lookup(name)
	operator := strings.TrimLeft(rest, ":")
	if c.encrypted {
		c.hiddenReference(at, rest, braced, set, value)
		return
	}
	if rest != "" && !braced {
		c.report.Warn(at, "write ${"+name+"}"+c.shown(name, rest),
			"what follows $%s is read as its default, to the end of the value", name)
	}
	if _, behind, dash := strings.Cut(rest, "-"); dash && operator[0] == '?' {
		c.report.Warn(at, "write the message without a dash",
			"the dash in the message makes Docker read ${%s%s} as the value %q, whatever %s is", name, c.shown(name, rest), c.shown(name, behind), name)
	}
	switch {
	case strings.Contains(rest, "${"):
		c.report.Fail(at, defaultInEnv,
			"nested defaults are not supported: ${%s%s", name, c.shown(name, rest))
	case rest == "":
		if !set {
			c.report.Warn(at, "", "%s is not set and counts as empty", name)
		}
	case isMissing(rest, set, value):
		c.report.Fail(at, "", "%s is required: %s", name, cmp.Or(operator[1:], "set it in .env"))
	case readsVariable(operator[1:]):
		c.report.Warn(at, defaultInEnv,
			"the default of %s is taken as it is: Docker does not replace the variable in it", name)
	}
}

// hiddenReference checks a reference in an encrypted file. Nothing of it is shown: what
// follows a dollar there may be a part of a password.
func (c variableCheck) hiddenReference(at kargo.Place, rest string, braced, set bool, value string) {
	switch {
	case rest != "" && !braced:
		c.report.Warn(at, plainDollar, "what follows a variable is read as its default, to the end of the value")
	case strings.Contains(rest, "${"):
		c.report.Fail(at, defaultInEnv, "nested defaults are not supported")
	case rest == "" && !set:
		c.report.Warn(at, plainDollar, "a variable is not set and counts as empty")
	case isMissing(rest, set, value):
		c.report.Fail(at, "set it in .env", "a variable is required that is not set")
	}
}

// isMissing reports whether a reference requires a variable that has no value. rest is what
// follows the name: "?message" or ":?message".
func isMissing(rest string, set bool, value string) bool {
	return strings.HasPrefix(rest, "?") && !set || strings.HasPrefix(rest, ":?") && value == ""
}

// shown returns the text after the name of a variable, for a message. If the
// name is that of a secret, it returns nothing of the text.
func (c variableCheck) shown(name, rest string) string {
	if rest == "" || !c.ws.Hides(name) {
		return rest
	}
	return "…"
}

// hash is how password hashes of crypt and htpasswd begin: their dollars are no
// references.
var hash = pattern.Lazy(`^\$(?:apr1|2[abxy]?|[1-9][a-z]*|y|argon2[a-z]*)\$`)

// readsVariable reports whether a default seems to read a variable.
func readsVariable(text string) bool {
	return !hash().MatchString(text) && slices.ContainsFunc(variableReference().FindAllStringSubmatch(text, -1), func(match []string) bool {
		return variableName().MatchString(match[2])
	})
}

// firstWord returns the start of a text, for a message.
func firstWord(text string) string {
	if i := strings.IndexAny(text, " \t\n"); i > 0 {
		text = text[:i]
	}
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return text
}

// variablesIn returns the variables that a value, or any value in it, reads.
func variablesIn(node *yaml.Node) []string {
	var names []string
	seen := map[*yaml.Node]bool{} // an alias counts once: aliases of aliases would grow without end
	var visit func(node *yaml.Node)
	visit = func(node *yaml.Node) {
		if node = resolve(node); seen[node] {
			return
		}
		seen[node] = true
		if node.Kind == yaml.ScalarNode {
			for _, match := range variableReference().FindAllStringSubmatch(node.Value, -1) {
				if name := variableName().FindString(match[2] + match[3]); name != "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		for _, inner := range node.Content {
			visit(inner)
		}
	}
	visit(node)
	return names
}

// substitute replaces the variables of a text of a compose file. It returns the
// text as it is where the loader would refuse it.
func substitute(text string, env template.Mapping) string {
	if !strings.Contains(text, "$") {
		return text // most texts; the loader's pattern takes long to find nothing
	}
	if substituted, err := template.Substitute(text, env); err == nil {
		return substituted
	}
	return text
}

// isTrue reads a boolean of a compose file, variables replaced.
func isTrue(value any, env template.Mapping) bool {
	switch value := value.(type) {
	case bool:
		return value
	case string:
		text, err := template.Substitute(value, env)
		return err == nil && slices.Contains([]string{"y", "yes", "true", "on"}, strings.ToLower(text))
	}
	return false
}
