package kargo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"testing"
)

// A pattern of a package is compiled when it is used, and not at the start of every
// process. So a wrong one would show late: here all of them are compiled.
func TestPatternsOfPackagesAreLazyAndRight(t *testing.T) {
	patterns := 0
	for dir := range programImports(t) {
		if dir == "pattern" || dir == "test" || path.Dir(dir) == "test" || dir == "swarm/swarmtest" {
			continue
		}
		for _, file := range packageFiles(t, dir) {
			for _, call := range callsAtTheStart(file) {
				switch nameOfCall(call) {
				case "regexp.MustCompile":
					t.Errorf("%s: the pattern %s is compiled at the start of the program: use pattern.Lazy", dir, textOf(t, call.Args[0]))
				case "pattern.Lazy":
					patterns++
					if _, err := regexp.Compile(textOf(t, call.Args[0])); err != nil {
						t.Errorf("%s: %v", dir, err)
					}
				}
			}
		}
	}
	if patterns < 50 {
		t.Errorf("found only %d patterns in the program", patterns)
	}
}

// packageFiles parses the files of a package.
func packageFiles(t *testing.T, dir string) (parsed []*ast.File) {
	t.Helper()
	for _, name := range goFiles(t, dir) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	return parsed
}

// callsAtTheStart returns the calls in variables of a package, which the start of the
// program makes.
func callsAtTheStart(file *ast.File) (calls []*ast.CallExpr) {
	for _, declaration := range file.Decls {
		if variables, ok := declaration.(*ast.GenDecl); ok && variables.Tok == token.VAR {
			ast.Inspect(variables, func(node ast.Node) bool {
				if call, isCall := node.(*ast.CallExpr); isCall {
					calls = append(calls, call)
				}
				_, later := node.(*ast.FuncLit)
				return !later
			})
		}
	}
	return calls
}

// nameOfCall returns the function of another package that is called, as "regexp.Compile".
func nameOfCall(call *ast.CallExpr) string {
	if function, ok := call.Fun.(*ast.SelectorExpr); ok {
		if of, ok := function.X.(*ast.Ident); ok {
			return of.Name + "." + function.Sel.Name
		}
	}
	return ""
}

// textOf returns the value of a constant text: a literal, a constant of the same file, or
// a sum of these.
func textOf(t *testing.T, expression ast.Expr) string {
	t.Helper()
	switch part := expression.(type) {
	case *ast.BinaryExpr:
		return textOf(t, part.X) + textOf(t, part.Y)
	case *ast.Ident:
		if part.Obj != nil {
			if constant, ok := part.Obj.Decl.(*ast.ValueSpec); ok && len(constant.Values) == 1 {
				return textOf(t, constant.Values[0])
			}
		}
	case *ast.BasicLit:
		text, err := strconv.Unquote(part.Value)
		if err == nil {
			return text
		}
	}
	t.Fatalf("the text of a pattern is no constant of its file: %v", expression)
	return ""
}
