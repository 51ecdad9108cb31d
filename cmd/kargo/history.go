package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/history"
	"kargo/server"
)

func historyCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var output string
	var asked deploymentsFlags
	cmd := &cobra.Command{
		Use: "history [NUMBER]", Short: "Print what was deployed, when and why", GroupID: "controller",
		Long: `History prints the deployments, the newest first. With a NUMBER it prints all of
one: each change with its reason, and which stacks it changed. The last 1000 are
kept; --before prints earlier ones.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			number, err := deploymentNumber(args)
			if err != nil {
				return err
			}
			if err := asked.check(); err != nil {
				return err
			}
			records, done, err := s.records()
			if err != nil {
				return err
			}
			defer done()
			if number > 0 {
				return sayDeployment(cmd, output, number, records)
			}
			deployments, err := records.Deployments(cmd.Context(), asked.before, asked.limit)
			if err != nil {
				return err
			}
			if output == "json" {
				return encode(cmd.OutOrStdout(), output, deployments)
			}
			return printDeployments(cmd.OutOrStdout(), deployments)
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().IntVarP(&asked.limit, "limit", "n", 20, "largest `number` of deployments to print; 0 prints all")
	cmd.Flags().Uint64Var(&asked.before, "before", 0, "print deployments with a smaller `number` only; 0 prints from the newest on")
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// deploymentsFlags are which deployments to print.
type deploymentsFlags struct {
	before uint64
	limit  int
}

func (f deploymentsFlags) check() error {
	if f.limit < 0 {
		return usagef("--limit takes a number of deployments, or 0 for all, not %d", f.limit)
	}
	return nil
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

// records is where the deployments are read: a running controller, or the
// history file itself.
type records interface {
	Deployment(ctx context.Context, number uint64) (*kargo.Deployment, error)
	Deployments(ctx context.Context, before uint64, limit int) ([]kargo.Deployment, error)
}

// records returns the controller's, and the file's where no controller runs.
// The caller calls done when it has read them.
func (s *remoteFlags) records() (_ records, done func(), err error) {
	controller, err := s.client(s.dataDir)
	if !errors.Is(err, errNoController) {
		return remoteRecords{controller}, func() {}, err
	}
	if _, err := s.useRemembered(); err != nil {
		return nil, nil, err
	}
	store, err := s.openHistoryToRead()
	if err == nil && store == nil {
		err = &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("no controller has worked here: there is no history in %s", s.state("")),
			Hint: "name the controller's data directory with --data, or its address with --url"}
	}
	if err != nil {
		return nil, nil, err
	}
	return localRecords{store}, func() { store.Close() }, nil
}

func noDeployment(number uint64) error {
	return kargo.Errorf(kargo.Invalid, "there is no deployment %d", number)
}

type localRecords struct{ store *history.Store }

func (r localRecords) Deployment(_ context.Context, number uint64) (*kargo.Deployment, error) {
	deployment, err := r.store.Deployment(number)
	if err == nil && deployment == nil {
		err = noDeployment(number)
	}
	return deployment, err
}

func (r localRecords) Deployments(_ context.Context, before uint64, limit int) ([]kargo.Deployment, error) {
	return r.store.Deployments(before, limit)
}

type remoteRecords struct{ controller *client }

func (r remoteRecords) Deployment(ctx context.Context, number uint64) (*kargo.Deployment, error) {
	var deployment kargo.Deployment
	err := r.controller.call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/deployments/%d", number), nil, &deployment)
	return &deployment, err
}

// Deployments asks for page after page until it has limit deployments.
func (r remoteRecords) Deployments(ctx context.Context, before uint64, limit int) ([]kargo.Deployment, error) {
	query := url.Values{"limit": {strconv.Itoa(server.MaxLimit)}}
	if limit > 0 && limit < server.MaxLimit {
		query.Set("limit", strconv.Itoa(limit))
	}
	if before > 0 {
		query.Set("before", strconv.FormatUint(before, 10))
	}
	all := []kargo.Deployment{}
	for next := "/api/v1/deployments?" + query.Encode(); next != ""; {
		var page server.Deployments
		if err := r.controller.call(ctx, http.MethodGet, next, nil, &page); err != nil {
			return nil, err
		}
		all, next = append(all, page.Deployments...), page.Next
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
	}
	return all, nil
}

func sayDeployment(cmd *cobra.Command, output string, number uint64, records records) error {
	deployment, err := records.Deployment(cmd.Context(), number)
	if err != nil {
		return err
	}
	if output == "json" {
		return encode(cmd.OutOrStdout(), output, deployment)
	}
	return printDeployment(cmd.OutOrStdout(), *deployment)
}

func printDeployments(out io.Writer, deployments []kargo.Deployment) error {
	if len(deployments) == 0 {
		_, err := fmt.Fprintln(out, "no deployments")
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

// printHooks prints the output of the workspace's hooks.
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
	if d.UnderWay != nil {
		fmt.Fprintf(out, "under way: %s\n", d.UnderWay)
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
// -removed !corrected", and counts the others.
func stacksMoved(results []kargo.StackResult) string {
	signs := map[kargo.Verdict]string{kargo.VerdictAdded: "+", kargo.VerdictChanged: "~", kargo.VerdictRemoved: "-", kargo.VerdictCorrected: "!"}
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
