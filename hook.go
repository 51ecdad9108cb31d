package kargo

import (
	"context"
	"time"
)

// HookRun is the result of one hook, a script of a workspace.
type HookRun struct {
	Script string        `json:"script"` // "deploy/postgis_before.sh"
	Stack  string        `json:"stack"`
	Took   time.Duration `json:"took"`
	// Output is the end of what it said. It may hold secrets until it was
	// masked.
	Output string `json:"output,omitempty"`
	// Err is why it failed, or empty.
	Err string `json:"error,omitempty"`
}

// EnvFile is an environment file that runs programs, for a Shell to evaluate.
type EnvFile struct {
	Name string // for messages: ".env"
	Data []byte
	// Files is the layer that the file belongs to, whose files it may source. It
	// is empty where that is the layer of the file after it.
	Files Files
}

// Shell evaluates environment files in a real shell, in order: each sees the
// variables of base and those that the files before it exported. It returns all
// variables that are exported at the end. What the files do wrong are problems;
// an error is the machine's, or ctx has ended.
type Shell func(ctx context.Context, base Environment, files []EnvFile) (Environment, Problems, error)
