package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/history"
	"kargo/server"
)

func historyCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var output output
	var asked deploymentsFlags
	cmd := &cobra.Command{
		Use: "history [NUMBER]", Short: "Print what was deployed, when and why", GroupID: "controller",
		Long: `History prints the deployments, the newest first. With a NUMBER it prints all of
one: each change with its reason, and which stacks it changed. --before
prints earlier ones. How many are kept is set by --history-keep (1000),
--history-age and --history-size of the controller.`,
		Example: "  kargo history\n  kargo history 41\n  kargo history -n 100 -o wide",
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
			return output.show(cmd, deployments, func(out screen) error { return printDeployments(out, deployments, output == outputWide) },
				func() []string { return deploymentNumbers(deployments) })
		},
	}
	s.flags(cmd.Flags())
	cmd.ValidArgsFunction = s.completeDeployments(env, nil)
	cmd.Flags().IntVarP(&asked.limit, "limit", "n", 20, "largest `number` of deployments to print; 0 prints all")
	cmd.Flags().Uint64Var(&asked.before, "before", 0, "print deployments with a smaller `number` only; 0 prints from the newest on")
	output.flag(cmd, kinds{names: "numbers", wide: "durations, triggers, the paths of Swarm"})
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

func sayDeployment(cmd *cobra.Command, output output, number uint64, records records) error {
	deployment, err := records.Deployment(cmd.Context(), number)
	if err != nil {
		return err
	}
	return output.show(cmd, deployment, func(out screen) error { return printDeployment(out, *deployment, output == outputWide) },
		func() []string { return []string{strconv.FormatUint(number, 10)} })
}

func deploymentNumbers(deployments []kargo.Deployment) []string {
	var numbers []string
	for _, d := range deployments {
		numbers = append(numbers, strconv.FormatUint(d.Number, 10))
	}
	return numbers
}

func printDeployments(out screen, deployments []kargo.Deployment, wide bool) error {
	if len(deployments) == 0 {
		out.line("no deployments")
		return nil
	}
	header := []string{"NUMBER", "STARTED", "OUTCOME", "WHAT", "STACKS", "REVISION"}
	if wide {
		header = []string{"NUMBER", "STARTED", "TOOK", "OUTCOME", "WHAT", "CHANGES", "STACKS", "TRIGGER", "REVISION"}
	}
	var rows [][]cell
	for _, d := range deployments {
		number, started := plain(strconv.FormatUint(d.Number, 10)), plain(d.Started.Local().Format(time.DateTime))
		outcome, what := cell{string(d.Outcome), outcomeColour(d.Outcome)}, plain(string(cmp.Or(d.Kind, kargo.EntryUpdate)))
		stacks, revision := plain(cmp.Or(stacksMoved(d.Stacks), "-")), plain(inOneLine(d))
		if wide {
			rows = append(rows, []cell{number, started, plain(took(d)), outcome, what, plain(strconv.Itoa(len(d.Changes))), stacks, plain(d.Trigger), revision})
			continue
		}
		rows = append(rows, []cell{number, started, outcome, what, stacks, revision})
	}
	out.tableOfTexts(header, rows, roomForRevision)
	return nil
}

// roomForRevision is how many columns a revision should have, with its subject and author.
const roomForRevision = 50

// inOneLine returns the revision of an entry, who wrote it, and what it says.
func inOneLine(d kargo.Deployment) string {
	if d.Note != "" {
		return strings.TrimSpace(d.Note + " " + d.By.Did(""))
	}
	text := d.Revision.String()
	if len(d.Commits) > 1 {
		text += fmt.Sprintf(" and %d more", len(d.Commits)-1)
	}
	if d.Revision.Author != "" {
		text += " by " + d.Revision.Author
	}
	return text
}

func outcomeColour(outcome kargo.Outcome) string {
	switch outcome {
	case kargo.OutcomeSucceeded:
		return green
	case kargo.OutcomeFailed, kargo.OutcomeRefused:
		return red
	case kargo.OutcomeRunning, kargo.OutcomeProgressing:
		return blue
	case kargo.OutcomeHeld:
		return yellow
	case kargo.OutcomeSuperseded:
	}
	return faint
}

// printHooks prints the output of the workspace's hooks.
func printHooks(out screen, hooks []kargo.HookRun) {
	for _, hook := range hooks {
		out.line("\nhook %s of stack %s took %s", hook.Script, hook.Stack, hook.Took)
		if hook.Err != "" {
			out.line("  %s", hook.Err)
		}
		for line := range strings.Lines(hook.Output) {
			out.line("  %s", strings.TrimRight(line, "\r\n"))
		}
	}
}

func printDeployment(out screen, d kargo.Deployment, wide bool) error {
	out.line("%s %d of %s", deploymentWord(d), d.Number, d.Revision)
	printCommits(out, d)
	if d.Revision.Signer != "" {
		out.line("signed by %s", d.Revision.Signer)
	}
	out.line("%s, started %s by %s, took %s", out.paint(outcomeColour(d.Outcome), string(d.Outcome)), d.Started.Local().Format(time.DateTime), d.Trigger, took(d))
	if d.By != (kargo.Person{}) {
		out.line("asked for by %s", d.By)
	}
	if d.Note != "" {
		out.line("%s", d.Note)
	}
	if !d.Kind.IsNote() {
		out.line("")
		printChanges(out, d, wide)
	}
	printHooks(out, d.Hooks)
	if d.Err != "" {
		out.line("\nerror: %s", d.Err)
	}
	if len(d.Stacks) > 0 {
		out.line("")
	}
	printVerdicts(out, d.Stacks)
	for _, stack := range d.Stacks {
		printFailure(out, stack.Name, stack.Failure, d.Err)
	}
	return nil
}

// printVerdicts prints what a deployment meant for the stacks, each verdict in one line.
func printVerdicts(out screen, results []kargo.StackResult) {
	var verdicts []kargo.Verdict
	stacks := map[kargo.Verdict][]string{}
	for _, result := range results {
		if stacks[result.Verdict] == nil {
			verdicts = append(verdicts, result.Verdict)
		}
		stacks[result.Verdict] = append(stacks[result.Verdict], result.Name)
	}
	for _, verdict := range verdicts {
		out.entry(string(verdict), strings.Join(stacks[verdict], " "), 11)
	}
}

// deploymentWord returns what an entry of the history is called.
func deploymentWord(d kargo.Deployment) string {
	if d.Kind == "" || d.Kind == kargo.EntryUpdate {
		return "deployment"
	}
	return string(d.Kind)
}

// printCommits prints the commits that a deployment brought, each with its author.
func printCommits(out screen, d kargo.Deployment) {
	if len(d.Commits) < 2 && !d.Earlier {
		if d.Revision.Author != "" {
			out.line("by %s, %s", d.Revision.Author, d.Revision.Time.Local().Format(time.DateTime))
		}
		return
	}
	for _, commit := range d.Commits {
		out.line("  %s, %s", commit, commit.Time.Local().Format(time.DateTime))
	}
	if d.Earlier {
		out.line("  and earlier commits, which are not known here (--depth 0 keeps them)")
	}
}

func printChanges(out screen, d kargo.Deployment, wide bool) {
	for _, change := range d.Changes {
		if wide {
			out.line("%s", change)
			continue
		}
		out.changes(change.InWords())
	}
	if d.UnderWay != nil {
		out.line("under way: %s", d.UnderWay)
	}
	for _, hold := range d.Held {
		if !saysFailure(hold, d.Stacks) {
			out.line("%s", hold)
		}
	}
	if len(d.Changes)+len(d.Held) == 0 {
		out.line("nothing to do")
	}
}

// saysFailure reports whether a hold says only that the rendering of its stack failed: that
// is printed with the failure.
func saysFailure(hold kargo.Hold, results []kargo.StackResult) bool {
	return slices.ContainsFunc(results, func(r kargo.StackResult) bool {
		return r.Name == hold.Stack && r.Failure != nil && strings.Contains(hold.Reason, r.Failure.Reason)
	})
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
