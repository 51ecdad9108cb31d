package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kargo"
)

func envCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	cmd := &cobra.Command{
		Use: "env [VARIABLE…]", Short: "Print the variables of a workspace, and where each value comes from", GroupID: "workspace",
		Long: `Env prints every variable that the stacks and templates of a workspace can read,
with its value and the place of its last assignment. Digests stand for the values
of secret variables; within one call, equal digests mean equal values. Env prints
to standard error which reader the files needed: dotenv, bash (both are part of
Kargo), or bash-process, for files that run programs (--allow-hooks).`,
		Example: "  kargo env --workspace ./workspace REDIS_TAG",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context())
			if err != nil {
				return err
			}
			values := desired.Workspace.Env
			if len(desired.Workspace.StackNames()) == 0 { // the environment files could not be read
				if err := refuse(cmd, desired.Problems); err != nil {
					return err
				}
			}
			mask := desired.Workspace.Mask(randomKey())
			if len(names) == 0 {
				names = slices.Sorted(maps.Keys(values))
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, name := range names {
				value, declared := values[name]
				if !declared {
					return usagef("no file declares %s", name)
				}
				where := cmp.Or(desired.Workspace.Lines[name].String(), "Kargo")
				fmt.Fprintf(table, "%s=%q\t%s\n", name, mask.Value(name, value), where)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "environment read by %s\n", desired.Workspace.Reader)
			return table.Flush()
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

// servicesOf returns the services of a stack, or the compose files of one that
// lies in a directory of its own.
func servicesOf(workspace kargo.Workspace, stack string) string {
	if directory, isOne := workspace.Directory(stack); isOne {
		return strings.Join(directory.Files, " ")
	}
	return workspace.Env[kargo.SuffixStack.Of(stack)]
}

func infoCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	cmd := &cobra.Command{
		Use: "info", Short: "Print the stacks of a workspace and their services", GroupID: "workspace", Args: noArgs,
		Example: "  kargo info --workspace ./workspace",
		Long: `Info prints the user and group that Kargo runs as, the directory of the workspace,
and each stack with its services.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%d/%d\n%s\n", os.Getuid(), os.Getgid(), s.workspace)
			for _, stack := range desired.Workspace.StackNames() {
				fmt.Fprintf(out, " %-15s %s\n", kargo.Printable(stack), kargo.Printable(servicesOf(desired.Workspace, stack)))
			}
			return refuse(cmd, desired.Problems)
		},
	}
	s.flags(cmd.Flags())
	return cmd
}
