package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func whyCommand(env map[string]string) *cobra.Command {
	s, all := &workspaceFlags{}, false
	cmd := &cobra.Command{
		Use: "why VARIABLE|FILE|STACK|SERVICE[.FIELD…]", Short: "Print where a value comes from", GroupID: "workspace",
		Long: `Why prints the layer, the file and the line that a value comes from. The value is
a variable of the environment, a file of the merged configuration, or a field of a
service, which is written as in compose files, with or without the stack before
it. Why lists all places that set the value, the lowest layer first, and marks
those that count. For fields that read variables it also prints where the
variables come from. With --all it does so for every value of a stack or service.
Digests stand for the values of secret variables.`,
		Example: "  kargo why REDIS_TAG\n  kargo why configs/redis/redis.conf\n  kargo why dbs.redis.image\n  kargo why redis --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("why what? a variable, a file, a stack, or a service with or without a field")
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context())
			if err != nil {
				return err
			}
			values, err := desired.Why(args[0], all, desired.Workspace.Mask(randomKey()))
			if err != nil {
				return err
			}
			for i, value := range values {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := value.Print(cmd.OutOrStdout()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	s.flags(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "explain every value below a stack or service on its own")
	return cmd
}
