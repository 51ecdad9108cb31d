package merge

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"kargo"
	"kargo/pattern"
)

// The .env of a stack directory is written for Docker Compose: a value ends with
// its line and needs no quotes. Such files come from elsewhere, so they are not
// read in bash's grammar, as the environment of the workspace is.

// readStackEnv reads the .env of a stack directory, if it has one.
func readStackEnv(ws kargo.Workspace, stack *kargo.StackDirectory) kargo.Problems {
	name := path.Join(stack.Path, envUser)
	file, exists := ws.Files[name]
	if !exists {
		return nil
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(file.Data), "\ufeff"), "\r\n", "\n")
	if problem, ok := checkText(name, text); !ok {
		return kargo.Problems{problem}
	}
	ws.Directories = []kargo.StackDirectory{*stack}
	r := stackEnvReader{file: name, text: text, line: 1, secret: file.Secret, outer: ws.For(stack.Name).Env, env: environment{
		values: kargo.Environment{}, lines: map[string]kargo.Place{}, assignments: map[string][]kargo.Place{},
	}}
	if file.Secret {
		r.env.secrecy.learn(name, file.HowOpened())
	}
	for r.text != "" && !r.env.full {
		r.statement()
	}
	stack.Env, stack.Lines, stack.Assignments = r.env.values, r.env.lines, r.env.assignments
	stack.SecretNames = slices.Sorted(maps.Keys(r.env.secrecy.secret))
	return r.env.problems
}

// stackEnvReader reads one file from its start to its end.
type stackEnvReader struct {
	file  string
	text  string // what is not read yet
	line  int    // where it begins
	outer kargo.Environment
	// secret is set where the file is encrypted.
	secret bool
	env    environment
}

// assignmentStart is how a line assigns a variable; without "=" it passes on a
// variable from outside.
var assignmentStart = pattern.Lazy(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(=[ \t]*|$)`)

// statement reads one line, or several where a quoted value has more.
func (r *stackEnvReader) statement() {
	line, rest, _ := strings.Cut(r.text, "\n")
	at := r.line
	trimmed := strings.TrimSpace(line)
	match := assignmentStart().FindStringSubmatch(trimmed)
	switch {
	case trimmed == "" || trimmed[0] == '#' || match != nil && match[2] == "":
		r.skip(rest)
		return
	case match == nil:
		r.fail(at, "write NAME=value; a comment begins with #", "is not an assignment of a variable")
		r.skip(rest)
		return
	}
	name := match[1]
	start := strings.Index(line, trimmed) + len(match[0])
	value := r.text[start:]
	switch {
	case strings.HasPrefix(value, "'"), strings.HasPrefix(value, `"`):
		r.quoted(name, value, at)
	default:
		written := line[strings.Index(line, "=")+1:] // with the blanks before it
		if comment := inlineComment().FindStringIndex(written); comment != nil {
			written = written[:comment[0]]
		}
		r.assign(name, r.expand(strings.TrimSpace(written), at), at)
		r.skip(rest)
	}
}

// inlineComment is the start of a comment behind a value without quotes.
var inlineComment = pattern.Lazy(`[ \t]#`)

// skip goes on with the rest of the text.
func (r *stackEnvReader) skip(rest string) {
	r.line += strings.Count(r.text[:len(r.text)-len(rest)], "\n")
	r.text = rest
}

// quoted reads a value in quotes, which may have several lines. In single quotes
// everything is as written.
func (r *stackEnvReader) quoted(name, text string, at int) {
	quote := text[0]
	end := 1
	for end < len(text) && text[end] != quote {
		if text[end] == '\\' && quote == '"' {
			end++
		}
		end++
	}
	if end >= len(text) {
		r.fail(at, "close the quotes; a quote inside needs other quotes around the value", "the value of %s has no end", name)
		r.skip("")
		return
	}
	value := text[1:end]
	behind, rest, _ := strings.Cut(text[end+1:], "\n")
	if behind = strings.TrimSpace(behind); behind != "" && behind[0] != '#' {
		r.fail(at, "put the whole value in quotes", "%s has text behind the quotes of its value", name)
	}
	if quote == '"' {
		value = r.expand(escapes.Replace(value), at)
	}
	r.assign(name, value, at)
	r.skip(rest)
}

// escapes of values in double quotes. A dollar behind a backslash is no reference.
var escapes = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\r`, "\r", `\t`, "\t", `\$`, "$$")

func (r *stackEnvReader) assign(name, value string, at int) { r.env.assign(name, value, r.file, at) }

// maxNested is how deep a default may have references in it.
const maxNested = 16

// stackReference is what begins a reference: $$, $NAME, or ${.
var stackReference = pattern.Lazy(`\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|(\{))`)

// braced is what stands in the braces of a reference: NAME, and behind it a default, an
// alternative or a demand.
var braced = pattern.Lazy(`(?s)^([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])(.*))?$`)

// expand replaces the variables of a value; the dollars of a password hash are
// none. It stops where the value becomes too long: assign reports that.
func (r *stackEnvReader) expand(value string, at int) string {
	if hashStart().MatchString(value) {
		return value
	}
	return r.expandNested(value, at, 0)
}

func (r *stackEnvReader) expandNested(value string, at, depth int) string {
	var out strings.Builder
	for out.Len() <= maxValue {
		match := stackReference().FindStringSubmatchIndex(value)
		if match == nil {
			out.WriteString(value)
			break
		}
		out.WriteString(value[:match[0]])
		behind := match[1]
		switch {
		case match[2] >= 0:
			out.WriteByte('$')
		case match[4] >= 0:
			out.WriteString(r.reference(value[match[4]:match[5]], "", "", at, depth))
		default:
			inside, length := inBraces(value[match[1]:])
			parts := braced().FindStringSubmatch(inside)
			if parts == nil {
				r.fail(at, "write ${NAME} or ${NAME:-default}; a plain dollar is written $$, or in single quotes", `"${" begins no reference to a variable`)
				return ""
			}
			out.WriteString(r.reference(parts[1], parts[2], parts[3], at, depth))
			behind += length
		}
		value = value[behind:]
	}
	return out.String()
}

// inBraces returns the text up to the brace that closes the one before it, and its
// length with that brace; nothing where none closes it.
func inBraces(text string) (inside string, length int) {
	open := 1
	for i := range len(text) {
		switch text[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				return text[:i], i + 1
			}
		}
	}
	return "", 0
}

// reference returns the value of ${NAME<operator><word>}. The variables of the word are
// replaced where it counts.
func (r *stackEnvReader) reference(name, operator, word string, at, depth int) string {
	if depth > maxNested {
		r.fail(at, "give the variables their defaults in lines of their own", "a default has more than %d references in each other", maxNested)
		return ""
	}
	value, set := r.env.values.Lookup(name)
	if !set {
		value, set = r.outer.Lookup(name)
	}
	counts := set && (value != "" || !strings.HasPrefix(operator, ":"))
	switch strings.TrimPrefix(operator, ":") {
	case "-":
		if !counts {
			return r.expandNested(word, at, depth+1)
		}
	case "+":
		if counts {
			return r.expandNested(word, at, depth+1)
		}
		return ""
	case "?":
		if !counts {
			r.fail(at, "", "%s is required: %s", name, r.expandNested(word, at, depth+1))
		}
	case "":
		if !set && r.secret {
			name = "a variable" // its name may be a part of a password
		}
		if !set {
			r.env.problems = append(r.env.problems, kargo.Problem{Where: kargo.Place{File: r.file, Line: at}, Warning: true,
				Message: name + " is not set and counts as empty", Hint: "a plain dollar is written $$, or in single quotes"})
		}
	}
	return value
}

func (r *stackEnvReader) fail(line int, hint, format string, args ...any) {
	r.env.problems = append(r.env.problems, kargo.Problem{
		Where: kargo.Place{File: r.file, Line: line}, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// checkStackReferences finds references to values outside the repository in the
// .env of stack directories: only the workspace's own environment may have them.
func checkStackReferences(ws kargo.Workspace) kargo.Problems {
	var problems kargo.Problems
	for _, directory := range ws.Directories {
		for _, name := range slices.Sorted(maps.Keys(directory.Env)) {
			if unresolved().MatchString(directory.Env[name]) {
				problems = append(problems, kargo.Problem{Where: directory.Lines[name], Message: name + " holds a reference that is not resolved here",
					Hint: "set the variable in the .env of the workspace, which every stack directory sees"})
			}
		}
	}
	return problems
}
