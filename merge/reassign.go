package merge

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"kargo"
)

// Rewrite gives a variable another value in the file of the user configuration
// that assigns it last. user must be the files that the workspace was made from.
// edits holds the new contents of files that were changed so far, by path; Rewrite
// adds to it.
func Rewrite(ws kargo.Workspace, user fs.FS, edits map[string][]byte, variable, to string) error {
	where := ws.Lines[variable]
	if !isUsers(ws, user, where.File) {
		return fmt.Errorf("%s is assigned in %s, which is not in this repository", variable, where)
	}
	data, changed := edits[where.File]
	if !changed {
		var err error
		if data, err = fs.ReadFile(user, where.File); err != nil {
			return fmt.Errorf("read %s: %w", where.File, err)
		}
	}
	data, err := Reassign(data, where.Line, variable, ws.Env[variable], to)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	edits[where.File] = data
	return nil
}

// isUsers reports whether an environment file belongs to the user configuration:
// its .env, or a file that this sources.
func isUsers(ws kargo.Workspace, user fs.FS, name string) bool {
	if name == "" || name == settingsFile || user == nil {
		return false
	}
	if file, landed := ws.Files[name]; landed {
		return file.Origin == kargo.OriginUser
	}
	_, err := fs.Stat(user, name)
	return err == nil
}

// Reassign changes the value that one line of an environment file gives to a
// variable, and nothing else of the file: quotes, comments and other assignments
// stay byte by byte. It refuses a line that does not assign exactly that value,
// once and in plain text, since a program would have to guess the meaning. The
// new value may have letters, digits and "_.-/:@", which have no meaning in bash.
func Reassign(file []byte, line int, variable, from, to string) ([]byte, error) {
	if strings.ContainsFunc(to, special) {
		return nil, fmt.Errorf("%.100q is not a plain value", to)
	}
	lines := bytes.SplitAfter(file, []byte("\n"))
	if line < 1 || line > len(lines) {
		return nil, fmt.Errorf("the file has no line %d", line)
	}
	text := strings.TrimRight(string(lines[line-1]), "\r\n")
	bare := strings.TrimPrefix(text, "\ufeff")
	start, end, err := findValue(bare, variable, from)
	if err != nil {
		return nil, err
	}
	offset := len(text) - len(bare)
	changed := text[:offset+start] + to + text[offset+end:]
	before, after := bytes.Join(lines[:line-1], nil), bytes.Join(lines[line-1:], nil)
	return append(append(before, changed...), after[len(text):]...), nil
}

func special(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-/:@", r)
}

// findValue returns where the value is in a line, without its quotes.
func findValue(line, variable, value string) (start, end int, err error) {
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "")
	if err != nil {
		return 0, 0, fmt.Errorf("the line that assigns %s is part of something longer", variable)
	}
	var found []*syntax.Assign
	syntax.Walk(parsed, func(node syntax.Node) bool {
		if assign, ok := node.(*syntax.Assign); ok && assign.Name != nil && assign.Name.Value == variable {
			found = append(found, assign)
		}
		return true
	})
	if len(found) != 1 {
		return 0, 0, fmt.Errorf("the line assigns %s %d times", variable, len(found))
	}
	assign := found[0]
	if assign.Append || assign.Naked || assign.Index != nil || assign.Array != nil {
		return 0, 0, fmt.Errorf("the line does not simply assign %s", variable)
	}
	if assign.Value == nil { // NAME=
		end := int(assign.End().Offset())
		return end, end, plainlyIs(variable, "", value)
	}
	literal, isPlain := plainLiteral(assign.Value)
	if !isPlain {
		return 0, 0, fmt.Errorf("the value of %s is composed of other values", variable)
	}
	start, end = int(literal.Pos().Offset()), int(literal.End().Offset())
	if single, quoted := assign.Value.Parts[0].(*syntax.SglQuoted); quoted {
		start = int(single.Left.Offset()) + 1
		end = int(single.Right.Offset())
	}
	return start, end, plainlyIs(variable, line[start:end], value)
}

func plainlyIs(variable, written, value string) error {
	if written != value {
		return fmt.Errorf("the line does not give %s the plain value %.100q", variable, value)
	}
	return nil
}

// plainLiteral returns the one piece of text that a word consists of, quoted or
// not.
func plainLiteral(word *syntax.Word) (syntax.Node, bool) {
	if len(word.Parts) != 1 {
		return nil, false
	}
	switch part := word.Parts[0].(type) {
	case *syntax.Lit:
		return part, true
	case *syntax.SglQuoted:
		return part, !part.Dollar
	case *syntax.DblQuoted:
		if !part.Dollar && len(part.Parts) == 1 {
			literal, isLiteral := part.Parts[0].(*syntax.Lit)
			return literal, isLiteral
		}
	}
	return nil, false
}
