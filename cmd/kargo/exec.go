package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/hooks"
)

func execCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	cmd := &cobra.Command{
		Use: "exec SCRIPT [ARGUMENT…]", Short: "Run a script of the merged configuration", GroupID: "workspace",
		Long: `Exec runs .kargo/scripts/SCRIPT.sh with bash, in the directory of the script. The
script gets the variables that the workspace declares, and those of yours that
programs need (PATH, HOME, the terminal, Docker's own variables). The merged
configuration must have been written before (kargo configure, or a deployment).
Exec ends with the script's exit code.

Arguments are passed on as they are. A single argument with blanks is split at
the blanks, as the historic tool did: kargo exec seed-cache "-t osm -z 0,9".
Flags of Kargo come before the name of the script.`,
		Example: "  kargo exec clear-cache osm",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which script? give the name of a file in .kargo/scripts, without .sh")
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			workspace, err := s.readForScripts(cmd)
			if err != nil {
				return err
			}
			return s.runScript(cmd, workspace, "scripts", args[0], words(args[1:]))
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// words returns the arguments of a script. The historic tool took one argument
// and passed on its words.
func words(args []string) []string {
	if len(args) == 1 {
		return strings.Fields(args[0])
	}
	return args
}

// readForScripts reads a workspace. Its environment must be valid. Its stacks need
// not be: scripts and builds do not use them.
func (s *workspaceFlags) readForScripts(cmd *cobra.Command) (kargo.Workspace, error) {
	desired, err := s.read(cmd.Context())
	if err == nil && len(desired.Workspace.StackNames()) == 0 {
		err = refuse(cmd, desired.Problems)
	}
	return desired.Workspace, err
}

// runScript runs a script of one folder of the merged configuration.
func (s *workspaceFlags) runScript(cmd *cobra.Command, workspace kargo.Workspace, folder, name string, args []string) error {
	return hooks.Script{
		Dir: filepath.Join(s.root(), folder), Name: name, Args: args, Env: personal(workspace.Env, s.env),
		In: cmd.InOrStdin(), Out: unfiltered(cmd.OutOrStdout()), Err: unfiltered(cmd.ErrOrStderr()),
	}.Run(cmd.Context())
}

// personal returns the declared variables and those of the person that programs
// need: to run at all, to find Docker, to use a terminal. A declared variable
// wins.
func personal(declared kargo.Environment, env map[string]string) kargo.Environment {
	all := kargo.Environment{}
	for name, value := range env {
		switch {
		case name == "PATH", name == "HOME", name == "USER", name == "LOGNAME", name == "TERM", name == "LANG", name == "TZ",
			name == "TMPDIR", name == "SSH_AUTH_SOCK", strings.HasPrefix(name, "LC_"), strings.HasPrefix(name, "DOCKER_"),
			strings.HasPrefix(name, "XDG_"):
			all[name] = value
		}
	}
	for name, value := range declared {
		all[name] = value
	}
	return all
}
