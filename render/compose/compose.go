// Package compose reads the compose files of a stack, merges them as `docker
// stack deploy` does, and keeps what Docker forgets: the file and line of every
// value.
//
// It is pure. Docker's own loader (github.com/docker/cli) decides what a file
// means, but it is given everything that it would look for outside: variables
// come from the workspace's environment, contents of env_file from the merged
// configuration. Paths that lead out of the merged configuration are refused.
//
// A [Reader] reads the stacks of one workspace. [Reader.Read] returns the
// [Configuration] of one stack: Docker's types.Config, and the places of all
// that is in it. What is wrong goes into a [Report], with file and line.
package compose

import (
	"github.com/docker/cli/cli/compose/types"

	"kargo"
	"kargo/render/view"
)

// Reader reads the compose files of one workspace, stack by stack. It counts
// what they hold together, so that a hostile workspace cannot exhaust the
// memory of the controller. Its zero value is ready to read.
type Reader struct {
	budget   budget
	together *together
	valid    map[fileOf]bool
}

// ValidateTogether makes the reader validate many files at once, which is much
// faster. What it reads then counts only if Valid returns true. What is wrong, only a
// reader that validates each by itself can tell.
func (r *Reader) ValidateTogether() { r.together = &together{valid: map[fileOf]bool{}} }

// Trust makes the reader validate only files that another one, which has validated many
// together, did not find valid. Both must read the same workspace.
func (r *Reader) Trust(other *Reader) {
	other.together.validate()
	r.valid = other.together.valid
}

// Valid reports whether the files read so far are valid, except for those whose
// errors were reported.
func (r *Reader) Valid() bool {
	if r.together == nil {
		return true
	}
	r.together.validate()
	return r.together.invalid == 0
}

// Exceeded reports whether a stack made the workspace too large. No stack is read
// after it.
func (r *Reader) Exceeded() bool { return r.budget.exceeded }

// TakeOver counts a stack that was read before instead of reading it. It returns
// false, and counts nothing, if the stack makes the workspace too large.
func (r *Reader) TakeOver(size Size) bool { return r.budget.take(size) }

// Read reads a stack of the workspace as the stack sees it, and reports what is wrong.
// The files are those of view.View.ComposeFiles; a stack directory has none, but files
// of its own. Read returns nil where it reported an error, and for all stacks after
// the one that made the workspace too large.
func (r *Reader) Read(ws view.View, report *Report, stack string, files []kargo.ComposeFile) *Configuration {
	if r.budget.exceeded {
		return nil
	}
	s := &reading{
		ws: ws, report: report, budget: &r.budget, stack: stack, listed: files,
		together: r.together, valid: r.valid, tree: newTree(ws, report), conditions: map[dependency]kargo.NeedCondition{},
		envFiles: map[string]bool{},
	}
	before, sizeBefore := report.Errors(), r.budget.Size
	for _, stage := range stages {
		stage.run(s)
		if stage.ends && report.Errors() > before {
			return nil
		}
	}
	having := map[string]map[string][]*File{}
	for _, section := range []string{"services", "networks", "volumes", "configs", "secrets"} {
		having[section] = byKey(s.files, section)
	}
	return &Configuration{
		Config: s.config, Files: s.files, Tree: s.tree, having: having,
		ws: ws, stack: stack, conditions: s.conditions,
		size: Size{Services: r.budget.Services - sizeBefore.Services, Bytes: r.budget.Bytes - sizeBefore.Bytes},
	}
}

// Again reads a stack once more that was read without an error, in the same view or in
// another one in which everything that was read has the same answers.
func Again(ws view.View, stack string) *Configuration {
	r := Reader{}
	r.ValidateTogether() // the files are valid
	files := r.Read(ws, &Report{}, stack, ws.ComposeFiles(stack))
	if files == nil {
		panic("render: stack " + stack + " cannot be read again") // the same input has the same result
	}
	return files
}

// reading is the reading of one stack: what the stages hand on.
type reading struct {
	ws     view.View
	report *Report
	budget *budget
	stack  string
	listed []kargo.ComposeFile
	tree   *Tree
	// together is nil where each file is validated by itself, but for those of valid.
	together *together
	valid    map[fileOf]bool

	files      []*File         // lowest first
	envFiles   map[string]bool // the files of env_file so far, by path
	conditions map[dependency]kargo.NeedCondition
	config     *types.Config
}

// stages of reading a stack, in order. Each changes the decoded files in place;
// the parsed nodes, which know the lines, stay as they are. A stage that ends
// the reading does so where any error was reported so far: the next stages
// would only repeat it, or could not cope with it.
var stages = []struct {
	run  func(*reading)
	ends bool
}{
	// Parses every file. The tags !reset and !override of a file are applied
	// here, as they lift what the files below it have set.
	{run: readFiles},
	// Refuses what would grow too large, before anything looks at each value.
	{run: checkBounds, ends: true},
	// Comes after the tags, as what they lifted need not be right, and before
	// the loader, whose errors about variables have no line.
	{run: checkVariables, ends: true},
	// Looks at values as they were written, before any is changed.
	{run: checkValues},
	// Puts env_file below environment, before files are merged: a file's own
	// environment counts more than its env_file, and less than a later file's.
	{run: inlineEnvFiles},
	// Comes after it, as a later file may empty what an env_file sets.
	{run: settleEmptied},
	// Comes before the loader, which would append a later test to an earlier.
	{run: settleHealthchecks},
	// Translates each file by itself, before files are merged: so old labels of
	// an extension override new labels of a default service.
	{run: translateRoutes},
	// Comes after the translation, which adds labels of one of the families.
	{run: joinFamilies},
	// Rewrites what the loader refuses, or would answer from this machine. It is
	// the last change, as the stages above read the file as it was written.
	{run: normalise, ends: true},
	// Loads each file alone, so that an error has a file, and merges them.
	{run: load, ends: true},
}
