package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settingGroup is a group of settings under one name, as the help shows them.
type settingGroup struct {
	name, about string
	settings    []string
}

// settingGroups has each setting once. The first group has those that are used most:
// the help explains them, and only names the others.
var settingGroups = []settingGroup{
	{"main", "what runs, and where", []string{
		"repo", "ref", "path", "workspace", "data", "instance", "url", "api-token-file", "context", "listen", "interval", "webhook-secret-file", "config", "color",
	}},
	{"git", "how the repository is reached", []string{
		"git-username", "git-password-file", "git-bearer-token-file", "ssh-key-file", "ssh-passphrase-file", "known-hosts-file",
		"git-client-cert-file", "git-client-key-file", "git-ca-file", "git-proxy", "git-proxy-username", "git-proxy-password-file",
		"github-app-id", "github-installation-id", "github-app-key-file", "github-api", "submodule-hosts",
		"layer", "layer-username", "layer-password-file", "layer-ssh-key-file", "commit-author",
	}},
	{"signatures", "who may sign commits", []string{"verify-signatures", "verify-ssh-signers-file", "verify-pgp-keys-file", "verify-repository", "allow-rewind"}},
	{"secrets", "which keys open encrypted files, and where other values come from", []string{
		"instance-key-file", "sops-age-key-file", "sops-pgp-key-file", "sops-pgp-passphrase-file", "sops-kms", "secrets-dir", "ref-variables",
		"vault-address", "vault-token-file", "vault-role-id", "vault-secret-id-file", "vault-auth-path", "vault-namespace", "vault-ca-file",
	}},
	{"policy", "what a workspace may ask of Docker, and what waits for a person", []string{
		"policy", "policy-file", "policy-rule", "allow-hooks", "hook-timeout", "prune-stacks", "prune-percent",
	}},
	{"server", "what the controller serves and tells others", []string{
		"tls-cert-file", "tls-key-file", "open-metrics", "commit-url", "notify-url", "notify-secret-file", "log-format", "log-level",
	}},
	{"images", "registries, newer tags, old images", []string{
		"registry-auth-file", "insecure-registry", "images-interval", "clean-images", "clean-image", "clean-images-age",
	}},
	{"swarm", "how Docker is reached", []string{"docker-host"}},
	{"tuning", "times and limits", []string{
		"schedule", "freeze", "verify", "read-memory", "pprof", "git-timeout", "depth", "max-files", "max-bytes", "max-file-bytes", "defaults",
		"history-keep", "history-age", "history-size",
	}},
}

// groupOf returns the group of a setting; tuning has those that are in no other.
func groupOf(setting string) string {
	for _, group := range settingGroups {
		if slices.Contains(group.settings, setting) {
			return group.name
		}
	}
	return "tuning"
}

// helpWidth is the widest line of the help.
const helpWidth = 80

// help prints what a command does, and how it is used.
func help(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	for paragraph := range strings.SplitSeq(strings.TrimSpace(cmp.Or(cmd.Long, cmd.Short)), "\n\n") {
		if !strings.Contains(paragraph, "\n ") { // a list stays as it is
			paragraph = wrapped(strings.Join(strings.Fields(paragraph), " "), helpWidth, "")
		}
		fmt.Fprintf(out, "%s\n\n", paragraph)
	}
	usageTo(out, cmd)
}

// usage prints how a command is used, to standard error: it was used wrongly.
func usage(cmd *cobra.Command) error {
	usageTo(cmd.ErrOrStderr(), cmd)
	return nil
}

// usageTo prints how a command is used: its own flags and the settings that are used
// most, each explained, and the names of all others in groups.
func usageTo(out io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(out, "Usage:\n")
	if cmd.Runnable() {
		fmt.Fprintf(out, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "  %s [command]\n", cmd.CommandPath())
		usageOfCommands(out, cmd)
	}
	if cmd.HasExample() {
		fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
	flags, named := flagsOf(cmd)
	if len(flags) > 0 {
		fmt.Fprint(out, "\nFlags:\n")
		for _, flag := range flags {
			fmt.Fprintln(out, flagLine(flag))
		}
	}
	if len(named) > 0 {
		fmt.Fprint(out, "\nSettings, explained by `kargo settings`; best kept in a file (--config):\n")
		for _, group := range settingGroups {
			if names := named[group.name]; len(names) > 0 {
				fmt.Fprintln(out, entryLine("  "+group.name, strings.Join(names, " "), 13))
			}
		}
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\n\"%s [command] --help\" has more about a command.\n", cmd.CommandPath())
	}
}

func usageOfCommands(out io.Writer, cmd *cobra.Command) {
	groups := append([]*cobra.Group{}, cmd.Groups()...)
	for _, group := range append(groups, &cobra.Group{Title: "Other commands:"}) {
		title := group.Title
		for _, child := range cmd.Commands() {
			if child.GroupID != group.ID || !child.IsAvailableCommand() && child.Name() != "help" {
				continue
			}
			if title != "" {
				fmt.Fprintf(out, "\n%s\n", title)
				title = ""
			}
			fmt.Fprintln(out, entryLine(fmt.Sprintf("  %-12s", child.Name()), child.Short, 15))
		}
	}
}

// flagsOf returns the flags that are explained, those of the command itself first, and
// the names of the others by group.
func flagsOf(cmd *cobra.Command) (explained []*pflag.Flag, named map[string][]string) {
	settings, named := allSettings(), map[string][]string{}
	var main []*pflag.Flag
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		group := groupOf(flag.Name)
		switch {
		case flag.Hidden, flag.Name == "help":
		case settings.Lookup(flag.Name) == nil && flag.Name != "color":
			explained = append(explained, flag)
		case group == "main":
			main = append(main, flag)
		default:
			named[group] = append(named[group], "--"+flag.Name)
		}
	})
	order := func(flag *pflag.Flag) int { return slices.Index(settingGroups[0].settings, flag.Name) }
	slices.SortStableFunc(main, func(a, b *pflag.Flag) int { return order(a) - order(b) })
	return append(explained, main...), named
}

// flagLine returns the lines that explain a flag.
func flagLine(flag *pflag.Flag) string {
	kind, about := pflag.UnquoteUsage(flag)
	name := "      --" + flag.Name
	if flag.Shorthand != "" {
		name = "  -" + flag.Shorthand + ", --" + flag.Name
	}
	if kind != "" {
		name += " " + kind
	}
	if given := flag.DefValue; given != "" && given != "false" && given != "0" && given != "0s" && given != "[]" {
		about += " (default " + given + ")"
	}
	return entryLine(name, about, 28)
}

// entryLine returns a name and a text beside it, which begins in a column.
func entryLine(name, text string, column int) string { return beside(name, text, column, helpWidth) }

// beside returns a name and a text beside it, which begins in a column and goes on there
// where a line would be wider than a width; 0 sets none.
func beside(name, text string, column, width int) string {
	indent := strings.Repeat(" ", column)
	text = strings.TrimPrefix(wrapped(indent+text, width, indent), indent)
	room := column - visible(name)
	if room <= 0 {
		return name + "\n" + indent + text
	}
	return name + strings.Repeat(" ", room) + text
}
