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
	var output output
	cmd := &cobra.Command{
		Use: "check [STACK…]", Short: "Report all problems of a workspace", GroupID: "workspace",
		Long: `Check reads a workspace as the controller does and prints each problem on a line,
as file:line: message. Warnings do not make a workspace invalid. If you name
stacks, only these are checked. Check also prints which files are encrypted, and
which keys decrypted them. It needs no Docker.

What the policy only notices is one line; -o wide, json and sarif have each of it.
SARIF is the form in which forges read what checks find.`,
		Example: "  kargo check --workspace ./workspace\n  kargo check --workspace ./workspace -o sarif >kargo.sarif",
		RunE: func(cmd *cobra.Command, stacks []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context(), stacks...)
			if err != nil {
				return err
			}
			if err := showProblems(cmd, output, desired.Problems); err != nil {
				return err
			}
			printOpened(cmd.ErrOrStderr(), desired.Workspace)
			errs, warnings := count(desired.Problems)
			read := ""
			if desired.Workspace.Reader != "" {
				read = "; environment read as " + desired.Workspace.Reader
			}
			say(cmd.ErrOrStderr(), "%s, %s%s", plural(errs, "error"), plural(warnings, "warning"), read)
			return said(desired.Problems)
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "places of problems", wide: "each that the policy notices"}, outputSARIF)
	return cmd
}

// showProblems prints problems to standard output.
func showProblems(cmd *cobra.Command, output output, problems kargo.Problems) error {
	if output == outputSARIF {
		return encode(cmd.OutOrStdout(), string(outputJSON), sarifOf(problems))
	}
	errs, warnings := count(problems)
	document := struct {
		Errors   int            `json:"errors"`
		Warnings int            `json:"warnings"`
		Problems kargo.Problems `json:"problems"`
	}{errs, warnings, append(kargo.Problems{}, problems...)}
	return output.show(cmd, document, func(out screen) error { printProblems(out, problems, output == outputWide); return nil },
		func() []string { return placesOf(problems) })
}

// placesOf returns the place of each problem, once.
func placesOf(problems kargo.Problems) (places []string) {
	for _, problem := range problems {
		if place := problem.Where.String(); place != "" && !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return places
}

// printProblems prints problems for people: a line each, and one for all that the
// policy notices and permits; with notices, a line for each of these, too.
func printProblems(out screen, problems kargo.Problems, notices bool) {
	noticed := map[string]int{}
	total := 0
	for _, problem := range problems {
		if isNotice(problem) && !notices {
			noticed[problem.Rule]++
			total++
		}
	}
	for _, problem := range problems {
		if notices || !isNotice(problem) || total == 1 {
			out.line("%s", problem)
		}
	}
	if total > 1 {
		var rules []string
		for _, rule := range slices.Sorted(maps.Keys(noticed)) {
			rules = append(rules, fmt.Sprintf("%s %d", rule, noticed[rule]))
		}
		out.line("warning: %d properties of services would be refused by a stricter policy: %s (`kargo check -o wide` lists each)", total, strings.Join(rules, ", "))
	}
}

// isNotice reports whether a problem is what the policy permits and only notices.
func isNotice(problem kargo.Problem) bool { return problem.Warning && problem.Rule != "" }

// printOpened prints which files were encrypted, and how they were decrypted.
func printOpened(out io.Writer, workspace kargo.Workspace) {
	for _, name := range slices.Sorted(maps.Keys(workspace.Files)) {
		if with := workspace.Files[name].HowOpened().With; with != "" {
			say(out, "%s: %s", name, with)
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
	printProblems(newScreenOn(cmd, cmd.ErrOrStderr()), problems, false)
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
