package render

import (
	"cmp"
	"regexp"
	"strings"

	"kargo"

	"gopkg.in/yaml.v3"
)

// variableReference is what Docker's loader looks for in values: $$, $NAME, ${NAME}
// and either with a default or a demand behind it; or a lone dollar, which is
// an error.
var variableReference = func() *regexp.Regexp {
	const name = `[_a-zA-Z][_a-zA-Z0-9]*(?::?[-?][^}]*)?`
	return regexp.MustCompile(`\$(?:(\$)|(` + name + `)|\{(` + name + `)\}|)`)
}()

var variableName = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*`)

// checkVariables looks at every reference before the loader does: it would
// leave nothing for a variable that is not set and say nothing, and its errors
// have no line.
func (w *work) checkVariables() {
	for _, l := range w.layers {
		if !l.generated() {
			w.checkNode(l, l.root, l.dict)
		}
	}
}

// checkNode follows the nodes and what became of them side by side: what a tag
// took away is not looked at.
func (w *work) checkNode(l *layer, node *yaml.Node, value any) {
	switch node.Kind {
	case yaml.MappingNode:
		dict, _ := value.(map[string]any)
		for i := 0; i+1 < len(node.Content); i += 2 {
			if child, ok := dict[node.Content[i].Value]; ok {
				w.checkNode(l, node.Content[i+1], child)
			}
		}
	case yaml.SequenceNode:
		list, _ := value.([]any)
		for i, item := range node.Content {
			if len(list) == len(node.Content) {
				w.checkNode(l, item, list[i])
			} else if item.Kind == yaml.ScalarNode && indexOf(list, item.Value) >= 0 {
				w.checkNode(l, item, item.Value)
			}
		}
	case yaml.ScalarNode:
		w.checkText(l, node)
	}
}

// checkText looks at the references of one value.
func (w *work) checkText(l *layer, node *yaml.Node) {
	for _, match := range variableReference.FindAllStringSubmatchIndex(node.Value, -1) {
		at := kargo.Place{File: l.path, Line: node.Line}
		if node.Style&yaml.LiteralStyle != 0 {
			at.Line += 1 + strings.Count(node.Value[:match[0]], "\n")
		}
		switch {
		case match[2] >= 0: // $$ is a dollar
		case match[4] >= 0:
			w.checkReference(l, at, node.Value[match[4]:match[5]], false)
		case match[6] >= 0:
			w.checkReference(l, at, node.Value[match[6]:match[7]], true)
		default:
			w.fail(at, `a dollar that is meant as one is written "$$"`,
				"%q is no reference to a variable", firstWord(node.Value[match[0]:]))
		}
	}
}

// checkReference looks at what stands after the dollar: "NAME:-text".
func (w *work) checkReference(l *layer, at kargo.Place, expression string, braced bool) {
	name := variableName.FindString(expression)
	rest := expression[len(name):]
	l.readsDefaults = l.readsDefaults || w.fromCatalogue(name)
	value, set := w.ws.Env.Lookup(name)
	operator := strings.TrimLeft(rest, ":")
	if rest != "" && !braced {
		w.warn(at, "write ${"+name+"}"+rest,
			"what follows $%s is read as its default, to the end of the value", name)
	}
	if _, behind, dash := strings.Cut(rest, "-"); dash && operator[0] == '?' {
		w.warn(at, "write the message without a dash",
			"the dash in the message makes Docker read ${%s} as the value %q, whatever %s is", expression, behind, name)
	}
	switch {
	case strings.Contains(rest, "$"):
		w.fail(at, "give the variable its default in .env instead",
			"nested defaults are not understood: %s", expression)
	case rest == "":
		if !set {
			w.warn(at, "", "%s is not set and leaves nothing", name)
		}
	case operator[0] == '?' && (!set || rest[0] == ':' && value == ""):
		w.fail(at, "", "%s is required: %s", name, cmp.Or(operator[1:], "set it in .env"))
	}
}

// firstWord is the start of a text, for a message.
func firstWord(text string) string {
	if i := strings.IndexAny(text, " \t\n"); i > 0 {
		text = text[:i]
	}
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return text
}
