package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/draft"
)

// initFrom makes a workspace of a compose file or of a folder of them.
func initFrom(cmd *cobra.Command, env map[string]string, dir, from string) error {
	made, err := draftFrom(from)
	if err != nil {
		return err
	}
	if len(made.Stacks) == 0 {
		return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("%s has no compose file", from),
			Hint: "a compose file has services:, and is called compose.yml, docker-compose.yml, docker-stack.yml or stack.yml where it is not directly in the folder"}
	}
	if err := writeDraft(cmd, env, dir, made); err != nil {
		return err
	}
	for _, stack := range made.Stacks {
		say(cmd.OutOrStdout(), "if %s runs already under this name: write %s=true into %s to take it over",
			stack, kargo.SuffixAdopt.Of(stack), filepath.Join(dir, kargo.FileEnv))
	}
	return nil
}

// initRunning makes a workspace of stacks that run.
func initRunning(cmd *cobra.Command, env map[string]string, dir string, names []string) error {
	client, err := (&registryFlags{}).docker(env)
	if err != nil {
		return err
	}
	defer client.Close()
	var stacks []kargo.Stack
	for _, name := range names {
		stack, err := client.RunningStack(cmd.Context(), name)
		if err != nil {
			return err
		}
		stacks = append(stacks, stack)
	}
	made, err := draft.FromStacks(stacks)
	if err != nil {
		return err
	}
	if err := writeDraft(cmd, env, dir, made); err != nil {
		return err
	}
	for _, stack := range made.Stacks {
		say(cmd.OutOrStdout(), "to take %s over: write %s=true into %s, or `kargo adopt %s` once a controller reads the workspace",
			stack, kargo.SuffixAdopt.Of(stack), filepath.Join(dir, kargo.FileEnv), stack)
	}
	return nil
}

// writeDraft writes a draft, and prints what it lacks and what is wrong with it.
func writeDraft(cmd *cobra.Command, env map[string]string, dir string, made draft.Draft) error {
	made.Files[".gitignore"] = draft.File{Data: []byte(gitIgnore)}
	if err := writeFiles(cmd, dir, made.Files); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, line := range made.Lost {
		say(out, "not copied: %s", kargo.Printable(line))
	}
	whole, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s := &workspaceFlags{}
	s.workspace, s.data = whole, whole
	if err := s.prepare(cmd, env); err != nil {
		return err
	}
	desired, err := s.read(cmd.Context())
	if err != nil {
		return err
	}
	printProblems(newScreen(cmd), desired.Problems, false)
	say(out, "then: kargo plan --workspace %s", dir)
	return nil
}

// draftFrom reads a compose file or a folder of them. Nothing leads out of the
// folder.
func draftFrom(from string) (draft.Draft, error) {
	path, err := filepath.Abs(from)
	if err != nil {
		return draft.Draft{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return draft.Draft{}, &kargo.Error{Fault: kargo.Invalid, Err: err}
	}
	folder, only := path, ""
	if !info.IsDir() {
		folder, only = filepath.Split(path)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return draft.Draft{}, &kargo.Error{Fault: kargo.Invalid, Err: err}
	}
	defer root.Close()
	made, err := draft.FromFiles(root.FS(), filepath.Base(folder), only)
	if err != nil {
		err = &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("read %s: %w", from, err)}
	}
	return made, err
}
