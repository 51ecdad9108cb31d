package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// output is the value of -o of the commands that print data: the same kinds
// everywhere.
type output string

const (
	outputText output = "text" // for people, as wide as the terminal
	outputWide output = "wide" // for people, with all there is
	outputJSON output = "json"
	outputYAML output = "yaml" // the same names as JSON
	outputName output = "name" // names only, one a line
)

var outputs = []string{string(outputText), string(outputWide), string(outputJSON), string(outputYAML), string(outputName)}

// flag defines -o.
func (o *output) flag(cmd *cobra.Command) {
	cmd.Flags().StringVarP((*string)(o), "output", "o", string(outputText), "`kind` of output: "+strings.Join(outputs[:len(outputs)-1], ", ")+" or "+outputs[len(outputs)-1])
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(outputs, string(*o)) {
			return usagef("-o takes %s or %s, not %q", strings.Join(outputs[:len(outputs)-1], ", "), outputs[len(outputs)-1], string(*o))
		}
		return nil
	}
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)) // it fails for no such flag
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
	case outputText, outputWide:
	}
	return text(newScreen(cmd))
}
