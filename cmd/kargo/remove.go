package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/spelling"
)

func removeCommand(env map[string]string) *cobra.Command {
	s := &stackFlags{}
	cmd := &cobra.Command{
		Use: "remove STACK|all", Short: "Remove one stack, or all in reverse order", GroupID: "swarm",
		Long: `Remove removes a stack from the Swarm: first its services, then, after the last
task has ended, its networks, configs and secrets. It ends when all of them are
gone. Volumes, labels of nodes and the networks that stacks share stay. Remove
changes only objects with the label of this instance.

With "all" the last stack of STACKS is removed first. Stacks that are protected
(<STACK>_PROTECT) stay, unless you name them. The workspace need not be valid. A
controller that follows a repository with this stack deploys it again.`,
		Example: "  kargo remove apps",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := stackArgument(cmd, args, 1)
			if err != nil {
				return err
			}
			return s.removeStacks(cmd, env, name)
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

func (s *stackFlags) removeStacks(cmd *cobra.Command, env map[string]string, name string) error {
	if err := s.prepare(cmd, env); err != nil {
		return err
	}
	source, address, noSource := s.source()
	o, err := s.operate(cmd, env, source, address)
	if err != nil {
		return err
	}
	defer o.close()
	if noSource == nil {
		// The workspace knows the order of stacks, and what is secret. Stacks can
		// be removed without it, too.
		_ = o.reconciler.Read(cmd.Context(), cmd.Name()+" "+name)
	}
	if err := s.warnOfController(cmd, o); err != nil {
		return err
	}
	stacks, err := s.stacksToRemove(cmd, o, name)
	if err != nil {
		return err
	}
	return o.remove(cmd, s, stacks)
}

// remove removes stacks from the Swarm, and waits until nothing is left of them.
func (o *operation) remove(cmd *cobra.Command, f *stackFlags, stacks []string) error {
	if len(stacks) == 0 {
		say(cmd.OutOrStdout(), "nothing to do")
		return nil
	}
	o.reconciler.Remove(stacks...)
	names := strings.Join(stacks, " ")
	changes, err := o.rounds(cmd.Context(), "remove "+names, f.wait)
	if err != nil {
		return err
	}
	words := "removed: "
	if changes == 0 {
		words = "not there, nothing to do: "
	}
	say(cmd.OutOrStdout(), "%s%s", words, names)
	return nil
}

// stacksToRemove returns the named stack; or all stacks that run or are known,
// without the protected ones.
func (s *operationFlags) stacksToRemove(cmd *cobra.Command, o *operation, name string) ([]string, error) {
	services, err := o.client.Services(cmd.Context())
	if err != nil {
		return nil, err
	}
	known, protected := map[string]bool{}, map[string]bool{}
	for _, stack := range o.reconciler.KnownStacks() {
		known[stack] = true
	}
	for _, service := range services {
		if labels := service.Spec.Labels; labels[kargo.LabelInstance] == s.instance {
			stack := labels[kargo.LabelStack]
			known[stack] = true
			protected[stack] = protected[stack] || labels[kargo.LabelProtect] == "true"
		}
	}
	if name != kargo.AllStacks {
		if !known[name] {
			return nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no stack %q", name),
				Hint: spelling.DidYouMean(name, slices.Collect(maps.Keys(known)))}
		}
		return []string{name}, nil
	}
	var stacks []string
	for _, stack := range slices.Sorted(maps.Keys(known)) {
		if protected[stack] {
			say(cmd.ErrOrStderr(), "kargo: stack %s is protected and stays; name it to remove it", stack)
			continue
		}
		stacks = append(stacks, stack)
	}
	return stacks, nil
}
