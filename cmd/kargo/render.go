package main

import (
	"github.com/spf13/cobra"

	"kargo"
)

func renderCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	var output output
	var showSecrets bool
	cmd := &cobra.Command{
		Use: "render [STACK…]", Short: "Print the Swarm objects of a workspace", GroupID: "workspace",
		Long: `Render prints the Swarm objects of a workspace: for each stack its services with
Docker's own ServiceSpec, its networks, and the names and sizes of its configs
and secrets; text is YAML. If you name stacks, only these need to be valid. Render needs no
Docker and changes nothing. "***" stands for secret values, unless you give
--show-secrets. The names of configs and secrets end in a digest under a key that the
Swarm keeps. Render does not ask the Swarm, so it prints zeros in its place.`,
		Example: "  kargo render --workspace ./workspace dbs -o json",
		RunE: func(cmd *cobra.Command, stacks []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context(), stacks...)
			if err != nil {
				return err
			}
			if err := refuse(cmd, desired.Problems); err != nil {
				return err
			}
			document := kargo.Document(desired.Stacks, false)
			if !showSecrets {
				if document, err = kargo.Masked(document, desired.Workspace.Mask(nil)); err != nil {
					return err
				}
			}
			text := func(out screen) error { return encode(out.out, string(outputYAML), document) }
			return output.show(cmd, document, text, func() []string { return namesOfRendered(document.Stacks) })
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "stacks, as Swarm knows them"})
	cmd.Flags().BoolVar(&showSecrets, "show-secrets", false, "print secret values as they are")
	return cmd
}
