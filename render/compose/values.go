package compose

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/template"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
)

// checkValues warns of values that arrive otherwise than they are written: YAML
// reads 1.10 as a number and 2024-01-31 as a date, and Docker writes them as
// texts again.
func checkValues(s *reading) {
	for _, f := range s.files {
		if !f.Generated() {
			check := valueCheck{report: s.report, file: f, env: s.ws.Lookup}
			check.mapping(f.root, "")
		}
	}
}

// texts are the mappings whose values are texts, whatever YAML makes of them, by
// their key.
var texts = map[string]bool{
	"environment": true, "labels": true, "args": true, "sysctls": true, "options": true, "driver_opts": true, "extra_hosts": true,
}

// valueCheck checks the values of one file.
type valueCheck struct {
	report *Report
	file   *File
	env    template.Mapping
}

// mapping looks for values below a node that is found under a key.
func (c valueCheck) mapping(node *yaml.Node, under string) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			switch {
			case value.Kind == yaml.ScalarNode && texts[under]:
				c.text(key.Value, value)
			case value.Kind == yaml.ScalarNode && key.Value == "mode":
				c.mode(value)
			default:
				c.mapping(value, key.Value)
			}
		}
	case yaml.SequenceNode:
		if texts[under] {
			c.list(under, node)
		}
		for _, item := range node.Content {
			if item.Kind == yaml.ScalarNode && under == "volumes" {
				c.volume(item)
			} else {
				c.mapping(item, "")
			}
		}
	}
}

func (c valueCheck) at(node *yaml.Node) kargo.Place {
	return kargo.Place{File: c.file.Path, Line: node.Line}
}

// text checks a value that Docker turns into a text.
func (c valueCheck) text(key string, node *yaml.Node) {
	switch node.ShortTag() {
	case "!!int", "!!float", "!!timestamp":
	default:
		return
	}
	var value any
	if node.Decode(&value) != nil {
		return
	}
	if arrives := fmt.Sprint(value); arrives != node.Value {
		c.report.Warn(c.at(node), "put it in quotes", "%s: %s is read as a number or a date, and arrives as %s", key, node.Value, arrives)
	}
}

// list checks a list of NAME=value. Of two entries of one name Docker takes the last.
func (c valueCheck) list(under string, node *yaml.Node) {
	lines := map[string]int{}
	for _, item := range node.Content {
		name, _, _ := strings.Cut(item.Value, "=")
		first, twice := lines[name]
		switch {
		case item.Kind != yaml.ScalarNode:
			continue
		case twice && under != "extra_hosts":
			c.report.Warn(c.at(item), "remove one of the two", "%s: %s is already set at line %d, and the last one counts", under, name, first)
		case under == "environment" && strings.ContainsAny(name, " \t"):
			c.report.Warn(c.at(item), `write NAME=value, without blanks around the "="`, "environment: the name %q has a blank", name)
		}
		lines[name] = item.Line
	}
}

// mode checks the mode of a file: YAML reads 400 as a decimal number.
func (c valueCheck) mode(node *yaml.Node) {
	if node.ShortTag() != "!!int" || strings.HasPrefix(node.Value, "0") {
		return
	}
	if mode, err := strconv.ParseUint(node.Value, 10, 32); err == nil && mode > 7 {
		c.report.Warn(c.at(node), "write 0"+node.Value, "mode: %s is a decimal number and means 0%o", node.Value, mode)
	}
}

// driveLetter is a volume of one letter, which Docker takes for a drive of
// Windows.
var driveLetter = pattern.Lazy(`^[a-zA-Z]:[/\\]`)

// volume checks the short form of a volume.
func (c valueCheck) volume(node *yaml.Node) {
	if text := substitute(node.Value, c.env); driveLetter().MatchString(text) {
		c.report.Warn(c.at(node), "give the volume a longer name, or write it in the long form",
			"%q is read as a path of Windows, not as the volume %q", text, text[:1])
	}
}
