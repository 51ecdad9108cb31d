package merge

import (
	"fmt"
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"kargo"
	"kargo/pattern"
)

// unsetRead is an assignment that reads a variable without a value.
type unsetRead struct {
	assign *syntax.Assign
	name   string
}

// unsetReads returns the assignments of a file that read a variable which has neither a
// value nor a default. A password hash reads none: mangledHashes reports it.
func unsetReads(src source, values kargo.Environment) []unsetRead {
	var found []unsetRead
	eachAssignment(src.file, func(assign *syntax.Assign) {
		before, isHash := len(found), false
		syntax.Walk(assign.Value, func(node syntax.Node) bool {
			exp, ok := node.(*syntax.ParamExp)
			if !ok || exp.Param == nil {
				return true
			}
			isHash = isHash || hashStart().MatchString(src.text[exp.Pos().Offset():])
			read := unsetRead{assign, exp.Param.Value}
			plain := exp.Exp == nil && exp.Repl == nil && exp.Slice == nil && !exp.Length
			if _, set := values.Lookup(read.name); plain && !set && !slices.Contains(found[before:], read) {
				found = append(found, read)
			}
			return true
		})
		if isHash {
			found = found[:before]
		}
	})
	return found
}

// hashStart is how the password hashes of htpasswd and crypt begin.
var hashStart = pattern.Lazy(`^\$(?:apr1|2[aby]|[156])\$`)

// mangledHashes warns of password hashes whose dollars bash takes for variables:
// what is left is no hash, and no login works.
func mangledHashes(src source) kargo.Problems {
	var problems kargo.Problems
	eachAssignment(src.file, func(assign *syntax.Assign) {
		syntax.Walk(assign.Value, func(node syntax.Node) bool {
			if exp, ok := node.(*syntax.ParamExp); ok && hashStart().MatchString(src.text[exp.Pos().Offset():]) {
				problems = append(problems, kargo.Problem{
					Where: kargo.Place{File: src.name, Line: int(exp.Pos().Line())}, Warning: true,
					Message: fmt.Sprintf("%s looks like a password hash whose dollars are taken for variables", assign.Name.Value),
					Hint:    "put the hash in single quotes",
				})
				return false
			}
			return true
		})
	})
	return problems
}

// eachAssignment visits the assignments of a file that have a value.
func eachAssignment(file *syntax.File, visit func(*syntax.Assign)) {
	syntax.Walk(file, func(node syntax.Node) bool {
		assign, ok := node.(*syntax.Assign)
		if !ok || assign.Value == nil || assign.Name == nil {
			return true
		}
		visit(assign)
		return false
	})
}
