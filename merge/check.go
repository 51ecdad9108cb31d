package merge

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"kargo"
	"kargo/pattern"
)

const hintData = "environment files are data and run no programs, unless the operator allows it: --allow-hooks"

// harmless are the builtins that an environment file may call. Others have
// effects beyond the variables.
var harmless = []string{":", "true", "false", "set", "unset", "source", ".", "[", "test"}

// printing are the commands that a command substitution may call: they only
// print text. expr is not a builtin; bash.go runs the one form of it that old
// environments have.
var printing = []string{":", "true", "false", "echo", "printf", "expr"}

// dynamic are variables that bash computes at every use, machine those that it
// takes from the machine. Either would make the environment depend on more than
// its files. Those of the machine are permitted once a file assigned them.
var (
	dynamic = pattern.Lazy(`^(?:\$|!|-|0|_|PWD|OLDPWD|PPID|S?RANDOM|SECONDS|EPOCHSECONDS|EPOCHREALTIME|LINENO|DIRSTACK|IFS|OPTIND|BASH.*)$`)
	machine = pattern.Lazy(`^(?:HOME|HOSTNAME|HOSTTYPE|MACHTYPE|OSTYPE)$`)
)

// forbidden returns what an environment file may not do. It is called before
// anything is evaluated, so that a file is refused as a whole or not at all.
func forbidden(src source) kargo.Problems {
	c := checker{name: src.name, assigned: assignedNames(src.file)}
	for _, stmt := range src.file.Stmts {
		c.stmt(stmt, harmless)
	}
	return c.problems
}

type checker struct {
	name     string
	assigned map[string]bool
	problems kargo.Problems
}

func (c *checker) report(node syntax.Node, message, hint string) {
	c.problems = append(c.problems, kargo.Problem{
		Where: kargo.Place{File: c.name, Line: int(node.Pos().Line())}, Message: message, Hint: hint,
	})
}

// stmt checks one statement; commands names the builtins allowed in it.
func (c *checker) stmt(stmt *syntax.Stmt, commands []string) {
	if stmt.Background {
		c.report(stmt, "would run in the background", `a value with "&" needs quotes`)
		return
	}
	for _, redirect := range stmt.Redirs {
		c.report(redirect, "would redirect to or from a file", `a value with "<" or ">" needs quotes`)
	}
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		c.call(cmd, commands)
	case *syntax.DeclClause:
		c.declaration(cmd)
	case *syntax.Block:
		c.stmts(cmd.Stmts, commands)
	case *syntax.TestClause:
		c.words(cmd)
	case *syntax.IfClause:
		for clause := cmd; clause != nil; clause = clause.Else {
			c.stmts(clause.Cond, commands)
			c.stmts(clause.Then, commands)
		}
	case *syntax.CaseClause:
		c.words(cmd.Word)
		for _, item := range cmd.Items {
			for _, pattern := range item.Patterns {
				c.words(pattern)
			}
			c.stmts(item.Stmts, commands)
		}
	case *syntax.BinaryCmd:
		if cmd.Op != syntax.AndStmt && cmd.Op != syntax.OrStmt {
			c.report(cmd, "would run programs in a pipe", `a value with "|" needs quotes`)
			return
		}
		c.stmt(cmd.X, commands)
		c.stmt(cmd.Y, commands)
	case *syntax.WhileClause, *syntax.ForClause:
		c.report(stmt, "loops are not allowed in an environment file", "write the assignments out")
	case nil:
	default:
		c.report(stmt, "is not allowed in an environment file", hintData)
	}
}

func (c *checker) stmts(stmts []*syntax.Stmt, commands []string) {
	for _, stmt := range stmts {
		c.stmt(stmt, commands)
	}
}

// call checks a command, or assignments without one.
func (c *checker) call(call *syntax.CallExpr, commands []string) {
	for _, assign := range call.Assigns {
		c.assign(assign)
	}
	for _, word := range call.Args {
		c.words(word)
	}
	if len(call.Args) == 0 {
		return
	}
	name := call.Args[0].Lit()
	switch {
	case c.meantAssignment(call):
	case name == "":
		c.report(call, "would run a program named by a variable", hintData)
	case len(call.Assigns) > 0:
		assign := call.Assigns[len(call.Assigns)-1]
		c.report(call, fmt.Sprintf("would run the program %q", name),
			fmt.Sprintf(`a value with blanks needs quotes: %s="…"`, assign.Name.Value))
	case !slices.Contains(commands, name):
		c.report(call, fmt.Sprintf("would run the program %q", name), hintData)
	case name == "printf" && (len(call.Args) < 2 || wideFormat().MatchString(wordText(call.Args[1]))):
		c.report(call, "printf with a wide or computed field is not allowed in an environment file", hintData)
	}
}

// meantAssignment reports a command that was meant to be an assignment: bash runs a
// program if the name is none that a variable can have, or if a blank follows it.
func (c *checker) meantAssignment(call *syntax.CallExpr) bool {
	first := wordText(call.Args[0])
	if name, _, assigns := strings.Cut(first, "="); assigns && name != "" && !strings.Contains(name, "$") {
		c.report(call, fmt.Sprintf("%q cannot be the name of a variable", name), hintName(name))
		return true
	}
	if name, colon := strings.CutSuffix(first, ":"); colon && syntax.ValidName(name) {
		c.report(call, fmt.Sprintf("would run the program %q", first), fmt.Sprintf(`an environment file has no "NAME: value": write %s="…"`, name))
		return true
	}
	if len(call.Args) > 1 && syntax.ValidName(first) && strings.HasPrefix(wordText(call.Args[1]), "=") {
		c.report(call, fmt.Sprintf("would run the program %q", first), fmt.Sprintf(`write %s="…", without a blank before the "="`, first))
		return true
	}
	return false
}

// hintName says what the name of a variable may be, with one that resembles a text.
func hintName(text string) string {
	const hint = "a name has letters, digits and _, and begins with no digit"
	name := strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, text)
	switch {
	case strings.Trim(name, "_") == "":
		return hint
	case '0' <= name[0] && name[0] <= '9':
		name = "_" + name
	}
	return hint + ": " + name
}

// wideFormat is a printf format that can print a long text from a short one, or
// that is computed. A leading dash is an option, such as -v.
var wideFormat = pattern.Lazy(`%[^a-zA-Z%]*[*0-9]|\$|^-`)

// declaration checks export, declare, typeset and readonly.
func (c *checker) declaration(decl *syntax.DeclClause) {
	if variant := decl.Variant.Value; variant == "local" || variant == "nameref" {
		c.report(decl, variant+" is not allowed in an environment file", "use export")
		return
	}
	for _, arg := range decl.Args {
		if arg.Name == nil { // an option, or a name that is computed
			if option := arg.Value.Lit(); strings.Trim(option, "-+xrg") != "" || option == "" {
				c.report(arg, fmt.Sprintf("%s %s is not allowed in an environment file", decl.Variant.Value, option), "use export")
			}
			continue
		}
		c.assign(arg)
		if arg.Value != nil && braceList().MatchString(unquoted(arg.Value)) {
			c.report(arg, fmt.Sprintf("bash makes several words of the braces in %s after %s", arg.Name.Value, decl.Variant.Value),
				"put the value in quotes")
		}
	}
	c.earlierInSame(decl)
}

// earlierInSame refuses a value that reads a variable which the same command assigns:
// for bash it still has the value from before.
func (c *checker) earlierInSame(decl *syntax.DeclClause) {
	earlier := map[string]bool{}
	for _, arg := range decl.Args {
		if arg.Name == nil { // an option
			continue
		}
		if name := firstRead(arg.Value, earlier); name != "" {
			c.report(arg, fmt.Sprintf("%s reads %s, which the same %s assigns: bash still takes the value from before",
				arg.Name.Value, name, decl.Variant.Value), "assign each on a line of its own")
		}
		if !arg.Naked {
			earlier[arg.Name.Value] = true
		}
	}
}

// firstRead returns the first of some variables that a word reads, or nothing.
func firstRead(word *syntax.Word, names map[string]bool) (name string) {
	if word == nil {
		return ""
	}
	syntax.Walk(word, func(node syntax.Node) bool {
		if exp, ok := node.(*syntax.ParamExp); ok && name == "" && exp.Param != nil && names[exp.Param.Value] {
			name = exp.Param.Value
		}
		return name == ""
	})
	return name
}

// braceList is what bash expands to several words behind export.
var braceList = pattern.Lazy(`\{[^{}]*,[^{}]*\}`)

// unquoted returns the text of a word outside of quotes. A dollar stands for each other
// part.
func unquoted(word *syntax.Word) string {
	var text strings.Builder
	for _, part := range word.Parts {
		if lit, ok := part.(*syntax.Lit); ok {
			text.WriteString(lit.Value)
		} else {
			text.WriteByte('$')
		}
	}
	return text.String()
}

// assign checks one assignment. Lists are refused: the environment of a program
// cannot hold one.
func (c *checker) assign(assign *syntax.Assign) {
	if assign.Array != nil || assign.Index != nil {
		c.report(assign, fmt.Sprintf("%s is a list, which cannot be exported", assign.Name.Value),
			fmt.Sprintf(`write the items in quotes: %s="a b"`, assign.Name.Value))
		return
	}
	if !syntax.ValidName(assign.Name.Value) {
		c.report(assign, fmt.Sprintf("%q cannot be the name of a variable", assign.Name.Value), "")
		return
	}
	if dynamic().MatchString(assign.Name.Value) {
		c.report(assign, assign.Name.Value+" is a variable of the shell itself", "choose another name")
	}
	if assign.Value == nil {
		return
	}
	c.home(assign, assign.Value)
	c.words(assign.Value)
}

// home refuses a value without quotes that begins with "~", also as the default of a
// variable.
func (c *checker) home(at syntax.Node, word *syntax.Word) {
	for i, part := range word.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			if i == 0 && (strings.HasPrefix(part.Value, "~") || strings.Contains(part.Value, ":~")) {
				c.report(at, `"~" is a home directory of the machine, not of the workspace`, "write the path out, or put the value in quotes")
			}
		case *syntax.ParamExp:
			if part.Exp != nil && part.Exp.Word != nil {
				c.home(at, part.Exp.Word)
			}
		}
	}
}

// words checks all expansions below a node, and the commands of command
// substitutions.
func (c *checker) words(node syntax.Node) {
	syntax.Walk(node, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.CmdSubst:
			c.stmts(node.Stmts, printing)
			return false
		case *syntax.ProcSubst:
			c.report(node, "would run a program", hintData)
			return false
		case *syntax.DblQuoted:
			quotesWithin(node.Parts, c.protecting)
		case *syntax.ParamExp:
			c.parameter(node)
		case *syntax.Lit:
			if braceRange().MatchString(node.Value) {
				c.report(node, "braces with a range are not allowed in an environment file", "put the value in quotes")
			}
		case *syntax.UnaryArithm:
			if node.Op == syntax.Inc || node.Op == syntax.Dec {
				c.report(node, "assigns inside an arithmetic expression", "write a plain assignment")
			}
		case *syntax.BinaryArithm:
			if assigning(node.Op) {
				c.report(node, "assigns inside an arithmetic expression", "write a plain assignment")
			}
		}
		return true
	})
}

// braceRange is what bash can expand to a million words.
var braceRange = pattern.Lazy(`\{[^{}]*\.\.[^{}]*\}`)

func assigning(op syntax.BinAritOperator) bool {
	return op >= syntax.AddAssgn && op <= syntax.ShrAssgn || op == syntax.Assgn
}

// parameter refuses expansions that name no variable, or a variable of the
// machine.
func (c *checker) parameter(exp *syntax.ParamExp) {
	switch {
	case exp.Param == nil:
		c.report(exp, "is not understood", "")
	case exp.Excl:
		c.report(exp, "names a variable by the value of another, which is not allowed in an environment file", "")
	case dynamic().MatchString(exp.Param.Value), machine().MatchString(exp.Param.Value) && !c.assigned[exp.Param.Value]:
		c.report(exp, fmt.Sprintf("reads %s, which belongs to the machine and not to the workspace", exp.Param.Value),
			"put a plain dollar in single quotes")
	}
}

// protecting refuses single quotes that are characters if they seem to protect something.
func (c *checker) protecting(quoted *syntax.SglQuoted) {
	if strings.ContainsAny(quoted.Value, "$`\\\"") {
		c.report(quoted, "single quotes inside of double quotes are a part of the value, and protect nothing",
			"leave out the single quotes, or the double quotes")
	}
}

// quotesWithin visits the single quotes in the defaults of variables inside of double
// quotes, such as "${A:-'word'}": bash takes them as characters there.
func quotesWithin(parts []syntax.WordPart, visit func(*syntax.SglQuoted)) {
	for _, part := range parts {
		exp, ok := part.(*syntax.ParamExp)
		if !ok || exp.Exp == nil || exp.Exp.Word == nil || exp.Exp.Op > syntax.AssignUnsetOrNull {
			continue
		}
		for _, inner := range exp.Exp.Word.Parts {
			if quoted, ok := inner.(*syntax.SglQuoted); ok {
				visit(quoted)
			}
		}
		quotesWithin(exp.Exp.Word.Parts, visit)
	}
}

// assignedNames returns the variables that a file assigns anywhere.
func assignedNames(node syntax.Node) map[string]bool {
	names := map[string]bool{}
	syntax.Walk(node, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Assign:
			if node.Name != nil && !node.Naked {
				names[node.Name.Value] = true
			}
		case *syntax.ParamExp:
			if node.Exp != nil && node.Param != nil &&
				(node.Exp.Op == syntax.AssignUnset || node.Exp.Op == syntax.AssignUnsetOrNull) {
				names[node.Param.Value] = true
			}
		case *syntax.CmdSubst:
			return false // assignments in a subshell have no effect outside
		}
		return true
	})
	return names
}

// wordText returns the text of a word without its quotes. Each part that is not
// text is replaced by a dollar.
func wordText(word *syntax.Word) string {
	var text strings.Builder
	var write func(parts []syntax.WordPart)
	write = func(parts []syntax.WordPart) {
		for _, part := range parts {
			switch part := part.(type) {
			case *syntax.Lit:
				text.WriteString(part.Value)
			case *syntax.SglQuoted:
				text.WriteString(part.Value)
			case *syntax.DblQuoted:
				write(part.Parts)
			default:
				text.WriteByte('$')
			}
		}
	}
	write(word.Parts)
	return text.String()
}
