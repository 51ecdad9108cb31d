package main

import (
	"time"

	"github.com/spf13/pflag"

	"kargo/compile"
	"kargo/hooks"
)

// hookSettings say whether the workspace's own scripts may run.
type hookSettings struct {
	allowed bool
	timeout time.Duration
	runner  *hooks.Runner // one for all: it remembers what ran
}

func (s *settings) hookFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&s.hooks.allowed, "allow-hooks", false, "run the workspace's hooks (deploy/*_before.sh, *_after.sh), and its environment files where they run programs")
	flags.DurationVar(&s.hooks.timeout, "hook-timeout", hooks.DefaultTimeout, "how `long` one of these may take")
}

// setHooks lets a compiler run a workspace's hooks, if they are allowed.
func (s *settings) setHooks(compiler *compile.Compiler) {
	compiler.Hooks = hooks.Refuse
	if runner := s.hookRunner(); runner != nil {
		compiler.Hooks, compiler.Shell = runner.Before, runner.Environment
	}
}

// hookRunner returns the one runner of hooks; nil where none may run.
func (s *settings) hookRunner() *hooks.Runner {
	if s.hooks.allowed && s.hooks.runner == nil {
		s.hooks.runner = &hooks.Runner{Timeout: s.hooks.timeout}
	}
	return s.hooks.runner
}
