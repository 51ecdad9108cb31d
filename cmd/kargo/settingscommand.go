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

// settingDocument is one setting as `kargo settings -o json` prints it.
type settingDocument struct {
	Name     string `json:"name"`
	Group    string `json:"group"`
	Variable string `json:"variable"`
	Default  string `json:"default,omitempty"`
	About    string `json:"about"`
}

func settingsCommand(env map[string]string) *cobra.Command {
	var output output
	cmd := &cobra.Command{
		Use: "settings [GROUP|NAME]", Short: "Explain the settings of all commands", GroupID: "controller",
		Long: `Settings explains each setting: what it is for, its variable and its default. A
setting is a key of the settings file, a variable KARGO_* or a flag; a flag overrides
a variable, and a variable overrides the file. The file is the best place for what
stays: name it with --config or KARGO_CONFIG. "kargo settings example" prints one.`,
		Example:   "  kargo settings\n  kargo settings git\n  kargo settings example >kargo-settings.yml",
		ValidArgs: namesOfGroups(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("kargo settings takes one group or setting at most")
			}
			documents, err := settingDocuments(strings.Join(args, ""))
			if err != nil {
				return err
			}
			return output.show(cmd, documents, func(out screen) error { printSettings(out, documents); return nil }, func() []string {
				var names []string
				for _, document := range documents {
					names = append(names, document.Name)
				}
				return names
			})
		},
	}
	output.flag(cmd, kinds{names: "settings"})
	cmd.AddCommand(settingsExampleCommand())
	return cmd
}

func namesOfGroups() []string {
	var names []string
	for _, group := range settingGroups {
		names = append(names, group.name)
	}
	return names
}

// settingDocuments returns the settings of a group, or the one with a name; all of them
// if none is named.
func settingDocuments(wanted string) ([]settingDocument, error) {
	var documents []settingDocument
	settings := allSettings()
	for _, group := range settingGroups {
		for _, flag := range settingsOf(group, settings) {
			if wanted == "" || wanted == group.name || strings.TrimPrefix(wanted, "--") == flag.Name {
				_, about := pflag.UnquoteUsage(flag)
				documents = append(documents, settingDocument{flag.Name, group.name, variable(flag.Name), flag.DefValue, about})
			}
		}
	}
	if len(documents) == 0 {
		return nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no setting or group %q", wanted), Hint: spelling.DidYouMean(wanted, append(namesOf(settings), namesOfGroups()...))}
	}
	return documents, nil
}

// settingsOf returns the settings of a group, in its order.
func settingsOf(group settingGroup, settings *pflag.FlagSet) []*pflag.Flag {
	var flags []*pflag.Flag
	settings.VisitAll(func(flag *pflag.Flag) {
		if groupOf(flag.Name) == group.name && !flag.Hidden {
			flags = append(flags, flag)
		}
	})
	order := func(flag *pflag.Flag) int { return slices.Index(group.settings, flag.Name) }
	slices.SortStableFunc(flags, func(a, b *pflag.Flag) int { return order(a) - order(b) })
	return flags
}

func printSettings(out screen, documents []settingDocument) {
	width := out.width
	if width == 0 {
		width = helpWidth
	}
	group := ""
	for _, document := range documents {
		if document.Group != group {
			if group != "" {
				out.line("")
			}
			group = document.Group
			out.line("%s  %s", out.paint(bold, group), aboutGroup(group))
		}
		text := fmt.Sprintf("  %s: %s", document.Name, document.About)
		if given := document.Default; given != "" && given != "false" && given != "[]" {
			text += " (default " + given + ")"
		}
		fmt.Fprintln(out.out, wrapped(text, width, "      "))
	}
}

func aboutGroup(name string) string {
	for _, group := range settingGroups {
		if group.name == name {
			return group.about
		}
	}
	return ""
}

// examples has the values in the example of a settings file.
var examples = map[string]string{
	"repo": "https://git.example/ops/platform.git", "ref": "main", "data": "/var/lib/kargo", "listen": "127.0.0.1:8080", "interval": "1m",
	"git-password-file": "/etc/kargo/git-token", "webhook-secret-file": "/etc/kargo/webhook-secret",
}

// onlyFlags are the settings that make no sense in a file.
var onlyFlags = []string{"config", "workspace", "url", "context", "color"}

func settingsExampleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "example", Short: "Print a settings file with every setting explained", Args: noArgs,
		Long: `Example prints a settings file for "kargo serve": the settings that nearly everybody
needs, and all others as comments, each with its explanation and default. Secrets are
in files of their own, which the settings name.`,
		Example: "  kargo settings example >kargo-settings.yml\n  kargo serve --config kargo-settings.yml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), exampleSettings())
			return err
		},
	}
}

// exampleSettings returns a settings file.
func exampleSettings() string {
	var text strings.Builder
	text.WriteString("# Settings of kargo serve: kargo serve --config THIS-FILE\n")
	settings := allSettings()
	for _, group := range settingGroups {
		fmt.Fprintf(&text, "\n# --- %s: %s\n", group.name, group.about)
		for _, flag := range settingsOf(group, settings) {
			if slices.Contains(onlyFlags, flag.Name) {
				continue
			}
			_, about := pflag.UnquoteUsage(flag)
			for line := range strings.SplitSeq(wrapped(about, helpWidth-2, ""), "\n") {
				fmt.Fprintf(&text, "# %s\n", line)
			}
			if value := examples[flag.Name]; value != "" {
				fmt.Fprintf(&text, "%s: %s\n", flag.Name, value)
			} else {
				fmt.Fprintf(&text, "#%s: %s\n", flag.Name, exampleValue(flag))
			}
		}
	}
	return text.String()
}

// exampleValue returns a value of a setting in YAML: its default, or its kind.
func exampleValue(flag *pflag.Flag) string {
	_, list := flag.Value.(pflag.SliceValue)
	kind, _ := pflag.UnquoteUsage(flag)
	switch {
	case list:
		return "[]"
	case flag.DefValue != "":
		if strings.ContainsAny(flag.DefValue, ":#{}[]<>*") {
			return fmt.Sprintf("%q", flag.DefValue)
		}
		return flag.DefValue
	case flag.Name == "path":
		return "deploy"
	case kind == "path" || strings.HasSuffix(flag.Name, secretSuffix):
		return "/etc/kargo/" + strings.TrimSuffix(flag.Name, secretSuffix)
	}
	return `""`
}
