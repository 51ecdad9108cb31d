package merge

import (
	"maps"
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// maxSteps bounds what the patterns of all statements take together. A pattern takes a
// step for each character of it and of the value, multiplied: about 50 ns.
const maxSteps = 100_000_000

// fits reports whether a statement may run: whether its results and what they take
// stay within the limits. A value that is too long must not be made at all.
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
	if b.steps += b.stepsOf(stmt); b.steps > maxSteps {
		b.env.exhausted(file, int(stmt.Pos().Line()))
		return false
	}
	return true
}

// stepsOf returns an upper bound for the steps of the patterns in a statement.
func (b *bash) stepsOf(stmt *syntax.Stmt) int {
	steps := 0
	syntax.Walk(stmt, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.ParamExp:
			pattern := 0
			switch {
			case node.Param == nil:
			case node.Repl != nil:
				pattern = stepsOfMatch
				if node.Repl.Orig != nil { // ${x/} has none
					pattern += b.estimate(node.Repl.Orig)
				}
			case node.Exp != nil && node.Exp.Word != nil:
				pattern = 1 + b.estimate(node.Exp.Word)
			case node.Slice != nil, node.Length:
				pattern = 1 // characters are counted
			}
			if pattern > 0 {
				steps += (1 + len(b.env.values[node.Param.Value])) * pattern
			}
		case *syntax.BinaryTest:
			if taken := (1 + b.estimate(node.X)) * (1 + b.estimate(node.Y)); node.Op == syntax.TsReMatch {
				steps += taken * mostRepetitions // {1000} repeats what is before it, and may be nested
			} else if slices.Contains(patternTests, node.Op) {
				steps += taken
			}
		}
		steps = min(steps, maxSteps+1)
		return true
	})
	return steps
}

// patternTests are the tests in [[ ]] that compare with a pattern.
var patternTests = []syntax.BinTestOperator{syntax.TsMatch, syntax.TsMatchShort, syntax.TsNoMatch}

// stepsOfMatch is what a replacement takes beside the pattern: each character of the
// value may be a match.
const stepsOfMatch = 60

// mostRepetitions is how often Go's regular expressions repeat a part at most, in all
// nested repetitions together.
const mostRepetitions = 1000

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
