package main

import (
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
	"apply", "before", "cleaning", "exit-code", "export", "follow", "for", "from", "help", "keep-going", "limit", "output", "plan", "push", "reason", "running", "services", "show-secrets", "since", "tail", "version", "wait", "watch", "yes",
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
