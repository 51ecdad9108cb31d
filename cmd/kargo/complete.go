package main

import (
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"kargo"
)

// completeStacks completes names of stacks with those of the controller that runs.
func (r *remoteFlags) completeStacks(env map[string]string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var status kargo.Status
		if err := r.ask(cmd, env, http.MethodGet, "/api/v1/status", nil, &status); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return namesOfStacks(status.Stacks), cobra.ShellCompDirectiveNoFileComp
	}
}

// completePlans completes the ID of the plan that waits for an approval.
func (r *remoteFlags) completePlans(env map[string]string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var status kargo.Status
		if err := r.ask(cmd, env, http.MethodGet, "/api/v1/status", nil, &status); err != nil || status.Pending.ID == "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return []string{status.Pending.ID}, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeServices completes STACK and STACK/SERVICE.
func (r *remoteFlags) completeServices(env map[string]string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		var status kargo.Status
		if err := r.ask(cmd, env, http.MethodGet, "/api/v1/status", nil, &status); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names := namesOfStacks(status.Stacks)
		for _, stack := range status.Stacks {
			for _, service := range stack.Services {
				names = append(names, stack.Name+"/"+kargo.ShortService(service.Name))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// mostCompleted is how many deployments are offered.
const mostCompleted = 30

// completeDeployments completes the number of a deployment, with what it was. stacks
// completes the first argument; nil where the number comes first.
func (r *remoteFlags) completeDeployments(env map[string]string, first cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if first != nil && len(args) == 0 {
			return first(cmd, args, typed)
		}
		if err := r.prepare(cmd, env); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		records, done, err := r.records()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer done()
		deployments, _, err := records.Deployments(cmd.Context(), deploymentsFlags{limit: mostCompleted})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var numbers []string
		for _, d := range deployments {
			numbers = append(numbers, strconv.FormatUint(d.Number, 10)+"\t"+string(d.Outcome)+" "+d.Revision.Short())
		}
		return numbers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeValues completes the settings that take one of a few values.
func completeValues(cmd *cobra.Command) {
	for name, values := range map[string][]string{
		"color": {"auto", "always", "never"}, "policy": {"open", "baseline", "restricted"}, "verify-signatures": {"commit", "tag", "both"},
		"log-format": {"text", "json"}, "log-level": {"debug", "info", "warn", "error"}, "depth": {"0", "1"},
	} {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // it fails for no such flag
		}
	}
	for _, child := range cmd.Commands() {
		completeValues(child)
	}
}
