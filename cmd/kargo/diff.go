package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/controller"
)

func diffCommand(env map[string]string) *cobra.Command {
	s := &planFlags{}
	var output output
	var exitCode bool
	cmd := &cobra.Command{
		Use: "diff [STACK] [FROM..TO]", Short: "Print how what runs differs from git, or two deployments from each other", GroupID: "swarm",
		Long: `Diff compares what runs with the newest revision: all of it, also what is held, what
waits, and drift that is left as it is. "kargo plan" prints what would be done about
it.

FROM and TO are deployments (their numbers), commits that were deployed (7
characters or more), "git" for the newest revision, or "live" for what runs, which
may be FROM only. A number alone compares what runs with that deployment, and two
numbers are a range. Without TO, the newest revision is meant.

If a controller runs, with the same data directory or at --url, it compares. Secrets
are shown as "***" and a digest.`,
		Example: "  kargo diff\n  kargo diff shop\n  kargo diff 41..43\n  kargo diff shop a5ad1b0c3f12..git\n  kargo diff --workspace ./workspace -o wide",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			stack, from, to, err := compared(args)
			if err != nil {
				return err
			}
			diff, err := s.diff(cmd, env, stack, from, to)
			if err != nil {
				return err
			}
			refused := refuse(cmd, diff.Problems)
			if err := errors.Join(showDiff(cmd, output, diff), refused); err != nil {
				return err
			}
			if exitCode && len(diff.Changes) > 0 {
				return printedError{errChangesPending}
			}
			return nil
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "objects that differ", wide: "the names and paths of Swarm"})
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with exit code 5 if there are differences")
	cmd.ValidArgsFunction = (&remoteFlags{}).completeStacks(env)
	return cmd
}

// compared returns what the arguments of diff mean: a stack, and two states.
func compared(args []string) (stack, from, to string, err error) {
	from, to = kargo.StateLive, kargo.StateGit
	if len(args) > 2 {
		return "", "", "", usagef("kargo diff takes a stack and FROM..TO at most")
	}
	numbers := false // the first argument is the number of a deployment
	for i, arg := range args {
		before, after, isRange := strings.Cut(arg, "..")
		_, notNumber := strconv.ParseUint(arg, 10, 64)
		switch {
		case isRange:
			if before != "" {
				from = before
			}
			if after != "" {
				to = after
			}
		case notNumber == nil && i > 0 && numbers:
			from, to = to, arg
		case notNumber == nil:
			to, numbers = arg, true
		case i > 0:
			return "", "", "", usagef("%q is no range: give FROM..TO", arg)
		default:
			stack = arg
		}
	}
	return stack, from, to, nil
}

// diff compares two states, here or in the controller.
func (s *planFlags) diff(cmd *cobra.Command, env map[string]string, stack, from, to string) (diff kargo.Diff, err error) {
	asks, err := s.asksController()
	if err != nil {
		return diff, err
	}
	if asks {
		query := url.Values{"stack": {stack}, "from": {from}, "to": {to}}
		return diff, s.askSlowly(cmd.Context(), "/api/v1/diff?"+query.Encode(), &diff)
	}
	err = s.inspect(cmd, env, func(r *controller.Reconciler) (err error) {
		diff, err = r.Diff(cmd.Context(), from, to, stack)
		return err
	})
	return diff, err
}

func showDiff(cmd *cobra.Command, output output, diff kargo.Diff) error {
	if diff.Changes == nil {
		diff.Changes = []kargo.Change{}
	}
	text := func(out screen) error {
		out.line("%s", out.paint(faint, "from "+diff.From.String()+" to "+diff.To.String()))
		words := diff.InWords()
		if output == outputWide {
			words = diff.Paths()
		}
		out.changes(words)
		for _, stack := range diff.Unknown {
			out.line("%s", out.paint(yellow, "? "+stack+"  is not compared: its rendering is not kept any more"))
		}
		out.line("%s", out.paint(bold, diff.Summary()))
		return nil
	}
	names := func() []string {
		var names []string
		for _, change := range diff.Changes {
			names = append(names, change.Title())
		}
		return names
	}
	if err := output.show(cmd, diff, text, names); err != nil {
		return fmt.Errorf("print differences: %w", err)
	}
	return nil
}
