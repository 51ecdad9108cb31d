package kargo

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// FieldChange is one field of a service or a node that a change changes. Its texts are those
// of a plan: values are quoted, and secrets are masked.
type FieldChange struct {
	Path   string `json:"path"`   // in Swarm's spec of the service or the node
	Before string `json:"before"` // "(none)" if there was none
	After  string `json:"after"`  // "(none)" if there is none
	// Lines are those in which the contents of two configs differ, if the field names a
	// config and both contents are known.
	Lines []Line `json:"lines,omitempty"`
}

const noValue = "(none)"

// Mark returns the sign of the action: "+", "~" or "-".
func (a Action) Mark() string {
	switch a {
	case Create:
		return "+"
	case Remove:
		return "-"
	case Update:
	}
	return "~"
}

// Title names the object of a change as people do: "shop/web" for a service, else
// the kind and the name.
func (c Change) Title() string {
	if c.Kind != KindService || c.Stack == "" {
		return c.Key().String()
	}
	if _, service, found := strings.Cut(c.Name, "_"); found {
		return c.Stack + "/" + service
	}
	return c.Stack + "/" + c.Name
}

// Words says what a change does in the words of compose files, one entry for each
// field: `image "shop:1" → "shop:2"`. Where it has no fields that is its reason.
func (c Change) Words() []string {
	var words []string
	if !c.Drifted.IsZero() {
		words = append(words, "corrects drift since "+c.Drifted.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if c.Back {
		words = append(words, "goes back to what ran before")
	}
	if len(c.Fields) == 0 {
		return append(words, c.Reason)
	}
	words = append(words, portWords(c.Fields)...)
	said := map[string]bool{}
	for _, field := range c.Fields {
		if strings.HasPrefix(field.Path, portsPath) {
			continue
		}
		word, of := objectWords(field, c.Fields)
		switch {
		case of == "":
			words = append(words, field.words())
		case !said[of]:
			said[of] = true
			words = append(words, word)
		}
	}
	return words
}

// InWords returns the change as lines for people. Several fields have lines of their
// own.
func (c Change) InWords() string {
	words := c.Words()
	for i, word := range words {
		words[i] = c.withLines(word)
	}
	head := c.Action.Mark() + " " + c.Title()
	if len(words) == 1 {
		return head + "  " + words[0]
	}
	return head + "\n    " + strings.Join(words, "\n    ")
}

// withLines returns the words about a config with the lines in which its contents differ
// in the place of "other content", if they are known; other words as they are.
func (c Change) withLines(words string) string {
	for _, field := range c.Fields {
		if len(field.Lines) == 0 || words != field.Name()+otherContent {
			continue
		}
		var text strings.Builder
		text.WriteString(field.Name() + ":")
		for _, line := range field.Lines {
			fmt.Fprintf(&text, "\n      %s %s", line.Mark(), Printable(line.Text))
		}
		return text.String()
	}
	return words
}

// InWords returns the plan as text for people: grouped by stack, in the order in
// which the stacks come up. The holds and the warnings follow.
func (p Plan) InWords() string { return p.textAfter(changesInWords(p.Changes) + holdsInWords(p.Held)) }

// changesInWords returns changes as text for people: grouped by stack, in the order of
// the first change of each.
func changesInWords(changes []Change) string {
	var stacks []string
	byStack := map[string][]Change{}
	for _, change := range changes {
		if byStack[change.Stack] == nil {
			stacks = append(stacks, change.Stack)
		}
		byStack[change.Stack] = append(byStack[change.Stack], change)
	}
	var text strings.Builder
	for _, stack := range stacks {
		for _, change := range byStack[stack] {
			fmt.Fprintln(&text, change.InWords())
		}
	}
	return text.String()
}

// words returns the change of a field in the words of compose files.
func (f FieldChange) words() string {
	name, before, after := f.Name(), cutValue(f.shown(f.Before)), cutValue(f.shown(f.After))
	switch {
	case f.Before == noValue:
		return name + ": new, " + after
	case f.After == noValue:
		return name + ": removed, was " + before
	case strings.Contains(name, " "):
		name += ":"
	}
	return name + " " + before + " → " + after
}

// bracketless returns the rest of a path without the brackets around a key: " NAME"
// for "[NAME]".
func bracketless(rest string) string {
	key, after, found := strings.Cut(strings.TrimPrefix(rest, "["), "]")
	if !strings.HasPrefix(rest, "[") || !found {
		return rest
	}
	return " " + key + strings.ReplaceAll(after, ".", " ")
}

// longestValue is how many characters of a value are shown.
const longestValue = 60

// cutValue returns a value that is not too long. Of one that was cut it says how long
// it is.
func cutValue(text string) string {
	if utf8.RuneCountInString(text) <= longestValue {
		return text
	}
	return fmt.Sprintf("%s… (%d characters)", string([]rune(text)[:longestValue]), utf8.RuneCountInString(text))
}

const portsPath = "EndpointSpec.Ports["

// portWords says which ports change. A port that only gets another number is one
// change: "ports 8107:80 → 8207:80".
func portWords(fields []FieldChange) []string {
	var removed, added, words []string
	changed := map[string][]FieldChange{}
	var keys []string
	for _, field := range fields {
		rest, found := strings.CutPrefix(field.Path, portsPath)
		if !found {
			continue
		}
		key, _, _ := strings.Cut(rest, "]")
		if changed[key] == nil {
			keys = append(keys, key)
		}
		changed[key] = append(changed[key], field)
	}
	for _, key := range keys {
		switch of := changed[key]; {
		case !slices.ContainsFunc(of, func(f FieldChange) bool { return f.Before != noValue && !isDefault(f.Before) }):
			added = append(added, key)
		case !slices.ContainsFunc(of, func(f FieldChange) bool { return f.After != noValue && !isDefault(f.After) }):
			removed = append(removed, key)
		default:
			for _, field := range of {
				words = append(words, "ports "+port(key)+": "+cutValue(field.Before)+" → "+cutValue(field.After))
			}
		}
	}
	for _, old := range removed {
		same := func(key string) bool { return target(key) == target(old) }
		if i := slices.IndexFunc(added, same); i >= 0 {
			words = append(words, "ports "+port(old)+" → "+port(added[i]))
			added = slices.Delete(added, i, i+1)
			continue
		}
		words = append(words, "ports "+port(old)+": removed")
	}
	for _, key := range added {
		words = append(words, "ports "+port(key)+": new")
	}
	return words
}

// isDefault reports whether a value is one that Docker fills in for a port.
func isDefault(value string) bool { return value == `"tcp"` || value == `"ingress"` }

// port returns the key of a port, "8107/80/udp", as compose files write it.
func port(key string) string {
	published, rest, found := strings.Cut(key, "/")
	if !found {
		return key
	}
	return published + ":" + rest
}

// target returns what of the key of a port comes after the published one.
func target(key string) string {
	_, rest, _ := strings.Cut(key, "/")
	return rest
}
