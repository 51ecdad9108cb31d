package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/controller"
)

func showRenderingCommand(env map[string]string) *cobra.Command {
	s := &planFlags{}
	var output output
	var export pathValue
	cmd := &cobra.Command{
		Use: "show [DEPLOYMENT|COMMIT|git] [STACK]", Short: "Print the rendering of a deployment or of a commit", GroupID: "swarm",
		Long: `Show prints what a deployment, a commit that was deployed, or the newest revision
("git", the default) sends to Swarm: services with Docker's own ServiceSpec,
networks, and configs with their texts. "***" and a digest stand for secret values.
In the text of a config they stand for each value that has the name of a secret.
The contents of secrets are never shown. With --export it writes them to a
directory: NAME/stack.yml for each stack, and NAME/configs/ with its configs.`,
		Example: "  kargo show 41\n  kargo show a5ad1b0c3f12 shop\n  kargo show 41 --export before\n  kargo show git --export after && diff -r before after",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			if len(args) > 2 {
				return usagef("kargo show takes a state and a stack at most")
			}
			of, stack := kargo.StateGit, ""
			if len(args) > 0 {
				of = args[0]
			}
			if len(args) > 1 {
				stack = args[1]
			}
			rendered, err := s.rendering(cmd, env, of, stack)
			if err != nil {
				return err
			}
			if export != "" {
				return exportRendering(cmd, string(export), rendered)
			}
			text := func(out screen) error {
				out.line("# %s", rendered.State)
				return encode(out.out, string(outputYAML), rendered.RenderedStacks)
			}
			return output.show(cmd, rendered, text, func() []string { return namesOfRendered(rendered.Stacks) })
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "stacks, as Swarm knows them"})
	cmd.Flags().Var(&export, "export", "directory to write the rendering to; it must not exist yet")
	return cmd
}

func namesOfRendered(stacks []kargo.RenderedStack) []string {
	var names []string
	for _, stack := range stacks {
		names = append(names, stack.Name)
	}
	return names
}

// rendering returns the rendering of a state, here or from the controller.
func (s *planFlags) rendering(cmd *cobra.Command, env map[string]string, of, stack string) (rendered kargo.RenderedState, err error) {
	asks, err := s.asksController()
	if err != nil {
		return rendered, err
	}
	if asks {
		query := url.Values{"of": {of}, "stack": {stack}}
		return rendered, s.askSlowly(cmd.Context(), "/api/v1/rendering?"+query.Encode(), &rendered)
	}
	err = s.inspect(cmd, env, func(r *controller.Reconciler) (err error) {
		rendered, err = r.Rendering(cmd.Context(), of, stack)
		return err
	})
	return rendered, err
}

// exportRendering writes a rendering to a new directory.
func exportRendering(cmd *cobra.Command, directory string, rendered kargo.RenderedState) error {
	if _, err := os.Lstat(directory); err == nil {
		return usagef("--export: %s exists already", directory)
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return kargo.Errorf(kargo.Invalid, "export: %w", err)
	}
	root, err := os.OpenRoot(directory) // names come from a workspace
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer root.Close()
	for _, stack := range rendered.Stacks {
		if err := exportStack(root, stack); err != nil {
			return fmt.Errorf("export stack %s: %w", stack.Name, err)
		}
	}
	say(cmd.OutOrStdout(), "wrote %s of %s to %s", plural(len(rendered.Stacks), "stack"), rendered.State, directory)
	return nil
}

func exportStack(root *os.Root, stack kargo.RenderedStack) error {
	if err := root.MkdirAll(filepath.Join(stack.Name, "configs"), 0o755); err != nil {
		return err
	}
	for i, config := range stack.Configs {
		if config.Content == "" {
			continue
		}
		if err := root.WriteFile(filepath.Join(stack.Name, "configs", config.Name), []byte(config.Content), 0o644); err != nil {
			return err
		}
		stack.Configs[i].Content = ""
	}
	var text strings.Builder
	if err := encode(&text, string(outputYAML), stack); err != nil {
		return err
	}
	return root.WriteFile(filepath.Join(stack.Name, "stack.yml"), []byte(text.String()), 0o644)
}
