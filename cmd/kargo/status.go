package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kargo"
)

func statusCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var output output
	var watch bool
	cmd := &cobra.Command{
		Use: "status [STACK…]", Short: "Print what runs, and what is not well", GroupID: "controller",
		Long: `Status says in one sentence whether all stacks are well. Below it are the stacks
that are not, each with the reason, and then all others, one a line. For the
stacks that you name it prints their services, too, with the tasks on each node, since
when they run, and what they use. -o wide prints the services of all. With --watch it
prints the status again and again on a terminal, and each change elsewhere.

The exit code is 4 if a stack failed or is degraded, if a revision was refused, or
if the controller cannot do its work.`,
		Example:           "  kargo status\n  kargo status shop\n  kargo status --watch\n  kargo status -o json --url https://kargo.example --api-token-file token",
		ValidArgsFunction: s.completeStacks(env),
		RunE: func(cmd *cobra.Command, args []string) error {
			var status kargo.Status
			if err := s.ask(cmd, env, http.MethodGet, "/api/v1/status", nil, &status); err != nil {
				return err
			}
			if err := onlyStacks(&status, args); err != nil {
				return err
			}
			if watch {
				return s.watch(cmd, status, args, output == outputWide)
			}
			text := func(out screen) error {
				printStatus(out, status, output == outputWide, clock())
				return s.printDetails(cmd, env, out, args)
			}
			if err := output.show(cmd, status, text, func() []string { return namesOfStacks(status.Stacks) }); err != nil {
				return err
			}
			if status.Failed() {
				return printedError{notWellError{errors.New(status.Sentence())}}
			}
			return nil
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "stacks", wide: "services"})
	cmd.Flags().BoolVar(&watch, "watch", false, "print the status again until interrupted")
	return cmd
}

// printDetails prints the named stacks with all that runs of them.
func (r *remoteFlags) printDetails(cmd *cobra.Command, env map[string]string, out screen, stacks []string) error {
	if len(stacks) == 0 {
		return nil
	}
	details, err := r.details(cmd, env, stacks)
	if err != nil {
		return err
	}
	for _, stack := range details {
		printDetail(out, stack, clock())
	}
	return nil
}

// betweenPictures is the time between two pictures of the status.
const betweenPictures = 2 * time.Second

// watch prints the status until the person has seen enough: as a picture on a terminal,
// and what changes elsewhere.
func (r *remoteFlags) watch(cmd *cobra.Command, status kargo.Status, stacks []string, wide bool) error {
	controller, err := r.client(r.dataDir)
	if err != nil {
		return err
	}
	out, changes := newScreen(cmd), newProgress(newScreen(cmd))
	said := ""
	for {
		if out.terminal != nil {
			_, _ = io.WriteString(out.terminal, "\x1b[H\x1b[J") // to the corner, and erase what is below
			printStatus(out, status, wide || len(stacks) > 0, clock())
		} else {
			changes.show(status, clock())
			if sentence := status.Sentence(); sentence != said {
				out.line("%s", sentence)
				said = sentence
			}
		}
		if sleep(cmd.Context(), betweenPictures) != nil {
			return nil
		}
		status = kargo.Status{}
		if err := controller.call(cmd.Context(), http.MethodGet, "/api/v1/status", nil, &status); err != nil {
			if cmd.Context().Err() != nil {
				return nil
			}
			return err
		}
		if err := onlyStacks(&status, stacks); err != nil {
			return err
		}
	}
}

// onlyStacks leaves the named stacks in a status; all if none is named.
func onlyStacks(status *kargo.Status, names []string) error {
	for _, name := range names {
		if !slices.Contains(namesOfStacks(status.Stacks), name) {
			return kargo.Errorf(kargo.Invalid, "there is no stack %q", name)
		}
	}
	if len(names) > 0 {
		status.Stacks = slices.DeleteFunc(status.Stacks, func(s kargo.StackStatus) bool { return !slices.Contains(names, s.Name) })
		status.Pending.Changes = slices.DeleteFunc(status.Pending.Changes, func(c kargo.Change) bool { return !slices.Contains(names, c.Stack) })
		status.Pending.Held = slices.DeleteFunc(status.Pending.Held, func(h kargo.Hold) bool { return !slices.Contains(names, h.Stack) })
		status.Pending.Warnings = slices.DeleteFunc(status.Pending.Warnings, func(w kargo.Warning) bool { return !slices.Contains(names, w.Stack) })
	}
	return nil
}

func namesOfStacks(stacks []kargo.StackStatus) []string {
	names := []string{}
	for _, stack := range stacks {
		names = append(names, stack.Name)
	}
	return names
}

// printStatus prints the status for a terminal.
func printStatus(out screen, status kargo.Status, services bool, now time.Time) {
	colour := green
	if status.Failed() {
		colour = red
	} else if len(status.InState(kargo.StackWell)) < len(status.Stacks) {
		colour = yellow
	}
	out.line("%s", out.paint(colour, status.Sentence()))
	out.line("%s", inForce(status))
	out.line("%s", out.paint(faint, "looked at git "+ago(status.LastFetched, now)+", at swarm "+ago(status.LastVerified, now)+"; "+status.Repository))
	printTrouble(out, status)
	printNotWell(out, status)
	printStacks(out, status.Stacks, services, now)
	if len(status.Removed) > 0 {
		out.line("\nremoved by this revision: %s", strings.Join(status.Removed, " "))
	}
	if len(status.Images) > 0 {
		out.line("")
		printImages(out, status.Images, services, now)
	}
	printCleaned(out, status.Cleaned, now)
	printPending(out, status)
}

// inForce says which revision is in force, as far as all of it is.
func inForce(status kargo.Status) string {
	text := "in force: " + orNone(status.Applied)
	if elsewhere := status.Elsewhere(); len(elsewhere) > 0 {
		text = "in force, but not for " + strings.Join(namesOfStacks(elsewhere), ", ") + ": " + orNone(status.Applied)
	}
	if status.Applied.Author != "" {
		text += " by " + status.Applied.Author
	}
	if status.Applied.Signer != "" {
		text += ", signed by " + status.Applied.Signer
	}
	return text
}

// printTrouble prints what is wrong besides the stacks.
func printTrouble(out screen, status kargo.Status) {
	if status.HistoryTrouble != "" {
		out.line("data directory: %s", status.HistoryTrouble)
	}
	if status.Problems.Err() != nil {
		for _, away := range []struct{ what, why string }{{"the repository cannot be read", status.GitTrouble}, {"the Swarm cannot be reached", status.SwarmTrouble},
			{"the controller cannot write to its disk", status.DiskTrouble}} {
			if away.why != "" {
				out.line("\n%s: %s", out.paint(red, away.what), firstLine(away.why))
			}
		}
		out.line("\n%s %s is refused; what is in force stays so:", out.paint(red, "revision"), orNone(status.Head))
	} else {
		if status.Head.ID() != status.Applied.ID() {
			out.line("newest: %s", orNone(status.Head))
		}
		if status.Fault != "" {
			out.line("\n%s: %s", out.paint(red, status.Fault), firstLine(status.Message))
		}
	}
	for _, problem := range status.Problems {
		out.line("  %s", problem)
	}
}

// printNotWell prints what is wrong with the stacks that are not well, the worst first.
// Those that follow each other and have the same to say are said together.
func printNotWell(out screen, status kargo.Status) {
	type group struct {
		names       []string
		state       kargo.StackState
		runs, words string
	}
	var groups []group
	for _, state := range kargo.StackStates() {
		for _, stack := range status.InState(state) {
			if state == kargo.StackWell {
				continue
			}
			next := group{[]string{stack.Name}, state, runsInstead(stack), strings.Join(wordsOf(stack, status), "\n")}
			if last := len(groups) - 1; last >= 0 && groups[last].state == next.state && groups[last].runs == next.runs && groups[last].words == next.words {
				groups[last].names = append(groups[last].names, stack.Name)
				continue
			}
			groups = append(groups, next)
		}
	}
	for _, group := range groups {
		out.line("\n%s %s%s", out.paint(bold, strings.Join(group.names, ", ")), out.paint(stateColour(group.state), string(group.state)), group.runs)
		if group.words != "" {
			out.line("%s", group.words)
		}
	}
}

// wordsOf says what is wrong with a stack, and what a person can do, line by line.
func wordsOf(stack kargo.StackStatus, status kargo.Status) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, "  "+fmt.Sprintf(format, args...)) }
	if stack.Failure != nil {
		say("the rendering of %s failed: %s", stack.Failure.Revision.Short(), stack.Failure.Briefly())
		for _, line := range stack.Failure.Words {
			say("%s", line)
		}
	}
	if stack.Message != "" && (stack.Failure == nil || stack.Message != stack.Failure.Reason) {
		say("%s", stack.Message)
	}
	if stack.Stop != nil {
		say("%s; to end it: kargo release %s", stack.Stop, stack.Name)
	}
	for _, hold := range status.Pending.Held {
		if hold.Stack != stack.Name {
			continue
		}
		if words := wordsOfHold(hold, stack, status); words != "" {
			say("%s", words)
		}
	}
	if stack.Failure != nil {
		say("to try it again: kargo retry %s", stack.Name)
	}
	return lines
}

// wordsOfHold returns a hold of a stack that is not well, without what was said already; it
// is empty if nothing is left.
func wordsOfHold(hold kargo.Hold, stack kargo.StackStatus, status kargo.Status) string {
	rest := withoutStop(hold, status)
	stopped := rest != hold.Reason
	if stack.Stop != nil && !stopped {
		rest, stopped = strings.CutPrefix(hold.Reason, stack.Stop.String()+"; ")
	}
	switch {
	case hold.Reason == stack.Message, stopped && hold.Kind == "", stack.Failure != nil && strings.Contains(hold.Reason, stack.Failure.Reason):
		return ""
	case stopped:
		return fmt.Sprintf("%s %s: %s", hold.Kind, hold.Name, rest)
	}
	return hold.String()
}

// withoutStop returns the reason of a hold without that the controller is suspended or
// frozen: the status begins with it.
func withoutStop(hold kargo.Hold, status kargo.Status) string {
	rest := hold.Reason
	if status.Suspended != nil {
		rest = strings.TrimPrefix(rest, status.Suspended.Suspended()+"; ")
	}
	if status.Frozen != nil {
		rest = strings.TrimPrefix(rest, status.Frozen.String()+"; ")
	}
	return rest
}

func runsInstead(stack kargo.StackStatus) string {
	switch {
	case stack.Leaving:
		return "; still running, of " + stack.Revision.Short()
	case stack.Wanted != "":
		return "; " + stack.Revision.Short() + " runs, not " + stack.Wanted.Short()
	}
	return ""
}

func stateColour(state kargo.StackState) string {
	switch state {
	case kargo.StackFailed, kargo.StackDegraded:
		return red
	case kargo.StackHeld, kargo.StackLeaving, kargo.StackOutOfSync:
		return yellow
	case kargo.StackProgressing:
		return blue
	case kargo.StackWell:
	}
	return green
}

// printStacks prints a table of the stacks, one a line, with their services if that
// is asked for.
func printStacks(out screen, stacks []kargo.StackStatus, services bool, now time.Time) {
	if len(stacks) == 0 {
		return
	}
	out.line("")
	var rows [][]cell
	for _, stack := range stacks {
		var running, desired uint64
		for _, service := range stack.Services {
			running, desired = running+service.Running, desired+service.Desired
		}
		doing := string(stack.State())
		if stack.State() == kargo.StackProgressing && stack.Operation != "" {
			doing = string(stack.Operation)
		}
		rows = append(rows, []cell{
			plain(stack.Name), {doing, stateColour(stack.State())}, plain(fmt.Sprintf("%d/%d", running, desired)),
			plain(cmp.Or(stack.Revision.Short(), "-")), plain(ago(stack.LastVerified, now)),
		})
	}
	out.table([]string{"STACK", "STATE", "TASKS", "RUNS", "VERIFIED"}, rows)
	if services {
		printServices(out, stacks)
	}
}

func printServices(out screen, stacks []kargo.StackStatus) {
	var rows [][]cell
	for _, stack := range stacks {
		for _, service := range stack.Services {
			doing := string(service.Health)
			if service.Operation != "" {
				doing = string(service.Operation)
			}
			rows = append(rows, []cell{plain(service.Name), plain(doing), plain(fmt.Sprintf("%d/%d", service.Running, service.Desired)), plain(service.Image)})
		}
	}
	out.line("")
	out.table([]string{"SERVICE", "STATE", "TASKS", "IMAGE"}, rows)
	for _, stack := range stacks {
		for _, service := range stack.Services {
			if service.Message != "" {
				out.line("%s: %s", service.Name, service.Message)
			}
		}
	}
}

// printFailure prints why a stack's rendering failed, if it did, and what its
// tasks said. A reason that was said already is left out.
func printFailure(out screen, stack string, failure *kargo.Failure, said string) {
	if failure == nil {
		return
	}
	reason := ": " + failure.Briefly()
	if strings.Contains(said, failure.Reason) {
		reason = ""
	}
	out.line("\n%s: the rendering of %s failed%s", stack, failure.Revision.Short(), reason)
	for _, line := range failure.Words {
		out.line("  %s", line)
	}
}

func printCleaned(out screen, cleaned *kargo.Cleaned, now time.Time) {
	if cleaned == nil {
		return
	}
	out.line("\nimages cleaned %s%s", ago(cleaned.Time, now), because(cleaned.Err))
	for _, node := range cleaned.Nodes {
		out.line("  %s: %s%s", node.Node, firstLine(node.Said), because(node.Err))
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

// printPending prints what the next rounds do, or wait to do. Holds that were printed
// with their stack are left out.
func printPending(out screen, status kargo.Status) {
	pending := status.Pending
	notWell := map[string]bool{}
	for _, stack := range status.Stacks {
		notWell[stack.Name] = stack.State() != kargo.StackWell
	}
	var lines []string
	approvable := false
	for _, change := range pending.Changes {
		lines = append(lines, strings.Split(change.InWords(), "\n")...)
	}
	for _, hold := range pending.Held {
		if approvable = approvable || hold.Until == kargo.UntilApproved; !notWell[hold.Stack] {
			line := hold.String()
			if rest := withoutStop(hold, status); rest != hold.Reason {
				line = fmt.Sprintf("%s %s: %s", hold.Kind, hold.Name, rest)
			}
			lines = append(lines, line)
		}
	}
	for _, warning := range pending.Warnings {
		lines = append(lines, warning.String())
	}
	if len(lines) > 0 {
		out.line("\nPending:")
	}
	for _, line := range lines {
		out.line("  %s", line)
	}
	if approvable {
		out.line("\nTo approve what waits for it: kargo approve %s", pending.ID)
	}
}

func orNone(revision kargo.Revision) string {
	if revision.Commit == "" {
		return "nothing yet"
	}
	return revision.String()
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
