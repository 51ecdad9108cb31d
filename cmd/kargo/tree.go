package main

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kargo"
)

func treeCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var output output
	cmd := &cobra.Command{
		Use: "tree [STACK…]", Short: "Print stacks, services and tasks as a tree", GroupID: "controller",
		Long: `Tree prints all that runs: each stack with its services, the tasks of each service
with their nodes, and the configs, secrets, networks and volumes that it uses (with
-o wide).`,
		Example: "  kargo tree\n  kargo tree shop -o wide",
		RunE: func(cmd *cobra.Command, args []string) error {
			details, err := s.details(cmd, env, args)
			if err != nil {
				return err
			}
			return output.show(cmd, details, func(out screen) error {
				for _, stack := range details {
					printTree(out, stack, output == outputWide, clock())
				}
				return nil
			}, func() []string { return namesOfDetails(details) })
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "services", wide: "what services use"})
	cmd.ValidArgsFunction = s.completeStacks(env)
	return cmd
}

// details asks the controller for all that runs of stacks.
func (r *remoteFlags) details(cmd *cobra.Command, env map[string]string, stacks []string) (details []kargo.StackDetail, err error) {
	query := url.Values{"stack": stacks}
	return details, r.ask(cmd, env, "GET", "/api/v1/stacks?"+query.Encode(), nil, &details)
}

func namesOfDetails(details []kargo.StackDetail) []string {
	var names []string
	for _, stack := range details {
		for _, service := range stack.Parts {
			names = append(names, stack.Name+"/"+kargo.ShortService(service.Name))
		}
	}
	return names
}

// printTree prints one stack with its branches.
func printTree(out screen, stack kargo.StackDetail, wide bool, now time.Time) {
	out.line("%s %s  %s", out.paint(bold, stack.Name), out.paint(stateColour(stack.State()), string(stack.State())), cmp.Or(stack.Revision.Short(), "-"))
	for i, service := range stack.Parts {
		branch, below := "├─ ", "│  "
		if i == len(stack.Parts)-1 {
			branch, below = "└─ ", "   "
		}
		out.line("%s%s  %d/%d  %s", branch, kargo.ShortService(service.Name), service.Running, service.Desired, shortImage(service.Image))
		leaves := taskLeaves(out, service, now)
		if wide {
			leaves = append(leaves, usedBy(service)...)
		}
		for j, leaf := range leaves {
			twig := "├─ "
			if j == len(leaves)-1 {
				twig = "└─ "
			}
			out.line("%s%s%s", below, twig, leaf)
		}
	}
}

func taskLeaves(out screen, service kargo.ServiceDetail, now time.Time) []string {
	var leaves []string
	for _, task := range service.Tasks {
		text := fmt.Sprintf("%s on %s  %s %s", kargo.ShortService(task.Name), cmp.Or(task.Node, "no node"), out.paint(taskColour(task.State), task.State), since(task.Since, now))
		if task.Message != "" {
			text += "  " + task.Message
		}
		leaves = append(leaves, text)
	}
	return leaves
}

func taskColour(state string) string {
	switch state {
	case "running", "complete":
		return green
	case "failed", "rejected", "orphaned":
		return red
	case "shutdown", "remove":
		return faint
	}
	return blue
}

// usedBy says what a service uses, one line for each kind.
func usedBy(service kargo.ServiceDetail) []string {
	var lines []string
	for _, kind := range []struct {
		word  string
		names []string
	}{{"ports", service.Ports}, {"networks", service.Networks}, {"configs", service.Configs}, {"secrets", service.Secrets}, {"volumes", service.Volumes}} {
		if len(kind.names) > 0 {
			lines = append(lines, kind.word+" "+strings.Join(kind.names, " "))
		}
	}
	return lines
}

// since returns how long something has lasted: "for 3h12m".
func since(then, now time.Time) string {
	if then.IsZero() {
		return ""
	}
	return "for " + roughly(now.Sub(then))
}

// roughly returns a duration in two units at most.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// shortImage returns an image without its digest.
func shortImage(image string) string {
	name, _, _ := strings.Cut(image, "@")
	return name
}

// printDetail prints one stack for `kargo status STACK`: its services, their tasks by
// node, and what they use.
func printDetail(out screen, stack kargo.StackDetail, now time.Time) {
	out.line("")
	facts := []string{stack.Namespace + " in Swarm"}
	if len(stack.Needs) > 0 {
		facts = append(facts, "needs "+strings.Join(stack.Needs, ", "))
	}
	if stack.Drift != "" {
		facts = append(facts, driftWords(stack))
	}
	out.line("%s: %s", out.paint(bold, stack.Name), strings.Join(facts, "; "))
	var rows [][]cell
	for _, service := range stack.Parts {
		for i, task := range service.Tasks {
			name, updated := kargo.ShortService(service.Name), since(service.Updated, now)
			if i > 0 {
				name, updated = "", ""
			}
			rows = append(rows, []cell{
				plain(name), plain(updated), plain(kargo.ShortService(task.Name)), plain(cmp.Or(task.Node, "-")),
				{task.State, taskColour(task.State)}, plain(since(task.Since, now)), plain(task.Message),
			})
		}
		if len(service.Tasks) == 0 {
			rows = append(rows, []cell{plain(kargo.ShortService(service.Name)), plain(since(service.Updated, now)), plain("-"), plain("-"), {"no task", red}, plain(""), plain("")})
		}
	}
	out.table([]string{"SERVICE", "UNCHANGED", "TASK", "NODE", "STATE", "", ""}, rows)
	for _, service := range stack.Parts {
		if used := usedBy(service); len(used) > 0 {
			out.line("%s: %s", kargo.ShortService(service.Name), strings.Join(used, "; "))
		}
	}
}

// driftWords says what happens to changes that somebody else makes to a stack now.
func driftWords(stack kargo.StackDetail) string {
	switch {
	case stack.Stop != nil && !stack.Stop.WentBack():
		return "held, so drift is left as it is"
	case stack.Drift == kargo.DriftWarn:
		return "drift is reported, and left as it is"
	case stack.Drift == kargo.DriftOff:
		return "drift is left as it is"
	}
	return "drift is corrected"
}
