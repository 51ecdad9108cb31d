package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/spelling"
)

func catalogueCommand(env map[string]string) *cobra.Command {
	s := &catalogueFlags{}
	var output string
	cmd := &cobra.Command{
		Use: "catalogue", Short: "List the services of the catalogue", GroupID: "workspace", Args: noArgs,
		Example: "  kargo catalogue\n  kargo catalogue show redis",
		Long: `Catalogue lists the services that a stack can name, with what each of them needs
(variables that must be set, other services, nodes, volumes, networks) and offers
(ports, routes, metrics). "kargo catalogue show SERVICE" prints one service with
all its variables. The list comes from the catalogue's own files.

The catalogue has a version, which is part of every revision: with another
version of Kargo, the same commit can mean other services. With
KARGO_CATALOGUE=VERSION in the .env of a workspace, changes of another version
wait for approval.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listed, err := s.catalogue(cmd, env)
			if err != nil {
				return err
			}
			if output == "json" {
				return encode(cmd.OutOrStdout(), output, listed)
			}
			return printCatalogue(cmd.OutOrStdout(), listed)
		},
	}
	s.flags(cmd.Flags())
	outputFlag(cmd, &output, "text", "json")
	cmd.AddCommand(showCommand(env))
	return cmd
}

func showCommand(env map[string]string) *cobra.Command {
	s := &catalogueFlags{}
	var output string
	cmd := &cobra.Command{
		Use: "show SERVICE…", Short: "Print services of the catalogue with all their variables",
		Example: "  kargo catalogue show redis",
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				return usagef("which service? see `kargo catalogue`")
			}
			listed, err := s.catalogue(cmd, env)
			if err != nil {
				return err
			}
			chosen, err := listed.choose(names)
			if err != nil {
				return err
			}
			if output == "json" {
				return encode(cmd.OutOrStdout(), output, catalogueList{listed.Version, chosen})
			}
			for i, service := range chosen {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := printService(cmd.OutOrStdout(), service); err != nil {
					return err
				}
			}
			return nil
		},
	}
	s.flags(cmd.Flags())
	outputFlag(cmd, &output, "text", "json")
	return cmd
}

// catalogueFlags are those of the commands that read only the catalogue.
type catalogueFlags struct {
	program
	defaultsFlag
}

func (s *catalogueFlags) flags(flags *pflag.FlagSet) {
	s.program.flags(flags)
	s.defaultsFlag.flags(flags)
}

// choose returns the services with these names.
func (c catalogueList) choose(names []string) ([]catalogueService, error) {
	var known []string
	for _, service := range c.Services {
		known = append(known, service.Name)
	}
	var chosen []catalogueService
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, usageError{&kargo.Error{
				Fault: kargo.Invalid, Err: fmt.Errorf("the catalogue has no service %q", name), Hint: spelling.DidYouMean(name, known),
			}}
		}
		chosen = append(chosen, c.Services[i])
	}
	return chosen, nil
}

func printCatalogue(out io.Writer, listed catalogueList) error {
	fmt.Fprintf(out, "catalogue %s, %s\n", listed.Version, plural(len(listed.Services), "service"))
	group := ""
	for _, service := range listed.Services {
		if service.Group != group {
			group = service.Group
			fmt.Fprintf(out, "\n%s\n", group)
		}
		fmt.Fprintf(out, "\n  %s: %s\n", service.Name, service.Summary)
		for _, line := range service.lines() {
			fmt.Fprintf(out, "    %-7s %s\n", line[0], line[1])
		}
	}
	_, err := fmt.Fprintln(out, "\nAll variables of one: kargo catalogue show SERVICE")
	return err
}

// lines returns what a service needs and offers: the title and the text of each
// line.
func (s catalogueService) lines() [][2]string {
	var lines [][2]string
	add := func(title string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
		if len(parts) > 0 {
			lines = append(lines, [2]string{title, strings.Join(parts, "; ")})
		}
	}
	add("set", strings.Join(s.Needs.Variables, ", "))
	add("needs", strings.Join(s.Needs.Services, ", "), strings.Join(s.Needs.Constraints, ", "),
		listOf("volume", s.Needs.Volumes), listOf("of the node", s.Needs.Directories))
	add("on", strings.Join(s.Needs.Networks, ", "))
	add("offers", listOf("port", s.Offers.Ports), strings.Join(s.Offers.Routes, ", "), listOf("metrics", s.Offers.Metrics))
	return lines
}

func listOf(what string, entries []string) string {
	if len(entries) == 0 {
		return ""
	}
	return what + " " + strings.Join(entries, ", ")
}

func printService(out io.Writer, service catalogueService) error {
	fmt.Fprintf(out, "%s: %s\n", service.Name, service.Summary)
	if service.Text != "" {
		fmt.Fprintf(out, "\n%s\n", service.Text)
	}
	fmt.Fprintln(out)
	for _, line := range append([][2]string{{"image", strings.Join(service.Images, ", ")}}, service.lines()...) {
		fmt.Fprintf(out, "%-7s %s\n", line[0], line[1])
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VARIABLE\tDEFAULT\tMEANING")
	for _, variable := range service.Variables {
		standard := variable.Default
		if variable.Required {
			standard = "(required)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", variable.Name, standard, variable.Meaning)
	}
	return table.Flush()
}
