package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kargo"
	"kargo/spelling"
)

func catalogueCommand(env map[string]string) *cobra.Command {
	s := &catalogueFlags{}
	var output output
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
			return output.show(cmd, listed, func(out screen) error { printCatalogue(out, listed); return nil }, listed.names)
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "services"})
	cmd.AddCommand(showCommand(env))
	return cmd
}

func showCommand(env map[string]string) *cobra.Command {
	s := &catalogueFlags{}
	var output output
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
			listed.Services = chosen
			text := func(out screen) error {
				for i, service := range chosen {
					if i > 0 {
						out.line("")
					}
					printService(out, service)
				}
				return nil
			}
			return output.show(cmd, listed, text, listed.names)
		},
	}
	s.flags(cmd.Flags())
	output.flag(cmd, kinds{names: "services"})
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

// names returns the names of the services.
func (c catalogueList) names() (names []string) {
	for _, service := range c.Services {
		names = append(names, service.Name)
	}
	return names
}

// choose returns the services with these names.
func (c catalogueList) choose(names []string) ([]catalogueService, error) {
	known := c.names()
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

func printCatalogue(out screen, listed catalogueList) {
	out.line("catalogue %s, %s", listed.Version, plural(len(listed.Services), "service"))
	group := ""
	for _, service := range listed.Services {
		if service.Group != group {
			group = service.Group
			out.line("\n%s", out.paint(bold, group))
		}
		out.line("\n  %s: %s", service.Name, service.Summary)
		for _, line := range service.lines() {
			out.entry("    "+line[0], line[1], 12)
		}
	}
	out.line("\nAll variables of one: kargo catalogue show SERVICE")
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

func printService(out screen, service catalogueService) {
	out.line("%s: %s", service.Name, service.Summary)
	if service.Text != "" {
		out.line("\n%s", service.Text)
	}
	out.line("")
	for _, line := range append([][2]string{{"image", strings.Join(service.Images, ", ")}}, service.lines()...) {
		out.entry(line[0], line[1], 8)
	}
	out.line("")
	var rows [][]cell
	for _, variable := range service.Variables {
		standard := variable.Default
		if variable.Required {
			standard = "(required)"
		}
		rows = append(rows, []cell{plain(variable.Name), plain(standard), plain(variable.Meaning)})
	}
	out.tableOfSentences([]string{"VARIABLE", "DEFAULT", "MEANING"}, rows)
}
