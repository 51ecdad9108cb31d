package kargo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Plan is what one round will do, in order, and what it holds. People read its
// text: the terminal, the page, the log, the history and the tests show the
// same lines.
type Plan struct {
	Revision Revision `json:"revision"`
	Changes  []Change `json:"changes"`
	Held     []Hold   `json:"held,omitempty"`
	// Warnings say what people should know before the plan is carried out. They
	// keep nothing from being carried out.
	Warnings []Warning `json:"warnings,omitempty"`
	// Unresolved has the images whose registries should be asked before the plan
	// is carried out, also those of changes that have to wait: sorted, each once.
	Unresolved []string `json:"-"`
	// Unchanged has the names of the services that run as they should, sorted. A
	// service that is changed or held, or whose drift is left, is not in it.
	Unchanged []string `json:"-"`
	// TooMany are the stacks whose removal is held because too many would be removed,
	// sorted.
	TooMany []string `json:"-"`
}

// Empty reports whether there is no change. There may be holds.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// String returns the plan as text: one line for each change, then one for each
// hold, or "nothing to do". The warnings follow, one in a line.
func (p Plan) String() string {
	var text strings.Builder
	for _, change := range p.Changes {
		fmt.Fprintln(&text, change)
	}
	for _, hold := range p.Held {
		fmt.Fprintln(&text, hold)
	}
	return p.textAfter(text.String())
}

// textAfter returns the text of the plan whose changes and holds are given as text.
func (p Plan) textAfter(changesAndHolds string) string {
	var text strings.Builder
	text.WriteString(changesAndHolds)
	if text.Len() == 0 {
		text.WriteString("nothing to do\n")
	}
	for _, warning := range p.Warnings {
		fmt.Fprintln(&text, warning)
	}
	return text.String()
}

// ID returns the plan's identity: a digest of its changes and holds, and of the
// versions of the objects that it was made from. An approval names it. A warning
// is not part of it, because it may come and go with the nodes of the Swarm.
func (p Plan) ID() string {
	hash := sha256.New()
	fmt.Fprintln(hash, p.Revision.ID())
	for _, change := range p.Changes {
		fmt.Fprintln(hash, change.Version, change)
	}
	for _, hold := range p.Held {
		fmt.Fprintln(hash, hold)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

// Count returns the number of changes of an action and a kind. An empty argument
// matches all.
func (p Plan) Count(action Action, kind Kind) int {
	count := 0
	for _, change := range p.Changes {
		if (action == "" || change.Action == action) && (kind == "" || change.Kind == kind) {
			count++
		}
	}
	return count
}

// Summary returns the numbers of changes and holds in one line: "1 to create, 2 to
// update, 1 held".
func (p Plan) Summary() string {
	var parts []string
	for _, action := range []Action{Create, Update, Remove} {
		if n := p.Count(action, ""); n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, action))
		}
	}
	if len(p.Held) > 0 {
		parts = append(parts, fmt.Sprintf("%d held", len(p.Held)))
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
