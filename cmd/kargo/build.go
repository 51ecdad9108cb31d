package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/recipe"
)

func buildCommand(env map[string]string) *cobra.Command {
	s := &buildFlags{}
	cmd := &cobra.Command{
		Use: "build [NAME]", Short: "Build an image of the workspace, and push it", GroupID: "swarm",
		Long: `Build makes an image from the recipe build/NAME of the merged configuration
(build.yml and a Dockerfile), on the Docker of the other commands, and pushes it
under the name that the service uses. The recipe names the image by the variables
<SERVICE>_IMAGE and <SERVICE>_TAG. An image that only the catalogue names is not
yours and is not pushed: set the variable first. Without NAME, build lists the
recipes.

If the recipe is a script, build/NAME.sh, build runs it in .kargo/build. This needs
--allow-hooks.`,
		Example: "  kargo build mapserver",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("kargo build takes one recipe, got %q", args)
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			if len(args) == 0 {
				return s.listRecipes(cmd)
			}
			return s.build(cmd, env, args[0])
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

type buildFlags struct {
	workspaceFlags
	registryFlags
	push bool
}

func (s *buildFlags) flags(flags *pflag.FlagSet) {
	s.workspaceFlags.flags(flags)
	s.registryFlags.flags(flags)
	flags.BoolVar(&s.push, "push", true, "push the image, if its recipe says so")
}

func (s *buildFlags) listRecipes(cmd *cobra.Command) error {
	workspace, err := s.readForScripts(cmd)
	if err != nil {
		return err
	}
	for _, name := range recipe.Names(workspace) {
		fmt.Fprintln(cmd.OutOrStdout(), name)
	}
	return nil
}

func (s *buildFlags) build(cmd *cobra.Command, env map[string]string, name string) error {
	workspace, err := s.readForScripts(cmd)
	if err != nil {
		return err
	}
	if script := "build/" + name + ".sh"; workspace.Files[script].Data != nil {
		if !s.hooks.allowed {
			return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: script}, Err: fmt.Errorf("the recipe of %s is a script, and scripts are not allowed to run", name),
				Hint: "write a build.yml and a Dockerfile, or let it run: --allow-hooks"}
		}
		return s.runScript(cmd, workspace, "build", name, []string{name})
	}
	image, problems, err := recipe.Read(workspace, name)
	if err != nil {
		return err
	}
	if err := refuse(cmd, problems); err != nil {
		return err
	}
	if image.Push = image.Push && s.push; image.Push {
		if variable := recipe.Foreign(workspace, name); variable != "" {
			return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("%s is the catalogue's own image, and not yours to push", image.Tags[0]),
				Hint: fmt.Sprintf("set %s, as in %s=localhost:5000/%s; or say --push=false", variable, variable, name)}
		}
	}
	return s.carryOut(cmd, env, image)
}

// carryOut builds the image, and pushes it if the image says so.
func (s *buildFlags) carryOut(cmd *cobra.Command, env map[string]string, image kargo.Build) error {
	client, err := s.docker(env)
	if err != nil {
		return err
	}
	defer client.Close()
	out := cmd.OutOrStdout()
	if err := client.Build(cmd.Context(), image, out); err != nil {
		return err
	}
	for _, tag := range image.Tags {
		words := "built"
		if image.Push {
			if err := client.Push(cmd.Context(), tag, out); err != nil {
				return err
			}
			words = "built and pushed"
		}
		say(out, "%s %s", words, tag)
	}
	return nil
}
