package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
)

func checkCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	var form string
	cmd := &cobra.Command{
		Use: "check [STACK…]", Short: "Report all problems of a workspace", GroupID: "workspace",
		Long: `Check reads a workspace as the controller does and prints each problem on a line,
as file:line: message. Warnings do not make a workspace invalid. If you name
stacks, only these are checked. Check also prints which files are encrypted, and
which keys decrypted them. It needs no Docker.

What the policy only notices is one line; -o json and -o sarif have each of it. SARIF
is the form in which forges read what checks find.`,
		Example: "  kargo check --workspace ./workspace\n  kargo check --workspace ./workspace -o sarif >kargo.sarif",
		RunE: func(cmd *cobra.Command, stacks []string) error {
			if !slices.Contains(checkForms, form) {
				return usagef("-o takes %s or %s, not %q", strings.Join(checkForms[:2], ", "), checkForms[2], form)
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context(), stacks...)
			if err != nil {
				return err
			}
			if err := showProblems(cmd.OutOrStdout(), form, desired.Problems); err != nil {
				return err
			}
			printOpened(cmd.ErrOrStderr(), desired.Workspace)
			errs, warnings := count(desired.Problems)
			fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s; environment read as %s\n",
				plural(errs, "error"), plural(warnings, "warning"), desired.Workspace.Reader)
			return said(desired.Problems)
		},
	}
	cmd.Flags().StringVarP(&form, "output", "o", checkForms[0], "`kind` of output: text, json or sarif")
	s.flags(cmd.Flags())
	return cmd
}

var checkForms = []string{"text", "json", "sarif"}

// showProblems prints problems in one of the checkForms.
func showProblems(out io.Writer, form string, problems kargo.Problems) error {
	switch form {
	case "json":
		errs, warnings := count(problems)
		return encode(out, form, struct {
			Errors   int            `json:"errors"`
			Warnings int            `json:"warnings"`
			Problems kargo.Problems `json:"problems"`
		}{errs, warnings, append(kargo.Problems{}, problems...)})
	case "sarif":
		return encode(out, "json", sarifOf(problems))
	}
	printProblems(out, problems)
	return nil
}

// printProblems prints problems for people: a line each, and one for all that the
// policy notices and permits.
func printProblems(out io.Writer, problems kargo.Problems) {
	notices := map[string]int{}
	total := 0
	for _, problem := range problems {
		if isNotice(problem) {
			notices[problem.Rule]++
			total++
		}
	}
	for _, problem := range problems {
		if !isNotice(problem) || total == 1 {
			fmt.Fprintln(out, problem)
		}
	}
	if total > 1 {
		var rules []string
		for _, rule := range slices.Sorted(maps.Keys(notices)) {
			rules = append(rules, fmt.Sprintf("%s %d", rule, notices[rule]))
		}
		fmt.Fprintf(out, "warning: %d properties of services would be refused by a stricter policy: %s (`kargo check -o json` lists each)\n", total, strings.Join(rules, ", "))
	}
}

// isNotice reports whether a problem is what the policy permits and only notices.
func isNotice(problem kargo.Problem) bool { return problem.Warning && problem.Rule != "" }

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
