package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"kargo"
)

func renderCommand(env map[string]string) *cobra.Command {
	s := &workspaceFlags{}
	var output string
	var showSecrets bool
	cmd := &cobra.Command{
		Use: "render [STACK…]", Short: "Print the Swarm objects of a workspace", GroupID: "workspace",
		Long: `Render prints the Swarm objects of a workspace: for each stack its services with
Docker's own ServiceSpec, its networks, and the names and sizes of its configs
and secrets. If you name stacks, only these need to be valid. Render needs no
Docker and changes nothing. "***" stands for secret values, unless you give
--show-secrets. The names of configs and secrets end in a digest under a key that the
Swarm keeps. Render does not ask the Swarm, so it prints zeros in its place.`,
		Example: "  kargo render --workspace ./workspace dbs -o json",
		RunE: func(cmd *cobra.Command, stacks []string) error {
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			desired, err := s.read(cmd.Context(), stacks...)
			if err != nil {
				return err
			}
			if err := refuse(cmd, desired.Problems); err != nil {
				return err
			}
			document := kargo.Document(desired.Stacks, false)
			if !showSecrets {
				if document, err = kargo.Masked(document, desired.Workspace.Mask(nil)); err != nil {
					return err
				}
			}
			return encode(cmd.OutOrStdout(), output, document)
		},
	}
	s.flags(cmd.Flags())
	outputFlag(cmd, &output, "yaml", "json")
	cmd.Flags().BoolVar(&showSecrets, "show-secrets", false, "print secret values as they are")
	return cmd
}

// outputFlag defines -o with two kinds of output; the first is the default.
func outputFlag(cmd *cobra.Command, output *string, forms ...string) {
	cmd.Flags().StringVarP(output, "output", "o", forms[0], fmt.Sprintf("`kind` of output: %s or %s", forms[0], forms[1]))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		for _, form := range forms {
			if *output == form {
				return nil
			}
		}
		return usagef("-o takes %s or %s, not %q", forms[0], forms[1], *output)
	}
}

// encode writes a value as JSON, or as YAML with the same names.
func encode(out io.Writer, form string, value any) error {
	if form == "json" {
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
