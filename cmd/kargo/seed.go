package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"kargo"
	"kargo/pattern"
)

// seed is a first workspace.
type seed struct {
	version  string
	services []catalogueService
	stacks   []seedStack
}

type seedStack struct {
	name, group string
	services    []string
}

// stackNames are the stacks for the groups of the guide.
var stackNames = map[string]string{
	"Entrance": "system", "Databases": "dbs", "API gateway": "gateway", "Maps": "maps", "Applications": "apps",
	"Weather loaders": "loaders", "Jobs": "jobs", "Monitoring": "monitoring", "Logs": "logs",
}

func newSeed(listed catalogueList, services []catalogueService) seed {
	w := seed{version: listed.Version, services: services}
	for _, service := range services {
		name := stackNames[service.Group]
		if name == "" {
			name = "services"
		}
		i := slices.IndexFunc(w.stacks, func(s seedStack) bool { return s.name == name })
		if i < 0 {
			w.stacks = append(w.stacks, seedStack{name: name, group: service.Group})
			i = len(w.stacks) - 1
		}
		w.stacks[i].services = append(w.stacks[i].services, service.Name)
	}
	return w
}

// suggestions are values for required variables that suit most people.
var suggestions = map[string]string{"AUTH_USER": "operator"}

const envHead = `# A workspace of Kargo: which stacks there are, which services each has, and how
# each is set. It is read as bash would read it, and may hold no programs. Values
# with blanks need quotes, those with dollars single ones.
#
#   kargo check --workspace .     what is missing or wrong
#   kargo plan  --workspace .     what would change on the Swarm, and why
`

// env returns the environment file.
func (w seed) env() string {
	var text strings.Builder
	text.WriteString(envHead)
	var names []string
	for _, stack := range w.stacks {
		names = append(names, stack.name)
	}
	fmt.Fprintf(&text, "\nSTACKS=%q\n", strings.Join(names, " "))
	for _, stack := range w.stacks {
		if stack.group != "" {
			fmt.Fprintf(&text, "\n# %s\n", stack.group)
		}
		fmt.Fprintf(&text, "%s_STACK=%q\n", kargo.EnvName(stack.name), strings.Join(stack.services, " "))
	}
	fmt.Fprintf(&text, "\n# The version of the catalogue that you have checked. If it is set, the changes of\n# another version wait for approval.\n#KARGO_CATALOGUE=%s\n", w.version)
	w.required(&text)
	w.optional(&text)
	return text.String()
}

// required writes the variables without a default.
func (w seed) required(text *strings.Builder) {
	written := map[string]bool{}
	for _, service := range w.services {
		for _, variable := range service.Variables {
			if !variable.Required || written[variable.Name] {
				continue
			}
			if len(written) == 0 {
				text.WriteString("\n# --- To be filled in: these have no default ---------------------------------------\n")
			}
			written[variable.Name] = true
			fmt.Fprintf(text, "\n%s%s=%s\n", comment(variable.Meaning), variable.Name, suggestions[variable.Name])
		}
	}
}

// optional writes all other variables, as comments with their defaults.
func (w seed) optional(text *strings.Builder) {
	text.WriteString("\n# --- To change, where the default does not suit ----------------------------------\n")
	written := map[string]bool{}
	for _, service := range w.services {
		fmt.Fprintf(text, "\n# %s: %s\n", service.Name, service.Summary)
		for _, variable := range service.Variables {
			if !variable.Required && !written[variable.Name] {
				written[variable.Name] = true
				fmt.Fprintf(text, "\n%s#%s=%s\n", comment(variable.Meaning), variable.Name, quoted(variable.Default))
			}
		}
	}
}

// plainValue needs no quotes.
var plainValue = pattern.Lazy(`^[a-zA-Z0-9_./:,@+=-]*$`)

func quoted(value string) string {
	if plainValue().MatchString(value) {
		return value
	}
	return `"` + value + `"`
}

// comment returns a text as lines of a comment, with at most 80 characters each.
func comment(text string) string {
	var out strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 80 {
			out.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	if line != "#" {
		out.WriteString(line + "\n")
	}
	return out.String()
}

// readme returns the README, which explains the workspace.
func (w seed) readme() string {
	var text strings.Builder
	text.WriteString("# The platform\n\nA workspace of Kargo. `.env` says what runs; to change that, commit a change here.\n\n| stack | service | purpose |\n|---|---|---|\n")
	for _, stack := range w.stacks {
		for _, name := range stack.services {
			i := slices.IndexFunc(w.services, func(s catalogueService) bool { return s.Name == name })
			fmt.Fprintf(&text, "| %s | %s | %s |\n", stack.name, name, w.services[i].Summary)
		}
	}
	if labels := w.labels(); len(labels) > 0 {
		text.WriteString("\nSome services run only on a node with a label:\n\n")
		for _, label := range labels {
			fmt.Fprintf(&text, "    docker node update --label-add %s NODE\n", label)
		}
	}
	text.WriteString("\nYour own files are next to `.env`: `deploy/` (services and extensions), `configs/`.\n" +
		"Passwords in `.env` are plain text: keep the repository private.\n")
	return text.String()
}

var nodeLabel = pattern.Lazy(`^node\.labels\.([^=!]+)==(.+)$`)

// labels returns the labels that services need on nodes.
func (w seed) labels() []string {
	var labels []string
	for _, service := range w.services {
		for _, constraint := range service.Needs.Constraints {
			if match := nodeLabel().FindStringSubmatch(constraint); match != nil {
				labels = append(labels, match[1]+"="+match[2])
			}
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// sayNext prints what to do next.
func (w seed) sayNext(out io.Writer, dir string) {
	var fill []string
	for _, service := range w.services {
		for _, name := range service.Needs.Variables {
			if suggestions[name] == "" && !slices.Contains(fill, name) {
				fill = append(fill, name)
			}
		}
	}
	say(out, "")
	for _, line := range w.missing() {
		say(out, "%s", line)
	}
	if len(fill) > 0 {
		say(out, "fill in: %s", strings.Join(fill, ", "))
	}
	for _, label := range w.labels() {
		say(out, "a node needs the label %s", label)
	}
	say(out, "then: kargo check --workspace %s", dir)
}
