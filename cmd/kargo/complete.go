package main

import (
	"net/http"

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
