package merge

import (
	"fmt"
	"strings"

	"github.com/joho/godotenv"
	"mvdan.cc/sh/v3/syntax"

	"kargo"
	"kargo/pattern"
)

var plainReference = pattern.Lazy(`^\$(?:[A-Z_][A-Z0-9_]*|\{[A-Z_][A-Z0-9_]*\})$`)

// assignment is one NAME=value as its file has it.
type assignment struct {
	name string
	text string // "NAME=value", quotes and references as written
	refs map[string]int
	size int // of the value in bytes, apart from its references
	file string
	line int
}

// plainAssignments returns the assignments of all files. It reports whether every
// statement is an assignment that godotenv and bash read alike. The syntax tree
// decides, not the text, since godotenv misreads some texts without an error.
func plainAssignments(base []variable, sources []source) ([]assignment, bool) {
	known := map[string]bool{}
	for _, v := range base {
		if strings.ContainsAny(v.value, "'\\\r\n") {
			return nil, false
		}
		known[v.name] = true
	}
	var assignments []assignment
	for _, src := range sources {
		for _, stmt := range src.file.Stmts {
			assigns, ok := assignsOf(stmt)
			if !ok {
				return nil, false
			}
			for _, assign := range assigns {
				a, ok := src.plain(assign, known)
				if !ok {
					return nil, false
				}
				assignments = append(assignments, a)
				known[a.name] = true
			}
		}
	}
	return assignments, true
}

// assignsOf returns the assignments of a statement that consists of nothing else,
// except for a leading "export".
func assignsOf(stmt *syntax.Stmt) ([]*syntax.Assign, bool) {
	if stmt.Negated || stmt.Background || stmt.Coprocess || stmt.Disown || len(stmt.Redirs) > 0 {
		return nil, false
	}
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		return cmd.Assigns, len(cmd.Args) == 0
	case *syntax.DeclClause:
		return cmd.Args, cmd.Variant.Value == "export"
	}
	return nil, false
}

// plain returns one assignment, and reports whether both readers agree on it.
func (src source) plain(assign *syntax.Assign, known map[string]bool) (assignment, bool) {
	if assign.Naked || assign.Append || assign.Index != nil || assign.Array != nil || assign.Name == nil {
		return assignment{}, false
	}
	a := assignment{
		name: assign.Name.Value,
		text: src.text[assign.Pos().Offset():assign.End().Offset()],
		refs: map[string]int{},
		file: src.name,
		line: int(assign.Pos().Line()),
	}
	if assign.Value == nil {
		return a, true
	}
	// The readers differ in backslashes, and godotenv removes unusual blanks at
	// the ends of unquoted values.
	if strings.ContainsAny(a.text, "\\\v\f\u0085\u00a0") {
		return a, false
	}
	return a, src.plainValue(&a, assign.Value.Parts, known)
}

// plainValue accepts an unquoted, a 'single-quoted' or a "double-quoted" value,
// the first and the last with $NAME and ${NAME} of variables assigned before.
func (src source) plainValue(a *assignment, parts []syntax.WordPart, known map[string]bool) bool {
	if len(parts) == 1 {
		switch part := parts[0].(type) {
		case *syntax.SglQuoted:
			a.size = len(part.Value)
			return !part.Dollar
		case *syntax.DblQuoted:
			return !part.Dollar && src.plainParts(a, part.Parts, known, "$`")
		}
	}
	return src.plainParts(a, parts, known, "$`~")
}

// plainParts accepts text without the given characters, and references to
// variables in capitals, which godotenv supports.
func (src source) plainParts(a *assignment, parts []syntax.WordPart, known map[string]bool, special string) bool {
	afterShort := false
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			// godotenv counts the brace of `$NAME}` as part of the reference.
			if strings.ContainsAny(part.Value, special) || afterShort && strings.HasPrefix(part.Value, "}") {
				return false
			}
			a.size += len(part.Value)
			afterShort = false
		case *syntax.ParamExp:
			text := src.text[part.Pos().Offset():part.End().Offset()]
			name := strings.Trim(text, "${}")
			if !plainReference().MatchString(text) || !known[name] {
				return false
			}
			a.refs[name]++
			afterShort = part.Short
		default:
			return false
		}
	}
	return true
}

// readDotenv reads all assignments as one text, so that references reach across
// files in the same order as in bash.
func readDotenv(env *environment, base []variable, assignments []assignment) error {
	if !env.fits(base, assignments) {
		return nil
	}
	var text strings.Builder
	for _, v := range base {
		fmt.Fprintf(&text, "%s='%s'\n", v.name, v.value)
	}
	for _, a := range assignments {
		fmt.Fprintln(&text, a.text)
	}
	values, err := godotenv.Unmarshal(text.String())
	if err != nil {
		// The syntax tree was plain, so the workspace is not at fault.
		return kargo.Errorf(kargo.Internal, "read the environment: %w", err)
	}
	for _, a := range assignments {
		env.assign(a.name, values[a.name], a.file, a.line)
	}
	for _, v := range base {
		env.values[v.name] = values[v.name]
	}
	return nil
}

// fits reports whether the values stay within the limits, before any of them is
// made.
func (env *environment) fits(base []variable, assignments []assignment) bool {
	sizes := map[string]int{}
	for _, v := range base {
		sizes[v.name] = len(v.value)
	}
	total := 0
	for _, a := range assignments {
		size := a.size
		for name, count := range a.refs {
			size += count * sizes[name]
		}
		sizes[a.name] = size
		total += size
		if size > maxValue || total > maxTotal {
			env.overflow(a.file, a.line, a.name)
			return false
		}
	}
	return true
}
