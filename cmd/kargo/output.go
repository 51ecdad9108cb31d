package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// output is the value of -o of the commands that print data: the same kinds
// everywhere.
type output string

const (
	outputText  output = "text" // for people, as wide as the terminal
	outputWide  output = "wide" // for people, with all there is
	outputJSON  output = "json"
	outputYAML  output = "yaml"  // the same names as JSON
	outputName  output = "name"  // names only, one a line
	outputSARIF output = "sarif" // for forges; only of check
)

var outputs = []string{string(outputText), string(outputWide), string(outputJSON), string(outputYAML), string(outputName)}

// kinds say what -o of one command prints. The table in docs/operating.md has them of
// all commands.
type kinds struct {
	// names is what -o name prints, one a line: "stacks".
	names string
	// wide is what -o wide prints besides what text has; empty if it prints the same.
	wide string
}

// Annotations of a command that say what its -o prints.
const (
	printsNames = "kargo/names"
	printsWide  = "kargo/wide"
)

// flag defines -o. more are kinds of output that only this command has.
func (o *output) flag(cmd *cobra.Command, prints kinds, more ...output) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[printsNames], cmd.Annotations[printsWide] = prints.names, prints.wide
	values, explained := slices.Clone(outputs), slices.Clone(outputs)
	explained[slices.Index(outputs, string(outputName))] += " (" + prints.names + ")"
	if prints.wide != "" {
		explained[slices.Index(outputs, string(outputWide))] += " (also " + prints.wide + ")"
	}
	for _, kind := range more {
		values, explained = append(values, string(kind)), append(explained, string(kind))
	}
	cmd.Flags().StringVarP((*string)(o), "output", "o", string(outputText), "`kind` of output: "+alternatives(explained))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(values, string(*o)) {
			return usagef("-o takes %s, not %q", alternatives(values), string(*o))
		}
		return nil
	}
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // it fails for no such flag
}

// alternatives joins words as a sentence does: "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// onlyText returns an error if another kind of output was asked for, where the command
// prints no data but does something.
func (o output) onlyText(flag string) error {
	if o == outputText {
		return nil
	}
	return usagef("-o %s is for what is printed without --%s", o, flag)
}

// show prints a value in the wanted way: as text, as a document, or only its names.
func (o output) show(cmd *cobra.Command, value any, text func(screen) error, names func() []string) error {
	switch o {
	case outputJSON, outputYAML:
		return encode(cmd.OutOrStdout(), string(o), value)
	case outputName:
		for _, name := range names() {
			fmt.Fprintln(cmd.OutOrStdout(), name)
		}
		return nil
	case outputText, outputWide, outputSARIF:
	}
	return text(newScreen(cmd))
}

// line prints one of many values: as a line of text, as a document, or by its name.
func (o output) line(out screen, value any, text func(), name string) error {
	switch o {
	case outputJSON:
		return json.NewEncoder(out.out).Encode(value) // one a line
	case outputYAML:
		if _, err := fmt.Fprintln(out.out, "---"); err != nil {
			return err
		}
		return encode(out.out, string(o), value)
	case outputName:
		_, err := fmt.Fprintln(out.out, name)
		return err
	case outputText, outputWide, outputSARIF:
	}
	text()
	return nil
}

// encode writes a value as JSON, or as YAML with the same names.
func encode(out io.Writer, form string, value any) error {
	if form == string(outputJSON) {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(value)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	// JSON is YAML: reading it back as a node keeps the order of the fields.
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return err
	}
	blockStyle(&document)
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return err
	}
	return encoder.Close()
}

// blockStyle removes the braces and quotes of JSON, so that the YAML looks as
// people write it.
func blockStyle(node *yaml.Node) {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!str" {
		node.Style = 0
	}
	for _, child := range node.Content {
		blockStyle(child)
	}
}
