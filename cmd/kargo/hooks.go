package main

import (
	"time"

	"github.com/spf13/pflag"

	"kargo/controller"
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

// giveSay lets a workspace's scripts have their say, if they may.
func (s *settings) giveSay(pipeline *controller.Pipeline) {
	pipeline.Hooks = hooks.Refuse
	if s.hooks.allowed {
		if s.hooks.runner == nil {
			s.hooks.runner = &hooks.Runner{Timeout: s.hooks.timeout}
		}
		pipeline.Hooks, pipeline.Shell, pipeline.After = s.hooks.runner.Before, s.hooks.runner.Environment, s.hooks.runner.After
	}
}
