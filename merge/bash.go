package merge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"kargo"
)

// Limits of the bash reader.
const (
	maxStatements = 8192
	maxDepth      = 8 // of files that source files
)

// bash runs environment files one simple statement at a time. Before each
// statement it estimates the length of the values, after each it records the
// assigned variables with their line. Between statements only if, case, && and
// || are possible, so no file can run for long.
type bash struct {
	ctx        context.Context // for the length of one reading
	env        *environment
	in         Input
	runner     *interp.Runner
	stderr     bytes.Buffer
	statements int
	steps      int // that patterns took so far
}

// readBash reads the files in order.
func readBash(ctx context.Context, env *environment, in Input, sources []source) error {
	b := &bash{ctx: ctx, env: env, in: in}
	if err := b.start(); err != nil {
		return kargo.Errorf(kargo.Internal, "start the bash reader: %w", err)
	}
	for _, src := range sources {
		if err := b.stmts(src, src.file.Stmts, 0); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		// What failed because of it is not a problem of the workspace.
		return kargo.Errorf(kargo.Unavailable, "read the environment: %w", err)
	}
	return nil
}

// start makes an interpreter without access to anything outside: variables that
// bash takes from the machine are set, every program and every file is refused.
func (b *bash) start() error {
	uid, gid := strconv.Itoa(b.in.UserID), strconv.Itoa(b.in.GroupID)
	list := []string{"HOME=", "UID=" + uid, "EUID=" + uid, "GID=" + gid}
	for _, v := range b.in.base() {
		list = append(list, v.name+"="+v.value)
	}
	runner, err := interp.New(
		interp.Env(expand.ListEnviron(list...)),
		interp.Dir("/"),
		interp.StdIO(nil, io.Discard, &b.stderr),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return runExpr }),
		interp.OpenHandler(func(_ context.Context, name string, _ int, _ fs.FileMode) (io.ReadWriteCloser, error) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}),
		interp.ReadDirHandler2(func(context.Context, string) ([]fs.DirEntry, error) { return nil, fs.ErrPermission }),
		interp.StatHandler(func(_ context.Context, name string, _ bool) (fs.FileInfo, error) {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
		}),
		interp.AccessHandler(func(context.Context, string, interp.AccessMode) error { return fs.ErrPermission }),
	)
	b.runner = runner
	return err
}

// runExpr runs "expr length STRING" and no other program. Old default
// environments parse DOCKER_HOST with it; nothing reads the result.
func runExpr(ctx context.Context, args []string) error {
	if len(args) < 2 || args[0] != "expr" || args[1] != "length" {
		return fmt.Errorf("would run the program %q", args[0])
	}
	if len(args) != 3 {
		return interp.ExitStatus(2)
	}
	_, err := fmt.Fprintln(interp.HandlerCtx(ctx).Stdout, len([]rune(args[2])))
	return err
}

func (b *bash) stmts(src source, stmts []*syntax.Stmt, depth int) error {
	for _, stmt := range stmts {
		if _, err := b.stmt(src, stmt, depth); err != nil {
			return err
		}
	}
	return nil
}

// stmt runs a statement and reports whether it succeeded in the sense of bash.
func (b *bash) stmt(src source, stmt *syntax.Stmt, depth int) (bool, error) {
	ok, err := b.command(src, stmt, depth)
	return ok != stmt.Negated, err
}

func (b *bash) command(src source, stmt *syntax.Stmt, depth int) (bool, error) {
	switch cmd := stmt.Cmd.(type) {
	case *syntax.Block:
		return true, b.stmts(src, cmd.Stmts, depth)
	case *syntax.IfClause:
		return true, b.ifClause(src, cmd, depth)
	case *syntax.CaseClause:
		return true, b.caseClause(src, cmd, depth)
	case *syntax.BinaryCmd:
		ok, err := b.stmt(src, cmd.X, depth)
		if err != nil || ok != (cmd.Op == syntax.AndStmt) {
			return ok, err
		}
		return b.stmt(src, cmd.Y, depth)
	case *syntax.CallExpr:
		if len(cmd.Args) > 0 {
			switch name := cmd.Args[0].Lit(); name {
			case "source", ".":
				return true, b.source(src, cmd, depth)
			case "set":
				return true, nil // every variable is exported anyhow, and no option may end the reading
			}
		}
	}
	return b.simple(src, stmt), nil
}

func (b *bash) ifClause(src source, clause *syntax.IfClause, depth int) error {
	for ; clause != nil; clause = clause.Else {
		holds := true // "else" has no condition
		for _, stmt := range clause.Cond {
			var err error
			if holds, err = b.stmt(src, stmt, depth); err != nil {
				return err
			}
		}
		if holds {
			return b.stmts(src, clause.Then, depth)
		}
	}
	return nil
}

// caseClause evaluates [[ word == pattern ]] for each pattern.
func (b *bash) caseClause(src source, clause *syntax.CaseClause, depth int) error {
	for _, item := range clause.Items {
		for _, pattern := range item.Patterns {
			test := &syntax.TestClause{
				Left: clause.Case, Right: clause.Esac,
				X: &syntax.BinaryTest{OpPos: pattern.Pos(), Op: syntax.TsMatch, X: clause.Word, Y: pattern},
			}
			if b.simple(src, &syntax.Stmt{Position: pattern.Pos(), Cmd: test}) {
				return b.stmts(src, item.Stmts, depth)
			}
		}
	}
	return nil
}

// simple runs one statement that contains no others, and records what it
// assigned.
func (b *bash) simple(src source, stmt *syntax.Stmt) bool {
	line := int(stmt.Pos().Line())
	names := assignedNames(stmt)
	if !b.fits(src.name, stmt) {
		return false
	}
	protectBackslashes(stmt)
	bare := *stmt
	bare.Negated = false // the caller negates the result
	err := b.runner.Run(b.ctx, &bare)
	b.reportFailure(src.name, line, err)

	syntax.Walk(stmt, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Assign:
			if node.Name != nil && names[node.Name.Value] {
				b.record(src.name, node.Name.Value, int(node.Pos().Line()))
			}
		case *syntax.ParamExp:
			if node.Param != nil && names[node.Param.Value] {
				b.record(src.name, node.Param.Value, int(node.Pos().Line()))
			}
		}
		return true
	})
	if call, ok := stmt.Cmd.(*syntax.CallExpr); ok && len(call.Args) > 0 && call.Args[0].Lit() == "unset" {
		b.forget()
	}
	return err == nil
}

// record copies one variable from the interpreter.
func (b *bash) record(file, name string, line int) {
	value := b.runner.Vars[name]
	if value.Kind == expand.String && value.IsSet() {
		b.env.assign(name, value.Str, file, line)
	}
}

// forget deletes variables that were unset.
func (b *bash) forget() {
	for name := range b.env.values {
		if value, ok := b.runner.Vars[name]; ok && !value.IsSet() {
			delete(b.env.values, name)
			delete(b.env.lines, name)
		}
	}
}

// reportFailure reports a statement that could not be run. A command that only
// returns false, such as a test, is no failure.
func (b *bash) reportFailure(file string, line int, err error) {
	message := strings.TrimSpace(b.stderr.String())
	b.stderr.Reset()
	var status interp.ExitStatus
	if message == "" && err != nil && !errors.As(err, &status) {
		message = err.Error()
	}
	if message != "" {
		b.env.problems = append(b.env.problems, kargo.Problem{Where: kargo.Place{File: file, Line: line}, Message: message})
	}
}

// source reads a further file of the same layer: ". $WORKSPACE/x.env" or,
// relative to its top, "source x.env".
func (b *bash) source(src source, call *syntax.CallExpr, depth int) error {
	refuse := func(message, hint string) error {
		b.env.problems = append(b.env.problems, kargo.Problem{
			Where: kargo.Place{File: src.name, Line: int(call.Pos().Line())}, Message: message, Hint: hint,
		})
		return nil
	}
	if len(call.Args) != 2 {
		return refuse("source takes one file", "")
	}
	if depth == maxDepth {
		return refuse("sources files too deeply", "does a file source itself?")
	}
	arg, err := expand.Literal(&expand.Config{Env: expand.FuncEnviron(func(name string) string {
		return b.env.values[name]
	})}, call.Args[1])
	if err != nil {
		return refuse(err.Error(), "")
	}
	name, ok := strings.CutPrefix(path.Clean(arg), path.Clean(b.in.WorkspacePath)+"/")
	if !ok {
		name = path.Clean(arg)
	}
	if !fs.ValidPath(name) {
		return refuse(fmt.Sprintf("cannot source %s: it is not in the %s configuration", arg, src.from.name), "")
	}
	data, err := src.further(name)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(fmt.Sprintf("cannot source %s: the %s configuration has no such file", name, src.from.name), "")
	}
	found, err := blame(name, err)
	if err != nil {
		return fmt.Errorf("read the %s configuration: %w", src.from.name, err)
	}
	b.env.problems = append(b.env.problems, src.from.named(found)...)
	if opened, secret := src.from.files.OpenedFrom(name); secret {
		b.env.secrecy.learn(src.from.prefix()+name, opened)
	}
	further, problems := parse(src.from.prefix()+name, data)
	further.from = src.from
	b.env.problems = append(b.env.problems, problems...)
	if len(found) > 0 || problems.Err() != nil {
		return nil
	}
	return b.stmts(further, further.file.Stmts, depth+1)
}

// asInBash changes what the interpreter reads in another way than bash: an empty value
// that is appended, and single quotes in the default of a variable inside of double
// quotes, where they are characters like others.
func asInBash(file *syntax.File) {
	syntax.Walk(file, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Assign:
			if node.Append && node.Value == nil && node.Array == nil {
				node.Value = &syntax.Word{Parts: []syntax.WordPart{&syntax.SglQuoted{Left: node.Pos(), Right: node.End()}}}
			}
		case *syntax.DblQuoted:
			quotesWithin(node.Parts, keepQuotes)
		}
		return true
	})
}

func keepQuotes(quoted *syntax.SglQuoted) {
	if !quoted.Dollar {
		quoted.Value = "'" + quoted.Value + "'"
	}
}

// protectBackslashes quotes what follows a backslash in an unquoted value: the
// interpreter keeps the backslash there and bash does not.
func protectBackslashes(stmt *syntax.Stmt) {
	syntax.Walk(stmt, func(node syntax.Node) bool {
		assign, ok := node.(*syntax.Assign)
		if !ok || assign.Value == nil {
			return true
		}
		for i, part := range assign.Value.Parts {
			if lit, ok := part.(*syntax.Lit); ok && strings.Contains(lit.Value, `\`) {
				assign.Value.Parts[i] = &syntax.SglQuoted{
					Left: lit.ValuePos, Right: lit.ValueEnd, Value: unescape(lit.Value),
				}
			}
		}
		return true
	})
}

// unescape removes each backslash and keeps the character after it.
func unescape(text string) string {
	var out strings.Builder
	escaped := false
	for _, r := range text {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		if !escaped || r != '\n' { // a line goes on behind its backslash
			out.WriteRune(r)
		}
		escaped = false
	}
	return out.String()
}
