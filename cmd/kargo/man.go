package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIRECTORY", Short: "Write the manual pages", GroupID: "workspace",
		Long: `Man writes a manual page for each command to a directory. Pages in
~/.local/share/man/man1 are found by man(1).`,
		Example: "  kargo man ~/.local/share/man/man1 && man kargo-status",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which directory? kargo man takes one")
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write manual: %w", err)
			}
			return writeManual(cmd.Root(), args[0])
		},
	}
}

// writeManual writes the page of a command, and those of its commands.
func writeManual(cmd *cobra.Command, directory string) error {
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
	if err := os.WriteFile(filepath.Join(directory, name), []byte(manual(cmd)), 0o644); err != nil {
		return fmt.Errorf("write manual: %w", err)
	}
	for _, child := range cmd.Commands() {
		if child.IsAvailableCommand() {
			if err := writeManual(child, directory); err != nil {
				return err
			}
		}
	}
	return nil
}

// manual returns the page of a command, in the language of man(7).
func manual(cmd *cobra.Command) string {
	var page strings.Builder
	title := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&page, ".TH %q 1 \"\" \"kargo %s\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(title), version, title, roff(cmd.Short))
	fmt.Fprintf(&page, ".SH SYNOPSIS\n.B %s\n.SH DESCRIPTION\n", roff(cmd.UseLine()))
	for paragraph := range strings.SplitSeq(cmd.Long, "\n\n") {
		fmt.Fprintf(&page, ".PP\n%s\n", roff(paragraph))
	}
	if cmd.HasExample() {
		fmt.Fprintf(&page, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	page.WriteString(".SH OPTIONS\n")
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		kind, about := pflag.UnquoteUsage(flag)
		fmt.Fprintf(&page, ".TP\n.B \\-\\-%s %s\n%s\n", roff(flag.Name), roff(kind), roff(about))
	})
	if cmd.HasParent() {
		fmt.Fprintf(&page, ".SH SEE ALSO\n%s(1)\n", roff(strings.ReplaceAll(cmd.Parent().CommandPath(), " ", "-")))
	} else {
		page.WriteString(".SH COMMANDS\n")
		for _, child := range cmd.Commands() {
			if child.IsAvailableCommand() {
				fmt.Fprintf(&page, ".TP\nkargo\\-%s(1)\n%s\n", roff(child.Name()), roff(child.Short))
			}
		}
	}
	return page.String()
}

// roff returns a text so that nothing in it is a command of man(7).
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
