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
one: each change with its reason, and which stacks it changed. --stack, --author,
--outcome and --search print only those that fit; --before and --all print earlier
ones. How many are kept is set by --history-keep (1000), --history-age and
--history-size of the controller.`,
		Example: "  kargo history\n  kargo history 41\n  kargo history --stack shop --outcome failed\n  kargo history --author ada --all -o wide",
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
			deployments, next, err := records.Deployments(cmd.Context(), asked)
			if err != nil {
				return err
			}
			text := func(out screen) error {
				printDeployments(out, deployments, output == outputWide, asked, next)
				return nil
			}
			return output.show(cmd, deployments, text, func() []string { return deploymentNumbers(deployments) })
		},
	}
	s.flags(cmd.Flags())
	cmd.ValidArgsFunction = s.completeDeployments(env, nil)
	asked.flags(cmd, s.completeStacks(env))
	output.flag(cmd, kinds{names: "numbers", wide: "durations, phases, triggers, the paths of Swarm"})
	return cmd
}

// deploymentsFlags are which deployments to print.
type deploymentsFlags struct {
	kargo.Search
	before uint64
	limit  int
	all    bool
}

func (f *deploymentsFlags) flags(cmd *cobra.Command, stacks cobra.CompletionFunc) {
	flags := cmd.Flags()
	flags.StringVar(&f.Stack, "stack", "", "print only deployments about this `STACK`")
	flags.StringVar(&f.Author, "author", "", "print only deployments with a commit of this author: a `name`, or a part of it")
	flags.StringVar((*string)(&f.Outcome), "outcome", "", "print only deployments with one outcome: the `kind` is "+alternatives(outcomeNames()))
	flags.StringVar(&f.Text, "search", "", "print only deployments with the words of this `TEXT` in subjects, reasons, names, commits or errors")
	flags.IntVarP(&f.limit, "limit", "n", 20, "largest `number` of deployments to print; 0 prints all")
	flags.Uint64Var(&f.before, "before", 0, "print deployments with a smaller `number` only; 0 prints from the newest on")
	flags.BoolVar(&f.all, "all", false, "print all deployments that fit")
	outcomes := cobra.FixedCompletions(outcomeNames(), cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("stack", stacks) // it fails for no such flag
	_ = cmd.RegisterFlagCompletionFunc("outcome", outcomes)
}

func outcomeNames() (names []string) {
	for _, outcome := range kargo.Outcomes() {
		names = append(names, string(outcome))
	}
	return names
}

// check completes the flags. The error is about one that is wrong.
func (f *deploymentsFlags) check() error {
	if f.limit < 0 {
		return usagef("--limit takes a number of deployments, or 0 for all, not %d", f.limit)
	}
	if f.Outcome != "" && !slices.Contains(kargo.Outcomes(), f.Outcome) {
		return usagef("--outcome takes %s, not %q", alternatives(outcomeNames()), string(f.Outcome))
	}
	if f.all {
		f.limit = 0
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
	// Deployments returns those that are asked for, and the number below which there may
	// be more; 0 if there are none.
	Deployments(ctx context.Context, asked deploymentsFlags) (found []kargo.Deployment, next uint64, err error)
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

func (r localRecords) Deployments(_ context.Context, asked deploymentsFlags) ([]kargo.Deployment, uint64, error) {
	return asked.Find(asked.before, asked.limit, 0, func(stack string, before uint64, limit int) ([]kargo.Deployment, error) {
		if stack != "" {
			return r.store.DeploymentsAbout(stack, before, limit)
		}
		return r.store.Deployments(before, limit)
	})
}

type remoteRecords struct{ controller *client }

func (r remoteRecords) Deployment(ctx context.Context, number uint64) (*kargo.Deployment, error) {
	var deployment kargo.Deployment
	err := r.controller.call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/deployments/%d", number), nil, &deployment)
	return &deployment, err
}

// Deployments asks for page after page until it has as many as are asked for.
func (r remoteRecords) Deployments(ctx context.Context, asked deploymentsFlags) (found []kargo.Deployment, next uint64, err error) {
	query := url.Values{"limit": {strconv.Itoa(server.MaxLimit)}}
	if asked.limit > 0 && asked.limit < server.MaxLimit {
		query.Set("limit", strconv.Itoa(asked.limit))
	}
	if asked.before > 0 {
		query.Set("before", strconv.FormatUint(asked.before, 10))
	}
	for name, value := range map[string]string{"stack": asked.Stack, "author": asked.Author, "outcome": string(asked.Outcome), "q": asked.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	found = []kargo.Deployment{}
	for address := "/api/v1/deployments?" + query.Encode(); address != ""; {
		var page server.Deployments
		if err := r.controller.call(ctx, http.MethodGet, address, nil, &page); err != nil {
			return nil, 0, err
		}
		more := len(found) + len(page.Deployments)
		found, address = append(found, page.Deployments...), page.Next
		if asked.limit > 0 && len(found) >= asked.limit {
			found = found[:asked.limit]
			if address != "" || more > asked.limit {
				next = found[asked.limit-1].Number
			}
			return found, next, nil
		}
	}
	return found, 0, nil
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

// printDeployments prints a table. next is the number below which there may be more.
func printDeployments(out screen, deployments []kargo.Deployment, wide bool, asked deploymentsFlags, next uint64) {
	switch {
	case len(deployments) > 0:
	case asked.Search != (kargo.Search{}):
		out.line("no deployment that is kept fits")
	case asked.before > 0:
		out.line("no deployment before %d is kept", asked.before)
	default:
		out.line("nothing was deployed yet")
	}
	header := []string{"NUMBER", "STARTED", "OUTCOME", "WHAT", "STACKS", "REVISION"}
	if wide {
		header = []string{"NUMBER", "STARTED", "TOOK", "OUTCOME", "WHAT", "CHANGES", "STACKS", "TRIGGER", "REVISION"}
	}
	var rows [][]cell
	for _, d := range deployments {
		number, started := plain(strconv.FormatUint(d.Number, 10)), plain(d.Started.Local().Format(time.DateTime))
		outcome, what := cell{string(d.Outcome), outcomeColour(d.Outcome)}, plain(string(cmp.Or(d.Kind, kargo.EntryUpdate)))
		stacks, revision := plain(cmp.Or(fewWords(stacksMoved(d.Results()), out.room(wide)), "-")), plain(inOneLine(d))
		if wide {
			rows = append(rows, []cell{number, started, plain(took(d)), outcome, what, plain(strconv.Itoa(len(d.Changes))), stacks, plain(d.Trigger), revision})
			continue
		}
		rows = append(rows, []cell{number, started, outcome, what, stacks, revision})
	}
	out.tableOfTexts(header, rows, roomForRevision)
	if next > 0 && out.terminal != nil {
		out.line("%s", out.paint(faint, fmt.Sprintf("earlier ones: --before %d, or --all", next)))
	}
}

// room returns how many columns the stacks of a deployment may take; 0 is any number.
func (s screen) room(wide bool) int {
	switch {
	case s.width == 0 || wide:
		return 0
	case s.width < 120:
		return 24
	}
	return 30
}

// fewWords returns the first words of a text that fit so many columns, and counts the
// others.
func fewWords(text string, columns int) string {
	words := strings.Fields(text)
	for n := len(words); n > 0; n-- {
		few := strings.Join(words[:n], " ")
		if more := len(words) - n; more > 0 {
			few += fmt.Sprintf(" and %d more", more)
		}
		if columns == 0 || visible(few) <= columns || n == 1 {
			return few
		}
	}
	return text
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
	if authors := d.Authors(); len(authors) > 0 {
		text += " by " + strings.Join(authors, ", ")
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
	if text := phasesText(d.Phases); wide && text != "" {
		out.line("of that %s", text)
	}
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
	for _, stack := range d.Failures() {
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
	if at := slices.Index(verdicts, kargo.VerdictUnchanged); at >= 0 { // what stayed comes last
		verdicts = append(slices.Delete(verdicts, at, at+1), kargo.VerdictUnchanged)
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

// phasesText returns the phases in one line: "observe 1.2s, render 300ms".
func phasesText(phases []kargo.Phase) string {
	var texts []string
	for _, phase := range phases {
		if took := phase.Took.Round(time.Millisecond); took > 0 {
			texts = append(texts, phase.Name+" "+took.String())
		}
	}
	return strings.Join(texts, ", ")
}

// stacksMoved names the stacks that did not stay as they were: "+new ~changed
// -removed !corrected ‖held", and counts the others.
func stacksMoved(results []kargo.StackResult) string {
	signs := map[kargo.Verdict]string{kargo.VerdictAdded: "+", kargo.VerdictChanged: "~", kargo.VerdictRemoved: "-", kargo.VerdictCorrected: "!", kargo.VerdictHeld: "‖"}
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
