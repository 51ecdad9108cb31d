package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kargo"
)

func statusCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var output string
	cmd := &cobra.Command{
		Use: "status", Short: "Print the revision in force, and the state of its stacks", GroupID: "controller", Args: noArgs,
		Long: `Status prints the revision in force, the state of each stack and service, what
failed and why, and the pending plan with its holds.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var status kargo.Status
			if err := s.ask(cmd, env, http.MethodGet, "/api/v1/status", nil, &status); err != nil {
				return err
			}
			if output == "json" {
				return encode(cmd.OutOrStdout(), output, status)
			}
			return printStatus(cmd.OutOrStdout(), status, clock())
		},
	}
	s.flags(cmd.Flags())
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// printStatus prints the status for a terminal.
func printStatus(out io.Writer, status kargo.Status, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }
	row("repository", status.Repository)
	row("in force", orNone(status.Applied))
	for _, stack := range status.Elsewhere() {
		row("", "but "+stack.Name+elsewhere(stack))
	}
	if status.Applied.Signer != "" {
		row("signed by", status.Applied.Signer)
	}
	if status.Head.ID() != status.Applied.ID() {
		row("head", orNone(status.Head))
	}
	row("looked", "git "+ago(status.LastFetched, now)+", swarm "+ago(status.LastVerified, now))
	if status.Fault != "" {
		row("fault", status.Fault+": "+firstLine(status.Message))
	}
	if status.HistoryTrouble != "" {
		row("history", status.HistoryTrouble)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if status.Problems.Err() != nil {
		fmt.Fprintf(out, "\nThe head is refused:\n")
	}
	for _, problem := range status.Problems {
		fmt.Fprintf(out, "  %s\n", problem)
	}
	printStacks(out, status.Stacks, now)
	if len(status.Removed) > 0 {
		fmt.Fprintf(out, "\nremoved by this revision: %s\n", strings.Join(status.Removed, " "))
	}
	if len(status.Images) > 0 {
		fmt.Fprintln(out)
		printImages(out, status.Images, now)
	}
	printCleaned(out, status.Cleaned, now)
	printPending(out, status.Pending)
	return nil
}

func printStacks(out io.Writer, stacks []kargo.StackStatus, now time.Time) {
	if len(stacks) == 0 {
		return
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STACK\tSERVICE\tTASKS\tHEALTH\tIN SYNC\tNOW\tTHIS REVISION\tRUNS\tVERIFIED\tIMAGE")
	for _, stack := range stacks {
		fmt.Fprintf(table, "%s\t\t\t%s\t%s\t%s\t%s\t%s\t%s\t\n", stack.Name, stack.Health, yesNo(stack.InSync), cmp.Or(string(stack.Operation), "-"),
			stack.Verdict, stack.Revision.Short(), ago(stack.LastVerified, now))
		for _, service := range stack.Services {
			fmt.Fprintf(table, "\t%s\t%d/%d\t%s\t%s\t%s\t\t\t\t%s\n", service.Name, service.Running, service.Desired,
				service.Health, yesNo(service.InSync), cmp.Or(string(service.Operation), "-"), service.Image)
		}
	}
	table.Flush()
	for _, stack := range stacks {
		printFailure(out, stack.Name, stack.Failure)
		if stack.Message != "" {
			fmt.Fprintf(out, "\n%s: %s\n", stack.Name, stack.Message)
		}
	}
}

// elsewhere says what a stack runs that does not run the revision in force.
func elsewhere(stack kargo.StackStatus) string {
	if stack.Leaving {
		return " still runs, of " + stack.Revision.Short()
	}
	return " runs " + stack.Revision.Short()
}

// printFailure prints why a stack's rendering failed, if it did, and what its
// tasks said.
func printFailure(out io.Writer, stack string, failure *kargo.Failure) {
	if failure == nil {
		return
	}
	fmt.Fprintf(out, "\n%s: the rendering of %s failed: %s\n", stack, failure.Revision.Short(), failure.Reason)
	for _, line := range failure.Words {
		fmt.Fprintf(out, "  %s\n", line)
	}
}

func printCleaned(out io.Writer, cleaned *kargo.Cleaned, now time.Time) {
	if cleaned == nil {
		return
	}
	fmt.Fprintf(out, "\nimages cleaned %s%s\n", ago(cleaned.Time, now), because(cleaned.Err))
	for _, node := range cleaned.Nodes {
		fmt.Fprintf(out, "  %s: %s%s\n", node.Node, firstLine(node.Said), because(node.Err))
	}
}

// because returns an error in brackets, to be put behind a text; it is empty if
// there is none.
func because(err string) string {
	if err == "" {
		return ""
	}
	return " (" + err + ")"
}

func printPending(out io.Writer, pending kargo.PlanText) {
	if len(pending.Changes)+len(pending.Held) == 0 {
		return
	}
	fmt.Fprintf(out, "\nPending:\n")
	approvable := false
	for _, change := range pending.Changes {
		fmt.Fprintf(out, "  %s\n", change)
	}
	for _, hold := range pending.Held {
		fmt.Fprintf(out, "  %s\n", hold)
		approvable = approvable || hold.Until == kargo.UntilApproved
	}
	if approvable {
		fmt.Fprintf(out, "To approve it: kargo approve %s\n", pending.ID)
	}
}

func orNone(revision kargo.Revision) string {
	if revision.Commit == "" {
		return "nothing yet"
	}
	return revision.String()
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// ago returns a time as people say it.
func ago(then, now time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return now.Sub(then).Round(time.Second).String() + " ago"
}
