package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
)

// stackFlags are those of the commands that work on stacks a person names.
type stackFlags struct {
	operationFlags
	wait      time.Duration
	keepGoing bool // not of every command
}

func (s *stackFlags) flags(flags *pflag.FlagSet) {
	s.operationFlags.flags(flags)
	flags.DurationVar(&s.wait, "wait", 15*time.Minute, "longest time that a stack may take")
}

func deployCommand(env map[string]string) *cobra.Command {
	s := &stackFlags{}
	cmd := &cobra.Command{
		Use: "deploy STACK|all [DELAY]", Short: "Deploy one stack, or all in their order", GroupID: "swarm",
		Long: `Deploy does for the named stack what apply does for all stacks: it reads the
workspace, writes the merged configuration to .kargo, looks at the Swarm, and
changes what differs. Other stacks are neither changed nor removed, and need not
be valid. Deploy ends when the stack is up or has failed.

With "all" the stacks are deployed in the order of STACKS, each after the one
before it is up. DELAY is the shortest time between two stacks (10, or 1m30s).`,
		Example: "  kargo deploy dbs\n  kargo deploy all 10",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := stackArgument(cmd, args, 2)
			if err != nil {
				return err
			}
			delay, err := delayArgument(args)
			if err != nil {
				return err
			}
			return s.onStacks(cmd, env, name, func(o *operation, stacks []string) error {
				return o.deploy(cmd, s, delay, stacks)
			})
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().BoolVar(&s.keepGoing, "keep-going", false, "go on with the next stack after one has failed (with \"all\")")
	return cmd
}

func redeployCommand(env map[string]string) *cobra.Command {
	s := &stackFlags{}
	cmd := &cobra.Command{
		Use: "redeploy STACK|all", Short: "Remove one stack or all, and deploy them again", GroupID: "swarm",
		Long: `Redeploy removes the stack, waits until its tasks, networks and configs are gone,
writes the merged configuration and deploys the stack again. The services are down
in between. Only a service that hangs needs this: after a change of a file or
variable, "kargo deploy" updates the services that use it. Redeploy checks the
workspace first, and removes nothing if it is not valid.`,
		Example: "  kargo redeploy apps",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := stackArgument(cmd, args, 1)
			if err != nil {
				return err
			}
			return s.onStacks(cmd, env, name, func(o *operation, stacks []string) error {
				if err := o.remove(cmd, s, stacks); err != nil {
					return err
				}
				return o.deploy(cmd, s, 0, stacks)
			})
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().BoolVar(&s.keepGoing, "keep-going", false, "go on with the next stack after one has failed (with \"all\")")
	return cmd
}

func stackArgument(cmd *cobra.Command, args []string, most int) (string, error) {
	switch {
	case len(args) == 0:
		return "", usagef("which stack? give its name, or %q; see `kargo info`", kargo.AllStacks)
	case len(args) > most:
		return "", usagef("kargo %s takes one stack, or %q, got %q", cmd.Name(), kargo.AllStacks, args)
	}
	return args[0], nil
}

// delayArgument reads the second argument, which is a number of seconds or a
// duration.
func delayArgument(args []string) (time.Duration, error) {
	if len(args) < 2 {
		return 0, nil
	}
	if seconds, err := strconv.ParseUint(args[1], 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	delay, err := time.ParseDuration(args[1])
	if err != nil || delay < 0 {
		return 0, usagef("the delay is a number of seconds, or a duration like 1m30s, not %q", args[1])
	}
	return delay, nil
}

// onStacks reads the workspace, refuses it if the named stacks are not valid, and
// calls do with these stacks in the order of STACKS.
func (s *operationFlags) onStacks(cmd *cobra.Command, env map[string]string, name string, do func(*operation, []string) error) error {
	if err := s.prepare(cmd, env); err != nil {
		return err
	}
	source, address, err := s.source()
	if err != nil {
		return err
	}
	named := []string{name}
	if name == kargo.AllStacks {
		named = nil
	}
	o, err := s.operate(cmd, env, source, address, named...)
	if err != nil {
		return err
	}
	defer o.close()
	o.reconciler.Select(named...)
	err = o.reconciler.Read(cmd.Context(), cmd.Name()+" "+name)
	if problems := o.reconciler.Status().Problems; problems.Err() != nil {
		return refuse(cmd, problems)
	}
	if err != nil {
		return err
	}
	if err := s.warnOfController(cmd, o); err != nil {
		return err
	}
	return do(o, o.reconciler.Stacks())
}

// deploy deploys stacks one after the other. It ends at the first stack that does
// not come up, unless --keep-going is set.
func (o *operation) deploy(cmd *cobra.Command, f *stackFlags, delay time.Duration, stacks []string) error {
	var errs []error
	for i, stack := range stacks {
		begun := time.Now()
		err := o.deployStack(cmd, f.wait, stack)
		if err != nil {
			errs = append(errs, err)
			if !f.keepGoing || cmd.Context().Err() != nil {
				return errors.Join(append(errs, notTried(stacks[i+1:], err)...)...)
			}
			continue
		}
		if last := i == len(stacks)-1; !last {
			if err := sleep(cmd.Context(), delay-time.Since(begun)); err != nil {
				return errors.Join(append(errs, err)...)
			}
		}
	}
	return errors.Join(errs...)
}

func (o *operation) deployStack(cmd *cobra.Command, wait time.Duration, stack string) error {
	o.reconciler.Select(stack)
	if slices.Contains(o.reconciler.Failures(), stack) {
		o.reconciler.Retry(stack) // a person asks for it
	}
	changes, err := o.rounds(cmd.Context(), "deploy "+stack, wait)
	if err != nil {
		return err
	}
	if err := held(stack, o.reconciler.Status()); err != nil {
		return err
	}
	words := "is up"
	if changes == 0 {
		words = "is up to date: nothing to do"
	}
	say(cmd.OutOrStdout(), "stack %s %s", stack, words)
	return nil
}

// rounds runs rounds until everything has settled. It returns the number of
// changes that were made.
func (o *operation) rounds(ctx context.Context, trigger string, wait time.Duration) (changes int, err error) {
	before, err := o.newest()
	if err != nil {
		return 0, err
	}
	if err := o.reconciler.Round(ctx, trigger); err != nil && kargo.FaultOf(err) != kargo.Conflict {
		return 0, err
	}
	if _, err := await(ctx, o.live, wait, roundsHere(o.reconciler), failed); err != nil {
		return 0, err
	}
	after, err := o.newest()
	if err != nil {
		return 0, err
	}
	changes = len(after.Changes)
	if after.Number == before.Number {
		changes -= len(before.Changes) // one that an earlier command left open, or none
	}
	if after.Err != "" && changes > 0 {
		return changes, kargo.Errorf(kargo.Unavailable, "%s", after.Err)
	}
	return changes, nil
}

// newest returns the deployment that was recorded last; a zero one if there is none.
func (o *operation) newest() (kargo.Deployment, error) {
	deployments, err := o.store.Deployments(0, 1)
	if err != nil || len(deployments) == 0 {
		return kargo.Deployment{}, err
	}
	return deployments[0], nil
}

// held returns the error of a stack with changes that are held; nil if there are
// none.
func held(stack string, status kargo.Status) error {
	var holds []string
	for _, hold := range status.Pending.Held {
		if hold.Stack == stack {
			holds = append(holds, hold.String())
		}
	}
	if len(holds) == 0 {
		return nil
	}
	return kargo.Errorf(kargo.Conflict, "stack %s is not as the workspace wants it: %s", stack, strings.Join(holds, "; "))
}

// notTried names the stacks that were left out because of an error, with the
// fault of that error: leaving them out is no fault of its own.
func notTried(stacks []string, because error) []error {
	if len(stacks) == 0 {
		return nil
	}
	return []error{kargo.Errorf(kargo.FaultOf(because), "not deployed: %s", strings.Join(stacks, " "))}
}

// errInterrupted ends a command that a person or the system stopped. Swarm
// continues the rollouts that were started; the next deployment finds them.
var errInterrupted = kargo.Errorf(kargo.Unavailable, "interrupted")

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return errInterrupted
	case <-time.After(d):
		return nil
	}
}

// warnOfController warns a person who deploys from a directory, if what runs was
// deployed from a repository: a controller may follow that repository, and would
// revert the changes.
func (s *operationFlags) warnOfController(cmd *cobra.Command, o *operation) error {
	if s.repo != "" {
		return nil
	}
	services, err := o.client.Services(cmd.Context())
	if err != nil {
		return err
	}
	for _, service := range services {
		labels := service.Spec.Labels
		revision := labels[kargo.LabelRevision]
		if labels[kargo.LabelInstance] == s.instance && revision != "" && !strings.HasPrefix(revision, "dir-") {
			say(cmd.ErrOrStderr(), "kargo: warning: %s was deployed from a repository (%s); a controller of instance %s that still follows it puts back what is done here",
				service.Name, kargo.RevisionID(revision).Short(), s.instance)
			return nil
		}
	}
	return nil
}
