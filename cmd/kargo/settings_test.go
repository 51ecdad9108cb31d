package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// kindsOfValues are what a value can be called in the help: a word of these, or
// a form in capitals, such as NAME=PATH.
var kindsOfValues = []string{
	"address", "duration", "expression", "host", "kind", "name", "names", "number", "path", "percentage",
}

var valueForm = regexp.MustCompile(`^[A-Z]+(=[A-Z]+)?$`)

// TestHelpLines: each line of the help can be read without the others.
func TestHelpLines(t *testing.T) {
	eachFlag(newRoot(nil), func(command string, flag *pflag.Flag) {
		kind, usage := pflag.UnquoteUsage(flag)
		if kind != "" && !slices.Contains(kindsOfValues, kind) && !valueForm.MatchString(kind) {
			t.Errorf("%s --%s: %q is no kind of value", command, flag.Name, kind)
		}
		if strings.Contains(usage, "…") || strings.HasSuffix(usage, ".") || usage == "" || usage[:1] != strings.ToLower(usage[:1]) && !regexp.MustCompile(`^[A-Z]{2}`).MatchString(usage) {
			t.Errorf("%s --%s: %q is no help line: it is a phrase, complete and without a period", command, flag.Name, usage)
		}
		for _, word := range []string{"that key", "that proxy", "those keys", "that role", "that certificate", "so many"} {
			if strings.Contains(usage, word) {
				t.Errorf("%s --%s: %q points at another line with %q", command, flag.Name, usage, word)
			}
		}
	})
}

// optionsOfCommands are the flags that are no settings: they say what one call
// is to do.
var optionsOfCommands = []string{
	"all", "apply", "author", "before", "cleaning", "exit-code", "export", "follow", "for", "from", "help", "keep-going", "limit", "outcome", "output", "plan", "push", "reason", "running", "search", "services", "show-secrets", "since", "stack", "tail", "token-file", "version", "wait", "watch", "yes",
}

// TestSettingsOfAllCommands: whatever is a setting of some command can stand in
// the settings file and in a variable.
func TestSettingsOfAllCommands(t *testing.T) {
	known := allSettings()
	eachFlag(newRoot(nil), func(command string, flag *pflag.Flag) {
		if isOption := slices.Contains(optionsOfCommands, flag.Name); isOption == (known.Lookup(flag.Name) != nil) {
			t.Errorf("%s --%s is an option (%t) and must otherwise be among all settings", command, flag.Name, isOption)
		}
	})
}

// TestSecretsHaveVariables: a flag that names the file of a secret has a
// variable for the secret itself, which its help names.
func TestSecretsHaveVariables(t *testing.T) {
	found := 0
	allSettings().VisitAll(func(flag *pflag.Flag) {
		if _, isSecret := flag.Value.(*secretSource); !isSecret {
			return
		}
		found++
		name, hasSuffix := strings.CutSuffix(flag.Name, secretSuffix)
		if !hasSuffix || !strings.Contains(flag.Usage, variable(name)) {
			t.Errorf("--%s: %s", flag.Name, flag.Usage)
		}
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		var secret secretSource
		secretFlag(flags, &secret, name, "")
		if err := resolveVariable(flags, allSettings(), variable(name), "value"); err != nil || secret.value != "value" {
			t.Errorf("%s gives %q, %v", variable(name), secret.value, err)
		}
	})
	if found < 20 {
		t.Errorf("found only %d secrets", found)
	}
}

// eachFlag visits the flags of a command and of those below it.
func eachFlag(cmd *cobra.Command, visit func(command string, flag *pflag.Flag)) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { visit(cmd.CommandPath(), flag) })
	for _, child := range cmd.Commands() {
		eachFlag(child, visit)
	}
}

// TestEachSettingIsInOneGroup: the help names each setting once; those of no group are in the
// last one.
func TestEachSettingIsInOneGroup(t *testing.T) {
	known, seen := allSettings(), map[string]bool{}
	for _, group := range settingGroups {
		for _, name := range group.settings {
			if seen[name] || known.Lookup(name) == nil && name != "color" {
				t.Errorf("group %s has %s, which is no setting or in two groups", group.name, name)
			}
			seen[name] = true
		}
	}
}

// TestExampleSettings: the example is a settings file, also without its comments.
func TestExampleSettings(t *testing.T) {
	path := t.TempDir() + "/settings.yml"
	for name, text := range map[string]string{
		"as it is": exampleSettings(), "with all": regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAllString(exampleSettings(), "$1"),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		settings, err := readSettingsFile(path)
		if err != nil || len(settings) < 7 {
			t.Errorf("%s: %d settings, %v", name, len(settings), err)
		}
		known := allSettings()
		for _, setting := range settings {
			if known.Lookup(setting.name) == nil {
				t.Errorf("%s: there is no setting %s", name, setting.name)
			}
		}
	}
}

// TestHelpFits: the help of a command fits a terminal of 80 columns, and that of check a
// screen. Each command has an example.
func TestHelpFits(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			visit(child)
		}
		if !cmd.Runnable() || cmd.Hidden {
			return
		}
		if !cmd.HasExample() && cmd.HasParent() && cmd.Name() != "version" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		var help strings.Builder
		cmd.SetOut(&help)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(help.String(), "\n"), "\n")
		for _, line := range lines {
			if len([]rune(line)) > helpWidth {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), len([]rune(line)), line)
			}
		}
		if cmd.CommandPath() == "kargo check" && len(lines) > 40 {
			t.Errorf("the help of check has %d lines", len(lines))
		}
	}
	visit(newRoot(nil))
}
