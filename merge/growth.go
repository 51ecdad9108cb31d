package merge

import (
	"maps"
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// fits reports whether a statement may run: whether its results stay within the
// limits. A value that is too long must not be made at all.
func (b *bash) fits(file string, stmt *syntax.Stmt) bool {
	if b.env.full {
		return false
	}
	b.statements++
	if b.statements > maxStatements || b.estimate(stmt) > 8*maxValue {
		names := append(slices.Sorted(maps.Keys(assignedNames(stmt))), "the statement")
		b.env.overflow(file, int(stmt.Pos().Line()), names[0])
		return false
	}
	return true
}

// estimate returns an upper bound for the bytes that the expansions of a node can
// make: the text and the variables it reads, multiplied where a replacement or a
// format can repeat them.
func (b *bash) estimate(node syntax.Node) int {
	const enough = 1 << 30 // keeps products of estimates within an int
	sum := 0
	syntax.Walk(node, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Lit:
			sum += len(node.Value)
		case *syntax.SglQuoted:
			sum += len(node.Value)
		case *syntax.ArithmExp:
			sum += 20 // a number
		case *syntax.ParamExp:
			length := 0
			if node.Param != nil {
				length = len(b.env.values[node.Param.Value])
			}
			if node.Repl != nil && node.Repl.With != nil {
				sum += (length + 1) * (1 + b.estimate(node.Repl.With))
				return false
			}
			sum += 4 * length // ${x@Q} and similar ones lengthen a value
		case *syntax.CallExpr:
			if len(node.Args) > 1 && node.Args[0].Lit() == "printf" {
				arguments := 1
				for _, word := range node.Args[2:] {
					arguments += b.estimate(word)
				}
				sum += b.estimate(node.Args[1]) * arguments
			}
		}
		sum = min(sum, enough)
		return true
	})
	return min(sum, enough)
}
