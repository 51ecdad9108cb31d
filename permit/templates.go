package permit

import (
	"slices"
	"text/template/parse"

	"kargo"
)

// A config or secret can be a template, which the daemon of each node completes in its own
// memory. A few words of a template can become gigabytes there, or loop: what a workspace
// may write is what cannot.

// mostCalls is how many times a template may use a value.
const mostCalls = 256

// plainCalls are the functions that make nothing longer than what they are given.
var plainCalls = []string{"env", "secret", "config", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "len", "index"}

// templateFindings returns what the template of a config or secret asks for.
func templateFindings(made kargo.Config) []finding {
	if made.Driver == "" || isPlainTemplate(string(made.Data)) {
		return nil
	}
	return []finding{{subject: made.Key().String(), property: []string{string(made.Kind()) + "s", made.Name}, rule: ruleTemplates,
		value: computed, what: "is a template that does more than take values: it could loop or grow on the node"}}
}

// isPlainTemplate reports whether a template only takes values, and decides between texts.
// One that cannot be read is not plain.
func isPlainTemplate(text string) bool {
	tree := parse.New("config")
	tree.Mode = parse.SkipFuncCheck
	defined := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "", "", defined); err != nil || len(defined) > 1 {
		return false
	}
	calls := 0
	return tree.Root == nil || isPlainNode(tree.Root, &calls)
}

func isPlainNode(node parse.Node, calls *int) bool {
	switch n := node.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.DotNode, *parse.FieldNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode, *parse.NilNode:
		return true
	case *parse.ListNode:
		return n == nil || !slices.ContainsFunc(n.Nodes, func(inner parse.Node) bool { return !isPlainNode(inner, calls) })
	case *parse.ActionNode:
		return isPlainNode(n.Pipe, calls)
	case *parse.IfNode:
		return isPlainBranch(n.BranchNode, calls)
	case *parse.WithNode:
		return isPlainBranch(n.BranchNode, calls)
	case *parse.PipeNode:
		return len(n.Decl) == 0 && !slices.ContainsFunc(n.Cmds, func(inner *parse.CommandNode) bool { return !isPlainNode(inner, calls) })
	case *parse.CommandNode:
		*calls++
		return *calls <= mostCalls && !slices.ContainsFunc(n.Args, func(inner parse.Node) bool { return !isPlainNode(inner, calls) })
	case *parse.ChainNode:
		return isPlainNode(n.Node, calls)
	case *parse.IdentifierNode:
		return slices.Contains(plainCalls, n.Ident)
	}
	return false
}

func isPlainBranch(n parse.BranchNode, calls *int) bool {
	return isPlainNode(n.Pipe, calls) && isPlainNode(n.List, calls) && isPlainNode(n.ElseList, calls)
}
