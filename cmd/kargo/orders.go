package main

import (
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/server"
)

// orderFlags are those of a command by which a person keeps something from changing.
type orderFlags struct {
	remoteFlags
	lasts  time.Duration
	reason string
	wait   time.Duration
}

func (o *orderFlags) order(args []string) server.Order {
	order := server.Order{Reason: o.reason}
	if len(args) > 0 {
		order.Stack = args[0]
	}
	if o.lasts > 0 {
		order.For = o.lasts.String()
	}
	return order
}

// complete adds to a command that sends an order what all of them have. lasting is set for those
// that can end by themselves.
func (o *orderFlags) complete(cmd *cobra.Command, lasting bool, env map[string]string, stack bool) *cobra.Command {
	cmd.GroupID = "controller"
	o.flags(cmd.Flags())
	cmd.Flags().StringVar(&o.reason, "reason", "", "`TEXT` that says why; it is in the history, on the page and in the status")
	if lasting {
		cmd.Flags().DurationVar(&o.lasts, "for", 0, "`duration` after which it ends by itself, such as 2h; without it a person ends it")
	}
	waitFlag(cmd, &o.wait)
	if stack {
		cmd.ValidArgsFunction = o.completeStacks(env)
	}
	return cmd
}

// send sends an order and prints what was done.
func (o *orderFlags) send(cmd *cobra.Command, env map[string]string, verb string, order server.Order, done string) error {
	named := order.Stack
	if verb == "hold" { // nothing of it changes
		named = ""
	}
	return o.askAndWait(cmd, env, "/api/v1/"+verb, order, named, o.wait, done)
}

func oneStack(args []string) error {
	if len(args) != 1 {
		return usagef("which stack? name one, or all")
	}
	return nil
}

func holdCommand(env map[string]string) *cobra.Command {
	o := &orderFlags{}
	return o.complete(&cobra.Command{
		Use: "hold STACK|all", Short: "Keep a stack from any change, until it is released",
		Long: `Hold keeps a stack as it runs now: new commits do not change it, and its drift is
not corrected. What would change is shown as pending. The hold stays over restarts
until "kargo release", or until --for has passed.`,
		Example: "  kargo hold shop --for 2h --reason 'sale until noon'\n  kargo hold all --reason 'migration of the network'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneStack(args); err != nil {
				return err
			}
			return o.send(cmd, env, "hold", o.order(args), ofStacks(args[0], "is", "are")+" held; to end it: kargo release "+args[0])
		},
	}, true, env, true)
}

func releaseCommand(env map[string]string) *cobra.Command {
	o := &orderFlags{}
	return o.complete(&cobra.Command{
		Use: "release STACK|all", Short: "Let a stack change again that was held or went back",
		Long: `Release ends "kargo hold" and "kargo rollback": the next round makes the stack what
the newest revision says.`,
		Example: "  kargo release shop --reason 'the fix is in'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneStack(args); err != nil {
				return err
			}
			return o.send(cmd, env, "release", o.order(args), ofStacks(args[0], "is", "are")+" released")
		},
	}, false, env, true)
}

// ofStacks returns the begin of a sentence about a stack, or about all.
func ofStacks(stack, one, all string) string {
	if stack == kargo.AllStacks {
		return "all stacks " + all
	}
	return stack + " " + one
}

func suspendCommand(env map[string]string) *cobra.Command {
	o := &orderFlags{}
	return o.complete(&cobra.Command{
		Use: "suspend", Short: "Keep the controller from changing anything", Args: noArgs,
		Long: `Suspend keeps the controller from changing anything in Swarm. It still reads git,
looks at Swarm, and shows what it would do as pending. It stays over restarts until
"kargo resume", or until --for has passed.`,
		Example: "  kargo suspend --for 1h --reason 'work on the registry'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.send(cmd, env, "suspend", o.order(args), "the controller is suspended; to end it: kargo resume")
		},
	}, true, env, false)
}

func resumeCommand(env map[string]string) *cobra.Command {
	o := &orderFlags{}
	return o.complete(&cobra.Command{
		Use: "resume", Short: "Let a suspended or frozen controller work again", Args: noArgs,
		Long: `Resume ends "kargo suspend", and lifts the freeze window that lasts now; the latter
takes a reason. The next round does what is pending. The next window begins as usual.`,
		Example: "  kargo resume\n  kargo resume --reason 'an incident'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.send(cmd, env, "resume", o.order(args), "the controller works again")
		},
	}, false, env, false)
}

func rollbackCommand(env map[string]string) *cobra.Command {
	o := &orderFlags{}
	var output output
	var yes bool
	cmd := o.complete(&cobra.Command{
		Use: "rollback STACK|all [DEPLOYMENT|COMMIT]", Short: "Go back to what ran before, and stay there",
		Long: `Rollback prints what would change if a stack went back to a rendering that came up
before: to that of a deployment, by its number, or of a commit; without one to the
rendering before the one that runs. With --yes it does so. The stack stays there,
over restarts and new commits, until "kargo release". Its drift is corrected. The
last 10 renderings of a stack that came up are kept.`,
		Example: "  kargo rollback shop\n  kargo rollback shop 41 --yes --reason 'orders fail'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return usagef("which stack? name one, or all, and what it goes back to")
			}
			order := o.order(args)
			if len(args) == 2 {
				order.To = args[1]
			}
			if yes {
				if err := output.onlyText("yes"); err != nil {
					return err
				}
				return o.send(cmd, env, "rollback", order, ofStacks(args[0], "goes back, and stays", "go back, and stay")+" there; to end it: kargo release "+args[0])
			}
			order.Plan = true
			var preview kargo.Preview
			if err := o.ask(cmd, env, http.MethodPost, "/api/v1/rollback", order, &preview); err != nil {
				return err
			}
			text := func(out screen) error {
				shown := planAbout(preview.Plan, order.Stack)
				words := shown.InWords()
				if output == outputWide {
					words = shown.String()
				}
				out.changes(words)
				out.line("\nNothing was changed. To go back: the same command with --yes")
				return nil
			}
			return output.show(cmd, planDocument(preview.Plan), text, func() []string { return []string{preview.Plan.ID()} })
		},
	}, true, env, true)
	cmd.ValidArgsFunction = o.completeDeployments(env, o.completeStacks(env))
	output.flag(cmd, kinds{names: "the ID of the plan", wide: "the names and paths of Swarm"})
	cmd.Flags().BoolVar(&yes, "yes", false, "go back now; without it, only the plan is printed")
	return cmd
}

// planAbout returns what a plan has about a stack, for people; all of it for "all".
func planAbout(next kargo.Plan, stack string) kargo.Plan {
	if stack == kargo.AllStacks {
		return next
	}
	return kargo.Plan{
		Revision: next.Revision,
		Changes:  slices.DeleteFunc(slices.Clone(next.Changes), func(c kargo.Change) bool { return c.Stack != stack }),
		Held:     slices.DeleteFunc(slices.Clone(next.Held), func(h kargo.Hold) bool { return h.Stack != stack }),
		Warnings: slices.DeleteFunc(slices.Clone(next.Warnings), func(w kargo.Warning) bool { return w.Stack != stack }),
	}
}
