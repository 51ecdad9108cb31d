package kargo

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/docker/docker/api/types/swarm"
)

// RenderedStacks is the document of rendered stacks that commands and the API show.
// Other programs read it, so its form must not change.
type RenderedStacks struct {
	Stacks []RenderedStack `json:"stacks"`
}

// RenderedStack is one stack of such a document.
type RenderedStack struct {
	Name     string            `json:"name"` // as Swarm knows it: "kargo-dbs"
	Services []RenderedService `json:"services"`
	Networks []Network         `json:"networks"`
	Configs  []RenderedConfig  `json:"configs"`
}

// RenderedService is a service as it is sent to Swarm.
type RenderedService struct {
	Name string            `json:"name"`
	Spec swarm.ServiceSpec `json:"spec"`
}

// RenderedConfig is a Swarm config or secret.
type RenderedConfig struct {
	Name   string `json:"name"`
	Secret bool   `json:"secret"`
	Size   int    `json:"size"`
	// Content is the text of a config, where it was asked for; never that of a secret.
	Content string `json:"content,omitempty"`
}

// contentField is the field of [RenderedConfig.Content].
const contentField = "content"

// Document returns stacks as a document. It has secret values, see [Masked].
// contents adds the texts of configs.
func Document(stacks []Stack, contents bool) RenderedStacks {
	document := RenderedStacks{Stacks: []RenderedStack{}}
	for _, stack := range stacks {
		rendered := RenderedStack{
			Name: stack.Namespace(), Services: []RenderedService{}, Networks: stack.Networks, Configs: []RenderedConfig{},
		}
		if rendered.Networks == nil {
			rendered.Networks = []Network{}
		}
		for _, service := range stack.Services {
			rendered.Services = append(rendered.Services, RenderedService{service.Name, service.Spec})
		}
		for _, config := range stack.Configs {
			shown := RenderedConfig{Name: config.Name, Secret: config.Secret, Size: len(config.Data)}
			if contents && !config.Secret && utf8.Valid(config.Data) {
				shown.Content = string(config.Data)
			}
			rendered.Configs = append(rendered.Configs, shown)
		}
		document.Stacks = append(document.Stacks, rendered)
	}
	return document
}

// Masked returns a document with its secret values hidden. The variables of containers
// and labels have names of their own, by which they are masked, too.
func Masked[T any](document T, mask Mask) (shown T, err error) {
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

// maskedTree masks every text below a field.
func maskedTree(field string, value any, mask Mask) any {
	switch value := value.(type) {
	case string:
		if name, rest, ok := strings.Cut(value, "="); field == "Env" && ok {
			return name + "=" + mask.Value(name, rest)
		}
		if field == contentField {
			return mask.File(value)
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

// RenderedState is the rendering of one state of the stacks.
type RenderedState struct {
	State State `json:"state"`
	RenderedStacks
}
