package kargo

import (
	"fmt"
	"strings"
)

// Names of the states that are neither a deployment nor a revision.
const (
	StateLive = "live" // what runs
	StateGit  = "git"  // what the newest sound revision says
)

// State is one state of the stacks that can be compared with another.
type State struct {
	// Name is StateLive, StateGit, "deployment 41" or "revision a5ad1b0c3f12".
	Name string `json:"name"`
	// Revision is the one that the state was rendered from, if it was.
	Revision Revision `json:"revision,omitzero"`
}

// String returns the state for people: "git main@a5ad1b0c3f12 “Raise the limit”".
func (s State) String() string {
	if s.Revision.Commit == "" {
		return s.Name
	}
	return s.Name + " " + s.Revision.String()
}

// Diff says how one state of the stacks differs from another one. Its texts are those
// of a plan: secrets are masked.
type Diff struct {
	From State `json:"from"`
	To   State `json:"to"`
	// Changes are those that lead from one state to the other. Nobody makes them.
	Changes []Change `json:"changes"`
	// Unknown has the stacks that are left out, because one of the states is not
	// kept any more.
	Unknown []string `json:"unknown,omitempty"`
	// Problems are those of the newest revision, if it is compared.
	Problems Problems `json:"problems,omitempty"`
}

// Summary says in one line how many objects of how many stacks differ.
func (d Diff) Summary() string {
	stacks := map[string]bool{}
	for _, change := range d.Changes {
		if change.Stack != "" {
			stacks[change.Stack] = true
		}
	}
	switch {
	case len(d.Changes) == 0:
		return "no difference"
	case len(stacks) == 0:
		return Count(len(d.Changes), "difference")
	}
	return Count(len(d.Changes), "difference") + " in " + Count(len(stacks), "stack")
}

// Count returns a number of things in words: "1 node", "2 nodes".
func Count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// InWords returns the changes in the words of compose files, as [Plan.InWords] does.
func (d Diff) InWords() string { return changesInWords(d.Changes) }

// Paths returns the changes with the paths of Swarm's specs, one field a line.
func (d Diff) Paths() string {
	var text strings.Builder
	for _, change := range d.Changes {
		fmt.Fprintf(&text, "%s %s", change.Action, change.Key())
		if len(change.Fields) == 0 {
			fmt.Fprintf(&text, ": %s", change.Reason)
		}
		fmt.Fprintln(&text)
		for _, field := range change.Fields {
			fmt.Fprintf(&text, "    %s: %s -> %s\n", field.Path, field.Before, field.After)
		}
	}
	return text.String()
}
