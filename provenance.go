package kargo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Trail says where one value of a stack's configuration comes from.
type Trail struct {
	Stack string
	// Path is the value's path in compose files: "services.redis.image". Keys are its
	// parts; a key may have dots in it.
	Path string
	Keys []string
	// Mentions are all places that set the value or a part of it, lowest layer
	// first.
	Mentions []Mention
	// Parts are the trails one level down, where the value has keys.
	Parts []Trail
}

// Key returns the last part of the path.
func (t Trail) Key() string {
	if len(t.Keys) == 0 {
		return ""
	}
	return t.Keys[len(t.Keys)-1]
}

// Mention is one place that sets a value.
type Mention struct {
	Layer string // see File.Origin
	Where Place
	// Text is the value as the file has it. Value is the same with its
	// variables replaced. Both are empty where the value is a mapping or a list.
	Text, Value string
	// Entries are those of a list without keys, with their variables replaced.
	Entries []string
	// Variables are those that the text reads.
	Variables []string
	// Counts reports whether the value is made of this mention. A later text
	// replaces earlier ones; a later list adds to them.
	Counts bool
}

// Explained is where values of a revision come from.
type Explained struct {
	Revision Revision      `json:"revision"`
	Values   []Explanation `json:"values"`
}

// Explanation says where one value comes from: of a field of a compose file, of a
// variable, or the content of a file. It may be shown: secrets are masked.
type Explanation struct {
	// Stack and Path name a field of a compose file. Service and Field do so within a
	// service: "redis", "environment.LEVEL". For a variable, Stack is the directory that
	// assigns it for itself.
	Stack   string `json:"stack,omitempty"`
	Path    string `json:"path,omitempty"`
	Service string `json:"service,omitempty"`
	Field   string `json:"field,omitempty"`
	// Variable is the name of a variable, and Value what it is.
	Variable string `json:"variable,omitempty"`
	Value    string `json:"value,omitempty"`
	// File is the name of a file of the merged configuration.
	File string `json:"file,omitempty"`
	// Origins are all places that set the value, the lowest layer first.
	Origins []Origin `json:"origins"`
	// Variables explain those that a field reads.
	Variables []Explanation `json:"variables,omitempty"`
}

// Origin is one place that sets a value.
type Origin struct {
	Layer string `json:"layer"`
	// Where is zero for a file, which counts as a whole.
	Where Place `json:"where,omitzero"`
	// Template is the file that a file was rendered from.
	Template string `json:"template,omitempty"`
	// Part is the key below the field whose place this is; "" for the field itself.
	Part string `json:"part,omitempty"`
	// Text is the value as the file has it, Value the same with its variables replaced.
	Text    string   `json:"text,omitempty"`
	Value   string   `json:"value,omitempty"`
	Entries []string `json:"entries,omitempty"` // of a list, as Mention.Entries
	// Counts reports whether the value is made of this.
	Counts bool `json:"counts"`
}

// KargoSets is the layer of variables that no file assigns.
const KargoSets = "kargo"

// Shown returns the value that counts, as one text; "" if it has keys below it.
func (e Explanation) Shown() string {
	if e.Variable != "" {
		return e.Value
	}
	var entries []string
	for _, origin := range e.Origins {
		switch {
		case !origin.Counts || origin.Part != "":
		case origin.Value != "":
			return origin.Value
		default:
			entries = append(entries, origin.Entries...)
		}
	}
	return strings.Join(entries, ", ")
}

// Counting returns the origins of which the value is made; if counts is false, the
// others.
func (e Explanation) Counting(counts bool) (origins []Origin) {
	for _, origin := range e.Origins {
		if origin.Counts == counts {
			origins = append(origins, origin)
		}
	}
	return origins
}

// Print writes the explanation as lines for people. A star marks the origins that
// count.
func (e Explanation) Print(out io.Writer) error {
	switch {
	case e.Variable != "":
		fmt.Fprintf(out, "%s=%q", e.Variable, e.Value)
		if e.Stack != "" {
			fmt.Fprintf(out, " in stack %s", Printable(e.Stack))
		}
		fmt.Fprintln(out)
	case e.File != "":
		fmt.Fprintln(out, e.File)
	default:
		fmt.Fprintf(out, "%s of stack %s\n", Printable(e.Path), Printable(e.Stack))
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, origin := range e.Origins {
		fmt.Fprintln(table, origin.line())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, variable := range e.Variables {
		fmt.Fprintln(out)
		if err := variable.Print(out); err != nil {
			return err
		}
	}
	return nil
}

// line returns the origin as cells of a table.
func (o Origin) line() string {
	mark := " "
	if o.Counts {
		mark = "*"
	}
	if o.Where.IsZero() {
		switch {
		case o.Layer == KargoSets:
			return mark + " Kargo sets it"
		case o.Template != "":
			return fmt.Sprintf("%s %s, rendered from %s", mark, o.Layer, o.Template)
		}
		return mark + " " + o.Layer
	}
	row := fmt.Sprintf("%s %s\t%s", mark, o.Where, o.Layer)
	if text := o.text(); text != "" {
		row += "\t" + text
	}
	return row
}

// text returns what the place says: the key, and the value as the file has it and with
// its variables replaced.
func (o Origin) text() string {
	var words []string
	if o.Part != "" {
		words = append(words, "."+Printable(o.Part))
	}
	if o.Text != "" {
		words = append(words, strconv.Quote(o.Text))
	}
	if o.Value != o.Text {
		words = append(words, "=", strconv.Quote(o.Value))
	}
	for _, entry := range o.Entries {
		words = append(words, strconv.Quote(entry))
	}
	return strings.Join(words, " ")
}
