package main

import (
	"time"

	"github.com/spf13/pflag"

	"kargo/compile"
	"kargo/hooks"
)

// hookFlags say whether the workspace's own scripts may run.
type hookFlags struct {
	allowed bool
	timeout time.Duration
	runner  *hooks.Runner // one for all: it remembers what ran
}

func (h *hookFlags) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&h.allowed, "allow-hooks", false, "run the workspace's hooks (deploy/*_before.sh, *_after.sh), and its environment files that run programs")
	flags.DurationVar(&h.timeout, "hook-timeout", hooks.DefaultTimeout, "time limit of one hook or environment file")
}

// set lets a compiler run a workspace's hooks, if they are allowed.
func (h *hookFlags) set(compiler *compile.Compiler) {
	compiler.Hooks = hooks.Refuse
	if runner := h.theRunner(); runner != nil {
		compiler.Hooks, compiler.Shell = runner.Before, runner.Environment
	}
}

// theRunner returns the one runner of hooks; nil where none may run.
func (h *hookFlags) theRunner() *hooks.Runner {
	if h.allowed && h.runner == nil {
		h.runner = &hooks.Runner{Timeout: h.timeout}
	}
	return h.runner
}
