// Package draft is the verb that makes the files of a workspace from what a person has
// already: compose files that lie elsewhere ([FromFiles]), or stacks that run
// ([FromStacks]).
//
// It returns a [Draft]: stacks in directories of their own, and what could not be
// taken along. The package is pure: it reads the fs.FS and the values it is given,
// and writes nothing. Whether the result is sound, package compile says.
package draft

import (
	"fmt"
	"slices"
	"strings"

	"kargo/pattern"
)

// Draft is the files of a workspace, and what they lack.
type Draft struct {
	// Files by their path in the workspace.
	Files map[string]File
	// Stacks are the names of the stacks, in order.
	Stacks []string
	// Lost says, a line each, what could not be taken along and what to do.
	Lost []string
}

// File is one file of a draft.
type File struct {
	Data       []byte
	Executable bool
}

func newDraft() *Draft { return &Draft{Files: map[string]File{}} }

func (d *Draft) lose(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(d.Lost, line) {
		d.Lost = append(d.Lost, line)
	}
}

var notInNames = pattern.Lazy(`[^a-zA-Z0-9_-]+`)

// nameOf turns a file's or folder's name into the name of a stack.
func nameOf(name string) string {
	name = strings.Trim(notInNames().ReplaceAllString(name, "-"), "-_")
	if name == "" || name == "all" {
		return "stack"
	}
	return name
}
