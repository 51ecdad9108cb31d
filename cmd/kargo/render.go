package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/docker/docker/api/types/swarm"
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
--show-secrets. The names of Swarm secrets end in a digest that depends on the
Swarm. Render does not ask the Swarm, so it prints another digest.`,
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
			document := renderDocument(desired.Stacks)
			if !showSecrets {
				if document, err = masked(document, desired.Workspace.Mask(nil).Blanked()); err != nil {
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

// masked returns a document with its secret values hidden.
func masked[T any](document T, mask kargo.Mask) (shown T, err error) {
	data, err := json.Marshal(document)
	if err != nil {
		return shown, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // sizes of memory must stay exact
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return shown, err
	}
	if data, err = json.Marshal(maskedTree("", tree, mask)); err != nil {
		return shown, err
	}
	return shown, json.Unmarshal(data, &shown)
}

// maskedTree masks every text below a field. The variables of containers and
// labels have names of their own, by which they are masked.
func maskedTree(field string, value any, mask kargo.Mask) any {
	switch value := value.(type) {
	case string:
		if name, rest, ok := strings.Cut(value, "="); field == "Env" && ok {
			return name + "=" + mask.Value(name, rest)
		}
		return mask.Text(value)
	case []any:
		for i, entry := range value {
			before, _ := value[max(0, i-1)].(string)
			if text, isText := entry.(string); isText && i > 0 && field != "Env" {
				value[i] = mask.After(before, text) // perhaps the value of a flag
				continue
			}
			value[i] = maskedTree(field, entry, mask)
		}
	case map[string]any:
		for name, entry := range value {
			if text, isText := entry.(string); isText && field == "Labels" {
				value[name] = mask.Value(name, text)
				continue
			}
			value[name] = maskedTree(name, entry, mask)
		}
	}
	return value
}

// renderedStacks is the document that render prints. Other programs read it, so
// its form must not change.
type renderedStacks struct {
	Stacks []renderedStack `json:"stacks"`
}

type renderedStack struct {
	Name     string            `json:"name"` // as Swarm knows it: "kargo-dbs"
	Services []renderedService `json:"services"`
	Networks []kargo.Network   `json:"networks"`
	Configs  []renderedConfig  `json:"configs"`
}

type renderedService struct {
	Name string            `json:"name"`
	Spec swarm.ServiceSpec `json:"spec"`
}

type renderedConfig struct {
	Name   string `json:"name"`
	Secret bool   `json:"secret"`
	Size   int    `json:"size"`
}

func renderDocument(stacks []kargo.Stack) renderedStacks {
	document := renderedStacks{Stacks: []renderedStack{}}
	for _, stack := range stacks {
		rendered := renderedStack{
			Name: stack.Namespace(), Services: []renderedService{}, Networks: stack.Networks, Configs: []renderedConfig{},
		}
		if rendered.Networks == nil {
			rendered.Networks = []kargo.Network{}
		}
		for _, service := range stack.Services {
			rendered.Services = append(rendered.Services, renderedService{service.Name, service.Spec})
		}
		for _, config := range stack.Configs {
			rendered.Configs = append(rendered.Configs, renderedConfig{config.Name, config.Secret, len(config.Data)})
		}
		document.Stacks = append(document.Stacks, rendered)
	}
	return document
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
