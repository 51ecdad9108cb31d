package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kargo/gitsync/wire"
)

func knownHostsCommand(env map[string]string) *cobra.Command {
	s := &struct {
		program
		proxyFlags
	}{}
	cmd := &cobra.Command{
		Use: "known-hosts HOST[:PORT]", Short: "Print the SSH keys of a git host, to be checked", GroupID: "workspace",
		Long: `Known-hosts prints the keys that a host presents, as lines for --known-hosts-file.
Comments hold their fingerprints. The keys prove nothing: an attacker between you
and the host can present keys of his own. Before you use the lines, compare the
fingerprints with those that the operator of the host publishes. Kargo itself
never accepts a key that it was not given.`,
		Example: "  kargo known-hosts git.example.com > known_hosts",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which host? kargo known-hosts HOST[:PORT]")
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			keys, err := wire.HostKeys(cmd.Context(), args[0], s.proxy(), 0)
			if err != nil {
				return err
			}
			for _, key := range keys {
				fmt.Fprintf(cmd.OutOrStdout(), "# %s %s\n%s\n", key.Kind, key.Fingerprint, key.Line)
			}
			say(cmd.ErrOrStderr(), "These keys prove nothing yet: compare the fingerprints with those that the operator of %s publishes.", args[0])
			return nil
		},
	}
	s.program.flags(cmd.Flags())
	s.proxyFlags.flags(cmd.Flags())
	return cmd
}
