package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/gitsync"
	"kargo/plan"
)

func pullCommand(env map[string]string) *cobra.Command {
	s := &sourceFlags{}
	cmd := &cobra.Command{
		Use: "pull", Short: "Update the clone of the workspace, and print what changed", GroupID: "workspace", Args: noArgs,
		Long: `Pull updates the git clone that contains the workspace directory to the remote's
branch, as "git pull --ff-only" does. It prints the commits, files and stacks that
change. It needs no git program. If there are changes that are not committed, or
if the histories have diverged, it changes nothing. Pull deploys nothing: see
"kargo plan" and "kargo deploy".

The credentials are those of the controller, such as --git-password-file and
--ssh-key-file.`,
		Example: "  kargo pull && kargo plan",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			return s.pull(cmd)
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

func (s *sourceFlags) pull(cmd *cobra.Command) error {
	if s.repo != "" {
		return usagef("--repo names no clone; kargo pull works on --workspace")
	}
	if err := s.findWorkspace(); err != nil {
		return err
	}
	before, _ := s.digests(cmd.Context()) // nil if the workspace is not valid
	dir, err := filepath.EvalSymlinks(s.workspace)
	if err != nil {
		return usagef("there is no directory %s", s.workspace)
	}
	options := s.gitOptions()
	options.Dir = ""
	pulled, err := gitsync.Pull(cmd.Context(), dir, options)
	if err != nil {
		return err
	}
	if pulled.Before == pulled.After {
		say(cmd.OutOrStdout(), "%s is up to date: %s", pulled.Branch, kargo.RevisionID(pulled.After).Short())
		return nil
	}
	printPulled(cmd.OutOrStdout(), pulled)
	desired, err := s.readWith(cmd.Context(), s.gitOptions())
	if err != nil {
		return err
	}
	say(cmd.OutOrStdout(), "\nstacks:")
	for _, result := range plan.Verdicts(before, desired.Stacks) {
		say(cmd.OutOrStdout(), "  %-9s  %s", result.Verdict, result.Name)
	}
	return refuse(cmd, desired.Problems)
}

// digests returns the digests of the workspace's stacks by name.
func (s *sourceFlags) digests(ctx context.Context) (map[string]string, error) {
	desired, err := s.readWith(ctx, s.gitOptions())
	if err != nil {
		return nil, err
	}
	digests := map[string]string{}
	for _, stack := range desired.Stacks {
		digests[stack.Name] = stack.Digest()
	}
	return digests, nil
}

func printPulled(out io.Writer, pulled gitsync.Pulled) {
	say(out, "%s: %s → %s, %s", pulled.Branch, kargo.RevisionID(pulled.Before).Short(),
		kargo.RevisionID(pulled.After).Short(), plural(len(pulled.Commits), "commit"))
	for _, commit := range pulled.Commits {
		say(out, "  %s by %s", commit, commit.Author)
	}
	say(out, "\nfiles:")
	for _, file := range pulled.Files {
		say(out, "  %s", file)
	}
}
