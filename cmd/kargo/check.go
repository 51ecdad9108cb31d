package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"kargo"
)

func checkCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	cmd := &cobra.Command{
		Use: "check [STACK…]", Short: "Report all problems of a workspace", GroupID: "workspace",
		Long: `Check reads a workspace as the controller does and prints each problem on a line,
as file:line: message. Warnings do not make a workspace invalid. If you name
stacks, only these are checked. Check also prints which files are encrypted, and
which keys decrypted them. It needs no Docker.`,
		Example: "  kargo check --workspace ./workspace",
		RunE: func(cmd *cobra.Command, stacks []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context(), stacks...)
			if err != nil {
				return err
			}
			printProblems(cmd.OutOrStdout(), desired.Problems)
			printOpened(cmd.ErrOrStderr(), desired.Workspace)
			errs, warnings := count(desired.Problems)
			fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s; environment read as %s\n",
				plural(errs, "error"), plural(warnings, "warning"), desired.Workspace.Reader)
			return said(desired.Problems)
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

func printProblems(out io.Writer, problems kargo.Problems) {
	for _, problem := range problems {
		fmt.Fprintln(out, problem)
	}
}

// printOpened prints which files were encrypted, and how they were decrypted.
func printOpened(out io.Writer, workspace kargo.Workspace) {
	for _, name := range slices.Sorted(maps.Keys(workspace.Files)) {
		if with := workspace.Files[name].Opened.With; with != "" {
			fmt.Fprintf(out, "%s: %s\n", name, with)
		}
	}
}

// said returns the error of problems that were printed: it only sets the exit
// code.
func said(problems kargo.Problems) error {
	if err := problems.Err(); err != nil {
		return printedError{err}
	}
	return nil
}

// refuse prints problems to standard error. It returns their error, which is nil
// if all of them are warnings.
func refuse(cmd *cobra.Command, problems kargo.Problems) error {
	printProblems(cmd.ErrOrStderr(), problems)
	return said(problems)
}

func count(problems kargo.Problems) (errs, warnings int) {
	for _, problem := range problems {
		if problem.Warning {
			warnings++
		} else {
			errs++
		}
	}
	return errs, warnings
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
