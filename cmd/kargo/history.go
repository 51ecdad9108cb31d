package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/server"
)

func historyCommand(env map[string]string) *cobra.Command {
	s := &settings{}
	var output string
	var limit int
	cmd := &cobra.Command{
		Use: "history [NUMBER]", Short: "Print what was deployed, when and why", GroupID: "controller",
		Long: `History prints the deployments, newest first. With a NUMBER it prints all of one:
each change with its reason, and which stacks it moved.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			number, err := deploymentNumber(args)
			if err != nil {
				return err
			}
			if number > 0 {
				limit = 0 // all: the one may be old
			}
			deployments, err := s.deployments(cmd.Context(), limit)
			if err != nil {
				return err
			}
			return sayDeployments(cmd.OutOrStdout(), output, number, deployments)
		},
	}
	s.dataFlags(cmd.Flags())
	s.clientFlags(cmd.Flags())
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many; 0 for all")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

func deploymentNumber(args []string) (uint64, error) {
	switch len(args) {
	case 0:
		return 0, nil
	case 1:
		number, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil || number == 0 {
			return 0, usagef("deployments are numbered from 1, %q is no number", args[0])
		}
		return number, nil
	}
	return 0, usagef("kargo history takes one number at most")
}

// deployments asks the controller, and reads the history itself where none
// runs.
func (s *settings) deployments(ctx context.Context, limit int) ([]kargo.Deployment, error) {
	controller, err := s.client()
	if errors.Is(err, errNoController) {
		if _, err := s.takeUsed(); err != nil {
			return nil, err
		}
		store, err := s.openHistory()
		if err != nil {
			return nil, err
		}
		defer store.Close()
		return store.Deployments(limit)
	}
	if err != nil {
		return nil, err
	}
	if limit == 0 || limit > server.MaxHistory {
		limit = server.MaxHistory
	}
	var deployments []kargo.Deployment
	err = controller.call(ctx, http.MethodGet, "/api/v1/history?limit="+strconv.Itoa(limit), nil, &deployments)
	return deployments, err
}

func sayDeployments(out io.Writer, output string, number uint64, deployments []kargo.Deployment) error {
	if number > 0 {
		for _, deployment := range deployments {
			if deployment.Number != number {
				continue
			}
			if output == "json" {
				return encode(out, output, deployment)
			}
			return printDeployment(out, deployment)
		}
		return usagef("there is no deployment %d", number)
	}
	if output == "json" {
		return encode(out, output, deployments)
	}
	return printDeployments(out, deployments)
}

func printDeployments(out io.Writer, deployments []kargo.Deployment) error {
	if len(deployments) == 0 {
		_, err := fmt.Fprintln(out, "nothing was deployed yet")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tSTARTED\tTOOK\tOUTCOME\tTRIGGER\tCHANGES\tSTACKS\tREVISION")
	for _, d := range deployments {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.Number, d.Started.Local().Format(time.DateTime), took(d),
			d.Outcome, d.Trigger, len(d.Changes), stacksMoved(d.Stacks), d.Revision)
	}
	return table.Flush()
}

// printHooks prints what the workspace's own scripts said.
func printHooks(out io.Writer, hooks []kargo.HookRun) {
	for _, hook := range hooks {
		fmt.Fprintf(out, "\nhook %s of stack %s took %s\n", hook.Script, hook.Stack, hook.Took)
		if hook.Err != "" {
			fmt.Fprintf(out, "  %s\n", hook.Err)
		}
		for line := range strings.Lines(hook.Output) {
			fmt.Fprintf(out, "  %s\n", strings.TrimRight(line, "\r\n"))
		}
	}
}

func printDeployment(out io.Writer, d kargo.Deployment) error {
	fmt.Fprintf(out, "deployment %d of %s\n", d.Number, d.Revision)
	if d.Revision.Author != "" {
		fmt.Fprintf(out, "by %s, %s\n", d.Revision.Author, d.Revision.Time.Local().Format(time.DateTime))
	}
	if d.Revision.Signer != "" {
		fmt.Fprintf(out, "signed by %s\n", d.Revision.Signer)
	}
	fmt.Fprintf(out, "%s, started %s by %s, took %s\n\n", d.Outcome, d.Started.Local().Format(time.DateTime), d.Trigger, took(d))
	for _, change := range d.Changes {
		fmt.Fprintln(out, change)
	}
	for _, hold := range d.Held {
		fmt.Fprintln(out, hold)
	}
	if len(d.Changes)+len(d.Held) == 0 {
		fmt.Fprintln(out, "nothing to do")
	}
	printHooks(out, d.Hooks)
	if d.Err != "" {
		fmt.Fprintf(out, "\nerror: %s\n", d.Err)
	}
	fmt.Fprintln(out)
	for _, stack := range d.Stacks {
		fmt.Fprintf(out, "%-10s %s\n", stack.Verdict, stack.Name)
	}
	for _, stack := range d.Stacks {
		printFailure(out, stack.Name, stack.Failure)
	}
	return nil
}

func took(d kargo.Deployment) string {
	if d.Finished.IsZero() {
		return "-"
	}
	return d.Finished.Sub(d.Started).Round(100 * time.Millisecond).String()
}

// stacksMoved names the stacks that did not stay as they were: "+new ~changed
// -removed", and counts the others.
func stacksMoved(results []kargo.StackResult) string {
	signs := map[kargo.Verdict]string{kargo.VerdictAdded: "+", kargo.VerdictChanged: "~", kargo.VerdictRemoved: "-"}
	var parts []string
	stayed := 0
	for _, result := range results {
		if sign := signs[result.Verdict]; sign != "" {
			parts = append(parts, sign+result.Name)
		} else {
			stayed++
		}
	}
	if stayed > 0 {
		parts = append(parts, fmt.Sprintf("=%d", stayed))
	}
	return strings.Join(parts, " ")
}
