package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"kargo"
)

func syncCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "sync", Short: "Start a round of the controller now", GroupID: "controller", Args: noArgs,
		Long: `Sync asks the controller to start a round: to ask git for a new commit, and to
look at the whole Swarm. With --wait it prints what the services do, until nothing
is on its way any more. The exit code is then 4 if something failed, or if it takes
longer.`,
		Example: "  kargo sync\n  kargo sync --wait 5m",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.askAndWait(cmd, env, "/api/v1/sync", nil, "", wait, "asked for a round")
		},
	}
	s.flags(cmd.Flags())
	waitFlag(cmd, &wait)
	return cmd
}

func approveCommand(env map[string]string) *cobra.Command {
	s := &remoteFlags{}
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "approve PLAN", Short: "Let what waits for a person happen", GroupID: "controller",
		Long: `Approve lifts the holds of the pending plan that wait for a person: the removal of
many stacks at once. PLAN is the ID of that plan (see "kargo status"). The
approval is for this plan only. If the next plan is another one, nothing of it is
approved: the exit code is 3, and the message names the plan that waits now.

Where signatures are verified, a signed commit that does not come after the one in
force also waits for a person. "kargo approve COMMIT" has it followed.`,
		Example: "  kargo approve 8c9aa0c59fb6\n  kargo approve 8c9aa0c59fb6 --wait 5m",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which plan? see `kargo status`")
			}
			return s.askAndWait(cmd, env, "/api/v1/approve", map[string]string{"plan": args[0]}, "", wait, args[0]+" is approved")
		},
	}
	s.flags(cmd.Flags())
	waitFlag(cmd, &wait)
	cmd.ValidArgsFunction = s.completePlans(env)
	return cmd
}

func retryCommand(env map[string]string) *cobra.Command {
	return stackCommand(env, "retry", nothingToRetry, &cobra.Command{
		Use: "retry STACK", Short: "Try a stack's failed rendering again",
		Long: `The controller does not send a failed rendering again until it changes. Retry has
it sent again without a change, for example after an image was pushed, or after a
node came back.`,
		Example: "  kargo retry shop\n  kargo retry shop --wait 5m",
	})
}

func adoptCommand(env map[string]string) *cobra.Command {
	return stackCommand(env, "adopt", nil, &cobra.Command{
		Use: "adopt STACK", Short: "Take over a stack that was deployed by other means",
		Long: `Adopt takes over services, networks and configs that have the names of the stack
and no owner, such as those of "docker stack deploy". An object that is equal to
the wanted one only gets a label, and no task is restarted. Objects of another
Kargo instance are never taken over. Secrets are kept as they are, because Swarm
does not show their content. If Swarm has nothing of the stack, the plan says so and
nothing is created. <STACK>_ADOPT=true in a workspace does the same.`,
		Example: "  kargo adopt legacy",
	})
}

// nothingToRetry says so of a stack that has not failed, and for which nothing is left to do or
// held: Docker may have refused a change of it.
func nothingToRetry(stack kargo.StackStatus) string {
	if stack.Failure != nil || !stack.InSync {
		return ""
	}
	return "stack " + stack.Name + " has not failed: there is nothing to retry"
}

// stackCommand completes a command that asks the controller to do something with
// one stack. needless says why there is nothing to do for a stack, or ""; nil asks for no
// status.
func stackCommand(env map[string]string, verb string, needless func(kargo.StackStatus) string, cmd *cobra.Command) *cobra.Command {
	s := &remoteFlags{}
	var wait time.Duration
	cmd.GroupID = "controller"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("which stack? see `kargo status`")
		}
		controller, err := s.connect(cmd, env)
		if err != nil {
			return err
		}
		if needless != nil {
			words, err := controller.about(cmd.Context(), args[0], needless)
			if err != nil {
				return err
			}
			if words != "" {
				newScreen(cmd).line("%s", words)
				return nil
			}
		}
		return controller.askAndWait(cmd, "/api/v1/"+verb, map[string]string{"stack": args[0]}, args[0], wait, "asked to "+verb+" stack "+args[0])
	}
	s.flags(cmd.Flags())
	waitFlag(cmd, &wait)
	cmd.ValidArgsFunction = s.completeStacks(env)
	return cmd
}

// about returns what a function says of a stack, and "" where there is no such stack or the
// controller stands by: it knows no stack, and refuses what it is asked for.
func (c *client) about(ctx context.Context, name string, say func(kargo.StackStatus) string) (words string, err error) {
	var status kargo.Status
	if err := c.call(ctx, http.MethodGet, "/api/v1/status", nil, &status); err != nil || status.Leader != "" {
		return "", err
	}
	for _, stack := range status.Stacks {
		if stack.Name == name {
			return say(stack), nil
		}
	}
	return "", nil
}

// healthcheckCommand returns the command of a container's health check. The
// image has no shell and no curl.
func healthcheckCommand(env map[string]string) *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck", Short: "Exit 0 if the controller of this container is alive", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address := env["KARGO_LISTEN"]
			if address == "" {
				address = "127.0.0.1:8080"
			}
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return usagef("KARGO_LISTEN: %w", err)
			}
			if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			probe := &client{http: &http.Client{}, base: "http://" + net.JoinHostPort(host, port)}
			return probe.call(cmd.Context(), http.MethodGet, "/healthz", nil, nil)
		},
	}
}
