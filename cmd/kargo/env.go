package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kargo"
)

// variableDocument is one variable as env prints it. Other programs read it, so its form
// must not change.
type variableDocument struct {
	Name  string `json:"name"`
	Value string `json:"value"` // masked
	Place string `json:"place,omitempty"`
	Layer string `json:"layer"`
	// Stack is the stack in a directory of its own whose .env assigns the variable: only
	// that stack reads this value.
	Stack string `json:"stack,omitempty"`
}

func envCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	var output output
	var all bool
	cmd := &cobra.Command{
		Use: "env [VARIABLE…]", Short: "Print the variables of a workspace, and where each value comes from", GroupID: "workspace",
		Long: `Env prints every variable that the stacks and templates of a workspace can read,
with its value and the place of its last assignment; the text leaves the defaults of
the catalogue out unless --all is given. What a stack in a directory of its own
assigns for itself in its .env comes last. Digests stand for the values
of secret variables; within one call, equal digests mean equal values. Env prints
to standard error which reader the files needed: dotenv, bash (both are part of
Kargo), or bash-process, for files that run programs (--allow-hooks).`,
		Example: "  kargo env --workspace ./workspace REDIS_TAG\n  kargo env -o wide",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context())
			if err != nil {
				return err
			}
			if len(desired.Workspace.StackNames()) == 0 { // the environment files could not be read
				if err := refuse(cmd, desired.Problems); err != nil {
					return err
				}
			}
			documents, err := variableDocuments(desired.Workspace, names)
			if err != nil {
				return err
			}
			shown := documents
			if output == outputText && len(names) == 0 && !all {
				shown = slices.DeleteFunc(slices.Clone(documents), func(v variableDocument) bool { return v.Layer == kargo.OriginDefault })
			}
			say(cmd.ErrOrStderr(), "environment read by %s", desired.Workspace.Reader)
			return output.show(cmd, documents, func(out screen) error {
				printVariables(out, shown, output == outputWide)
				if left := len(documents) - len(shown); left > 0 {
					say(cmd.ErrOrStderr(), "%s of the catalogue: kargo env --all", plural(left, "default"))
				}
				return nil
			}, func() []string {
				var names []string
				for _, document := range documents {
					if !slices.Contains(names, document.Name) {
						names = append(names, document.Name)
					}
				}
				return names
			})
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "variables", wide: "layers"})
	cmd.Flags().BoolVar(&all, "all", false, "print the defaults of the catalogue, too")
	return cmd
}

// variableDocuments returns the variables with these names; all if none is named. Those
// that stack directories assign for themselves come last.
func variableDocuments(workspace kargo.Workspace, names []string) ([]variableDocument, error) {
	mask := workspace.Mask(randomKey())
	documents := documentsOf(workspace.Env, workspace.Lines, names, mask, "")
	for _, directory := range workspace.Directories {
		documents = append(documents, documentsOf(directory.Env, directory.Lines, names, mask, directory.Name)...)
	}
	for _, name := range names {
		if !slices.ContainsFunc(documents, func(v variableDocument) bool { return v.Name == name }) {
			return nil, usagef("no file declares %s", name)
		}
	}
	return documents, nil
}

// documentsOf returns the variables of one environment.
func documentsOf(env kargo.Environment, lines map[string]kargo.Place, names []string, mask kargo.Mask, stack string) []variableDocument {
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(env))
	}
	documents := []variableDocument{}
	for _, name := range names {
		value, declared := env[name]
		if !declared {
			continue
		}
		document := variableDocument{Name: name, Value: mask.Value(name, value), Layer: kargo.KargoSets, Stack: stack}
		if place := lines[name]; place != (kargo.Place{}) {
			document.Place, document.Layer = place.String(), place.EnvLayer()
		}
		documents = append(documents, document)
	}
	return documents
}

// widestVariable is how many columns of a variable and its value push the places of all
// variables to the right.
const widestVariable = 48

func printVariables(out screen, documents []variableDocument, wide bool) {
	var lines []string
	column := 0
	for _, document := range documents {
		line := fmt.Sprintf("%s=%q", document.Name, document.Value)
		if width := utf8.RuneCountInString(line); width <= widestVariable {
			column = max(column, width)
		}
		lines = append(lines, line)
	}
	for i, document := range documents {
		where := document.Place
		switch {
		case where == "":
			where = "Kargo"
		case wide:
			where += "  " + document.Layer
		}
		fmt.Fprintf(out.out, "%-*s  %s\n", column, lines[i], where)
	}
}

// servicesOf returns the services of a stack, or the compose files of one that
// lies in a directory of its own.
func servicesOf(workspace kargo.Workspace, stack string) string {
	if directory, isOne := workspace.Directory(stack); isOne {
		return strings.Join(directory.Files, " ")
	}
	return workspace.Env[kargo.SuffixStack.Of(stack)]
}

// infoDocument is what info prints. Other programs read it, so its form must not change.
type infoDocument struct {
	User      int         `json:"user"`
	Group     int         `json:"group"`
	Workspace string      `json:"workspace"`
	Stacks    []infoStack `json:"stacks"`
}

type infoStack struct {
	Name string `json:"name"`
	// Services are those that STACK names, Files the compose files of a stack in a
	// directory of its own.
	Services []string `json:"services,omitempty"`
	Files    []string `json:"files,omitempty"`
}

func infoCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	var output output
	cmd := &cobra.Command{
		Use: "info", Short: "Print the stacks of a workspace and their services", GroupID: "workspace", Args: noArgs,
		Example: "  kargo info --workspace ./workspace\n  kargo info -o json",
		Long: `Info prints the user and group that Kargo runs as, the directory of the workspace,
and each stack with its services.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context())
			if err != nil {
				return err
			}
			text := func(out screen) error {
				printInfo(out, desired.Workspace, s.workspace)
				return nil
			}
			if err := output.show(cmd, infoOf(desired.Workspace, s.workspace), text, desired.Workspace.StackNames); err != nil {
				return err
			}
			return refuse(cmd, desired.Problems)
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "stacks"})
	return cmd
}

// printInfo prints the stacks of a workspace. Where programs read it, the form is that of
// the historic tool.
func printInfo(out screen, workspace kargo.Workspace, directory string) {
	var rows [][]cell
	for _, stack := range workspace.StackNames() {
		rows = append(rows, []cell{plain(kargo.Printable(stack)), plain(kargo.Printable(servicesOf(workspace, stack)))})
	}
	if out.terminal != nil {
		out.line("workspace %s, read as user %d of group %d\n", directory, os.Getuid(), os.Getgid())
		out.tableOfSentences([]string{"STACK", "SERVICES"}, rows)
		return
	}
	fmt.Fprintf(out.out, "%d/%d\n%s\n", os.Getuid(), os.Getgid(), directory)
	for _, row := range rows {
		fmt.Fprintf(out.out, " %-15s %s\n", row[0].text, row[1].text)
	}
}

func infoOf(workspace kargo.Workspace, directory string) infoDocument {
	document := infoDocument{User: os.Getuid(), Group: os.Getgid(), Workspace: directory, Stacks: []infoStack{}}
	for _, name := range workspace.StackNames() {
		stack := infoStack{Name: name}
		if own, isOne := workspace.Directory(name); isOne {
			stack.Files = own.Files
		} else {
			stack.Services = workspace.Env.List(kargo.SuffixStack.Of(name))
		}
		document.Stacks = append(document.Stacks, stack)
	}
	return document
}
