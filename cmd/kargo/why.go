package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kargo"
	"kargo/compile"
)

func whyCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	cmd := &cobra.Command{
		Use: "why VARIABLE|FILE|STACK|SERVICE[.FIELD…]", Short: "Print where a value comes from", GroupID: "workspace",
		Long: `Why prints the layer, the file and the line that a value comes from. The value is
a variable of the environment, a file of the merged configuration, or a field of a
service, which is written as in compose files, with or without the stack before
it. Why lists all places that set the value, the lowest layer first, and marks
those that count. For fields that read variables it also prints where the
variables come from. Digests stand for the values of secret variables.`,
		Example: "  kargo why REDIS_TAG\n  kargo why configs/redis/redis.conf\n  kargo why dbs.redis.image\n  kargo why redis",
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
			e := explainer{out: cmd.OutOrStdout(), desired: desired, mask: desired.Workspace.Mask(randomKey())}
			return e.explain(args[0])
		},
	}
	s.flags(cmd.Flags())
	return cmd
}

// explainer prints where values come from.
type explainer struct {
	out     io.Writer
	desired compile.Desired
	mask    kargo.Mask
}

func (e explainer) explain(what string) error {
	workspace := e.desired.Workspace
	name := strings.TrimPrefix(what, ".kargo/")
	if _, declared := workspace.Env[what]; declared {
		return e.variable(workspace, what)
	}
	if file, exists := workspace.Files[name]; exists {
		return e.file(name, file)
	}
	var trails []kargo.Trail
	if e.desired.Provenance != nil {
		trails = e.desired.Provenance.Why(what)
	}
	if len(trails) == 0 {
		if err := e.desired.Problems.Err(); err != nil {
			return fmt.Errorf("nothing is known of %q as long as the workspace is wrong: %w", what, err)
		}
		return usagef("there is no variable, file, stack or service %q; see `kargo env` and `kargo info`", what)
	}
	for i, trail := range trails {
		if i > 0 {
			fmt.Fprintln(e.out)
		}
		if err := e.trail(trail); err != nil {
			return err
		}
	}
	return nil
}

// variable lists the assignments of a variable; the last one counts.
// The workspace is as the one sees it who reads the variable.
func (e explainer) variable(workspace kargo.Workspace, name string) error {
	fmt.Fprintf(e.out, "%s=%q\n", name, e.mask.Value(name, workspace.Env[name]))
	places := workspace.Assignments[name]
	if len(places) == 0 {
		_, err := fmt.Fprintln(e.out, "* Kargo sets it")
		return err
	}
	table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for i, place := range places {
		fmt.Fprintf(table, "%s %s\t%s\n", mark(i == len(places)-1), place, place.EnvLayer())
	}
	return table.Flush()
}

// file lists the layers that have a file of the merged configuration.
func (e explainer) file(name string, file kargo.File) error {
	fmt.Fprintln(e.out, name)
	for _, layer := range file.Over {
		fmt.Fprintf(e.out, "%s %s\n", mark(false), layer)
	}
	origin := file.Origin
	if origin == kargo.OriginRendered {
		origin = fmt.Sprintf("%s, rendered from %s", e.desired.Workspace.Layer(name), file.Source)
	}
	_, err := fmt.Fprintf(e.out, "%s %s\n", mark(true), origin)
	return err
}

// trail lists the places of a value, the values below it, and the variables
// that they read.
func (e explainer) trail(trail kargo.Trail) error {
	fmt.Fprintf(e.out, "%s of stack %s\n", kargo.Printable(trail.Path), kargo.Printable(trail.Stack))
	table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	e.mentions(table, "", trail)
	for _, part := range trail.Parts {
		e.mentions(table, "."+kargo.Printable(part.Key), part)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return e.variables(trail)
}

func (e explainer) mentions(table io.Writer, prefix string, trail kargo.Trail) {
	for _, m := range trail.Mentions {
		if prefix != "" && !m.Counts {
			continue // ask for it by name
		}
		row := fmt.Sprintf("%s %s\t%s", mark(m.Counts), m.Where, m.Layer)
		if text := strings.TrimSpace(prefix + " " + e.text(trail.Key, m)); text != "" {
			row += "\t" + text
		}
		fmt.Fprintln(table, row)
	}
}

// text returns a value as its file has it, and the value with its variables
// replaced.
func (e explainer) text(key string, m kargo.Mention) string {
	if m.Text == "" {
		return ""
	}
	shown := strconv.Quote(e.mask.Value(key, m.Text))
	if m.Value != m.Text {
		shown += " = " + strconv.Quote(e.mask.Value(key, m.Value))
	}
	return shown
}

// variables prints where the variables of a single value come from.
func (e explainer) variables(trail kargo.Trail) error {
	if len(trail.Parts) > 0 {
		return nil
	}
	said := map[string]bool{}
	workspace := e.desired.Workspace.For(trail.Stack)
	for _, m := range trail.Mentions {
		for _, name := range m.Variables {
			if _, declared := workspace.Env[name]; !m.Counts || !declared || said[name] {
				continue
			}
			said[name] = true
			fmt.Fprintln(e.out)
			if err := e.variable(workspace, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// mark returns the mark in front of a place: a star if the place counts.
func mark(counts bool) string {
	if counts {
		return "*"
	}
	return " "
}
