package main

import (
	"context"

	"github.com/spf13/pflag"
)

// defaultsFlag names another catalogue than the embedded one.
type defaultsFlag struct{ defaults string }

func (d *defaultsFlag) flags(flags *pflag.FlagSet) {
	flags.Var((*pathValue)(&d.defaults), "defaults", "directory that replaces the embedded catalogue")
}

// compileFlags say how a workspace becomes stacks, wherever it comes from.
type compileFlags struct {
	defaultsFlag
	layers  layerFlags
	policy  policyFlags
	secrets secretFlags
	hooks   hookFlags
}

func (c *compileFlags) flags(flags *pflag.FlagSet) {
	c.defaultsFlag.flags(flags)
	c.layers.flags(flags)
	c.policy.flags(flags)
	c.secrets.flags(flags)
	c.hooks.flags(flags)
}

// workspaceFlags are those of a command that reads the workspace in a directory.
type workspaceFlags struct {
	program
	dataDir
	compileFlags
	workspace string
	// directoryKey returns the key of the digests of directories; nil in a command
	// that does not ask Swarm, and whose digests nobody compares.
	directoryKey func(context.Context) ([]byte, error)
}

// keyOfDirectories returns directoryKey, or a function that returns a random key.
func (s *workspaceFlags) keyOfDirectories() func(context.Context) ([]byte, error) {
	if s.directoryKey == nil {
		key := randomKey()
		s.directoryKey = func(context.Context) ([]byte, error) { return key, nil }
	}
	return s.directoryKey
}

func (s *workspaceFlags) flags(flags *pflag.FlagSet) {
	s.program.flags(flags)
	s.dataDir.flags(flags)
	s.compileFlags.flags(flags)
	flags.VarP((*pathValue)(&s.workspace), "workspace", "w",
		"directory of the workspace; by default that of \"kargo use\", or the current directory if it has a .env")
}

// sourceFlags are those of a command that reads a workspace in a directory or
// in a repository.
type sourceFlags struct {
	workspaceFlags
	repositoryFlags
}

func (s *sourceFlags) flags(flags *pflag.FlagSet) {
	s.workspaceFlags.flags(flags)
	s.repositoryFlags.flags(flags)
}
