package merge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"

	"kargo"
	"kargo/spelling"
)

// Limits of an environment. They are far above what a workspace needs. They
// protect the memory of the controller against a file that doubles a value forty
// times. Linux itself accepts no value longer than maxValue.
const (
	maxFile      = 256 << 10 // bytes of one environment file
	maxStatement = 16 << 10  // bytes of one statement, and so the depth of its nesting
	maxValue     = 128 << 10 // bytes of one value
	maxTotal     = 8 << 20   // bytes of all values
)

// readers of environment files, as Workspace.Reader names them.
const (
	readerDotenv = "dotenv"
	readerBash   = "bash"
	readerShell  = "bash-process"
)

// environment is the result of reading the environment files.
type environment struct {
	values kargo.Environment
	lines  map[string]kargo.Place
	// assignments are the lines of all assignments, by variable.
	assignments map[string][]kargo.Place
	reader      string
	problems    kargo.Problems
	size        int  // of all values in bytes
	full        bool // a limit was hit: nothing more is taken
	secrecy     secrecy
}

// source is one environment file: its text and its syntax tree.
type source struct {
	name string
	text string
	file *syntax.File
	from layer // whose further files it may source
}

// readEnv reads the environment here if possible. Otherwise the shell of the
// input reads it, where there is one.
func readEnv(ctx context.Context, in Input, files map[string]kargo.File) (environment, error) {
	env, err := readHere(ctx, in, files)
	if err != nil || in.Shell == nil || env.problems.Err() == nil {
		return env, err
	}
	return readByShell(ctx, in, files, env)
}

// readHere reads the base variables and the environments of the layers, lowest
// first: each sees the values of those before it, and the last assignment
// counts. One reader reads all files: the simpler one, if all are plain enough.
func readHere(ctx context.Context, in Input, files map[string]kargo.File) (environment, error) {
	env := environment{
		values: kargo.Environment{}, lines: map[string]kargo.Place{}, assignments: map[string][]kargo.Place{}, reader: readerDotenv,
	}
	for _, v := range in.base() {
		env.values[v.name] = v.value
	}
	var sources []source
	layers := in.layers()
	for _, l := range layers {
		file, ok := files[l.env]
		if !ok {
			continue
		}
		if file.Secret {
			env.secrecy.learn(l.env, file.HowOpened())
		}
		src, problems := parse(l.env, file.Data)
		src.from = l
		if l.name == kargo.OriginDefault {
			src.from = layers[len(layers)-1] // it refers to files by WORKSPACE
		}
		env.problems = append(env.problems, problems...)
		if problems.Err() == nil {
			sources = append(sources, src)
		}
	}
	if env.problems.Err() != nil {
		return env, nil
	}

	var err error
	if assignments, plain := plainAssignments(in.base(), sources); plain {
		err = readDotenv(&env, in.base(), assignments)
	} else {
		env.reader = readerBash
		err = readBash(ctx, &env, in, sources)
	}
	if err == nil && !env.full {
		env.warnOfUnset(sources, files)
	}
	return env, err
}

// warnOfUnset warns of values that read a variable which no file assigns. Of an encrypted
// file it does not name the variable, which may be a part of a password.
func (env *environment) warnOfUnset(sources []source, files map[string]kargo.File) {
	var known []string // nil before it is needed
	for _, src := range sources {
		if src.name == envDefault {
			continue
		}
		for _, read := range unsetReads(src, env.values) {
			if known == nil {
				known = slices.Collect(maps.Keys(env.values))
			}
			problem := kargo.Problem{
				Where: kargo.Place{File: src.name, Line: int(read.assign.Pos().Line())}, Warning: true,
				Message: fmt.Sprintf("%s reads %s, which is not set and counts as empty", read.assign.Name.Value, read.name),
				Hint:    cmp.Or(spelling.DidYouMean(read.name, known), "set it, or put a plain dollar in single quotes"),
			}
			if files[src.name].Secret {
				problem.Message = fmt.Sprintf("%s reads a variable that is not set and counts as empty", read.assign.Name.Value)
			}
			env.problems = append(env.problems, problem)
		}
	}
}

// parse checks the text of an environment file and parses it as bash.
func parse(name string, data []byte) (source, kargo.Problems) {
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	src := source{name: name, text: text}
	if problem, ok := checkText(name, text); !ok {
		return src, kargo.Problems{problem}
	}
	file, err := parseStatements(name, text)
	if err != nil {
		return src, kargo.Problems{syntaxProblem(name, err)}
	}
	src.file = file
	problems := append(forbidden(src), mangledHashes(src)...)
	asInBash(file)
	return src, problems
}

// parseStatements parses statement by statement and stops at one that is too
// long: the parser is recursive, and a stack overflow would end the controller.
func parseStatements(name, text string) (*syntax.File, error) {
	file := &syntax.File{Name: name}
	reader := &boundedReader{text: text, limit: pastComments(text, 0) + maxStatement}
	for stmt, err := range syntax.NewParser(syntax.Variant(syntax.LangBash)).StmtsSeq(reader) {
		if errors.Is(err, errEndless) {
			line := 1
			if n := len(file.Stmts); n > 0 {
				line = int(file.Stmts[n-1].End().Line()) + 1
			}
			return nil, syntax.ParseError{Pos: syntax.NewPos(0, uint(line), 1), Text: err.Error()}
		}
		if err != nil {
			return nil, err
		}
		file.Stmts = append(file.Stmts, stmt)
		end := int(stmt.End().Offset())
		if line := strings.IndexByte(text[end:], '\n'); line >= 0 {
			end = pastComments(text, end+line+1)
		}
		reader.limit = max(reader.offset, end) + maxStatement
	}
	return file, nil
}

// pastComments returns the offset of the first line, at or after an offset, that
// is neither empty nor a comment. Comments may have any length.
func pastComments(text string, offset int) int {
	for offset < len(text) {
		line, _, _ := strings.Cut(text[offset:], "\n")
		if trimmed := strings.TrimLeft(line, " \t"); trimmed != "" && trimmed[0] != '#' {
			break
		}
		offset = min(offset+len(line)+1, len(text))
	}
	return offset
}

var errEndless = fmt.Errorf("a statement is longer than %d bytes", maxStatement)

// boundedReader reads a text up to a limit, which its user moves.
type boundedReader struct {
	text          string
	offset, limit int
}

func (r *boundedReader) Read(buffer []byte) (int, error) {
	if r.offset == len(r.text) {
		return 0, io.EOF
	}
	if r.offset >= r.limit {
		return 0, errEndless
	}
	n := copy(buffer, r.text[r.offset:])
	r.offset += n
	return n, nil
}

// checkText refuses what no reader can read.
func checkText(name, text string) (kargo.Problem, bool) {
	lineOf := func(offset int) int { return 1 + strings.Count(text[:offset], "\n") }
	if len(text) > maxFile {
		return kargo.Problem{
			Where:   kargo.Place{File: name},
			Message: fmt.Sprintf("is longer than %d bytes", maxFile),
		}, false
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return kargo.Problem{Where: kargo.Place{File: name, Line: lineOf(i)}, Message: "holds a zero byte"}, false
	}
	if i := strings.IndexByte(text, '\r'); i >= 0 {
		return kargo.Problem{Where: kargo.Place{File: name, Line: lineOf(i)}, Message: "holds a carriage return inside a line"}, false
	}
	if !utf8.ValidString(text) {
		i := strings.Index(text, firstInvalid(text))
		return kargo.Problem{Where: kargo.Place{File: name, Line: lineOf(i)}, Message: "is not UTF-8 text"}, false
	}
	return kargo.Problem{}, true
}

// firstInvalid returns the rest of a text from its first byte that is not UTF-8.
func firstInvalid(text string) string {
	valid := bytes.ToValidUTF8([]byte(text), nil)
	common := 0
	for common < len(valid) && valid[common] == text[common] {
		common++
	}
	return text[common:]
}

// syntaxProblem returns a grammar error with its place.
func syntaxProblem(name string, err error) kargo.Problem {
	problem := kargo.Problem{
		Where:   kargo.Place{File: name},
		Message: err.Error(),
		Hint:    "environment files are written as bash would read them; a value with blanks or brackets needs quotes",
	}
	var parseError syntax.ParseError
	var langError syntax.LangError
	switch {
	case errors.As(err, &parseError):
		problem.Where.Line, problem.Message = int(parseError.Pos.Line()), parseError.Text
	case errors.As(err, &langError):
		problem.Where.Line, problem.Message = int(langError.Pos.Line()), langError.Feature
	}
	return problem
}

// assign records a variable, and refuses a value beyond the limits.
func (env *environment) assign(name, value, file string, line int) {
	env.size += len(value) - len(env.values[name])
	if len(value) > maxValue || env.size > maxTotal {
		env.overflow(file, line, name)
		return
	}
	env.values[name] = value
	env.lines[name] = kargo.Place{File: file, Line: line}
	env.secrecy.assigned(name, file)
	if env.assignments != nil {
		env.assignments[name] = append(env.assignments[name], env.lines[name])
	}
}

// overflow ends the reading: a limit was exceeded.
func (env *environment) overflow(file string, line int, name string) {
	env.full = true
	env.problems = append(env.problems, kargo.Problem{
		Where:   kargo.Place{File: file, Line: line},
		Message: name + " makes the environment too large",
		Hint:    fmt.Sprintf("the limit is %d bytes for a value and %d for all together", maxValue, maxTotal),
	})
}

// exhausted ends the reading: its expansions take too long.
func (env *environment) exhausted(file string, line int) {
	env.full = true
	env.problems = append(env.problems, kargo.Problem{
		Where:   kargo.Place{File: file, Line: line},
		Message: "the expansions of the environment files take too long",
		Hint:    fmt.Sprintf("the limit is %d steps: for each pattern its length, multiplied by that of the value", maxSteps),
	})
}

// further reads another environment file of the same layer.
func (src source) further(name string) ([]byte, error) {
	if src.from.files.FS == nil {
		return nil, fs.ErrNotExist
	}
	return fs.ReadFile(src.from.files.FS, name)
}
