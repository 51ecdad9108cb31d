package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kargo/dotkargo"
)

func configureCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	cmd := &cobra.Command{
		Use: "configure", Short: "Write the merged configuration to .kargo", GroupID: "workspace", Args: noArgs,
		Example: "  kargo configure --workspace ./workspace",
		Long: `Configure merges the workspace with the defaults and writes the result to .kargo in
the data directory. The old content is replaced in one step. Only you can read the
files. Configure deploys nothing and changes no labels of nodes: see "kargo
deploy" and "kargo labels".`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context())
			if err != nil {
				return err
			}
			if err := refuse(cmd, desired.Problems); err != nil {
				return err
			}
			if err := dotkargo.Write(s.root(), desired.Workspace); err != nil {
				return fmt.Errorf("write merged configuration: %w", err)
			}
			say(cmd.OutOrStdout(), "%s: %s", s.root(), plural(len(desired.Workspace.Files), "file"))
			return err
		},
	}
	s.flags(cmd.Flags())
	return cmd
}
