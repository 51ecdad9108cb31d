package compose

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
)

// A variable that is set and empty is nothing wrong in most texts. In some values it
// changes the meaning: "${PORT}:80" then publishes any port. Docker says nothing of it.

// emptied warns of a value that an empty variable gives another meaning. What the writer
// of the file has thought of, ${NAME:-}, is meant.
func (c variableCheck) emptied(node *yaml.Node, path []string) {
	if !strings.Contains(node.Value, "$") || len(path) == 0 {
		return
	}
	name := c.firstEmptied(node.Value)
	if name == "" {
		return
	}
	at := kargo.Place{File: c.file.Path, Line: node.Line}
	c.report.suspect(at, func() string { return fmt.Sprintf("set %s: it is empty in %s", name, c.ws.PlaceOf(name)) })
	if !c.ws.IsOwn(name) && c.ws.Layer(c.file.Path) == kargo.OriginDefault {
		return // the catalogue has thought of its own variables
	}
	text := substitute(node.Value, c.ws.Lookup)
	if emptyHost().MatchString(text) {
		c.warnOfEmptied(at, path, name, "the rule has a host that does not exist", "")
	} else if meaning := meaningWithout(path, name, node.Value, text); meaning != "" {
		c.warnOfEmptied(at, path, name, meaning, "; write ${"+name+":-} if that is meant")
	}
}

func (c variableCheck) warnOfEmptied(at kargo.Place, path []string, name, meaning, instead string) {
	c.report.Warn(at, "set "+name+instead,
		"%s: %s is empty (%s), so %s", strings.ReplaceAll(strings.Join(path, "."), ".[]", ""), name, c.ws.PlaceOf(name), meaning)
}

// firstEmptied returns the first variable that a text reads, that is set and empty, and
// for which the text has nothing else.
func (c variableCheck) firstEmptied(text string) string {
	for _, match := range variableReference().FindAllStringSubmatch(text, -1) {
		expression := match[2] + match[3]
		name := variableName().FindString(expression)
		if strings.HasPrefix(expression[len(name):], ":") {
			continue
		}
		if value, set := c.ws.Lookup(name); name != "" && set && value == "" {
			return name
		}
	}
	return ""
}

// absent are keys whose empty value counts as if it were not written, with what then
// counts.
var absent = map[string]string{
	"user": "the user of the image counts", "working_dir": "the directory of the image counts", "command": "the command of the image runs",
	"entrypoint": "the entrypoint of the image runs", "stop_signal": "the signal of the image counts", "hostname": "the host name is the container's ID",
	"driver": "the usual driver counts", "mode": "the usual mode counts", "endpoint_mode": "the usual mode counts", "name": "the usual name counts",
	"condition": "every task that ends is replaced", "cpus": "nothing is limited or reserved",
}

// freeTexts are mappings and lists of which every value may be empty.
var freeTexts = []string{"environment", "labels", "args", "sysctls", "options", "driver_opts", "test"}

var (
	// emptyHost finds a rule of Traefik in which a part of a host is missing.
	emptyHost = pattern.Lazy("Host(?:SNI)?\\([^)]*(?:``|\\.`|`\\.)|Host:(?:[^;]*[.,])?(?:;|$)")
	// emptyPort finds a port of which the part before that of the container is missing.
	emptyPort = pattern.Lazy(`(?:^|:):[^:]+$`)
	// emptyLabel finds a constraint or preference that names no label.
	emptyLabel = pattern.Lazy(`\.labels\.(?:\s*[=!]=|\s*$)`)
)

// meaningWithout says what a value means for which a variable is empty, as it was written
// and as it is then. It returns nothing where that is nothing special.
func meaningWithout(path []string, name, written, text string) string {
	key, isEntry := path[len(path)-1], false
	if key == "[]" && len(path) > 1 {
		key, isEntry = path[len(path)-2], true
	}
	begins := strings.HasPrefix(written, "$"+name) || strings.HasPrefix(written, "${"+name)
	switch counts := absent[key]; {
	case slices.ContainsFunc(path, func(key string) bool { return slices.Contains(freeTexts, key) }):
		return ""
	case key == "ports" && emptyPort().MatchString(text):
		return "Swarm publishes any port that is free"
	case (key == "volumes" || key == "source") && begins && strings.HasPrefix(text, "/"):
		return "the path begins at the top of the node's file system"
	case key == "source" && text == "":
		return "the volume has no name, and every task gets an empty one"
	case (key == "constraints" || key == "spread") && emptyLabel().MatchString(text):
		return "it names no label"
	case key == "user" && text != "":
		return fmt.Sprintf("the user is %q", text)
	case counts != "" && text == "" && !isEntry:
		return counts
	}
	return ""
}
