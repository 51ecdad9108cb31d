package kargo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Plan is all that one round will do, in order, and all that it will not do.
// Its text is the product: the terminal, the page, the log, the history and
// the tests show the same lines.
type Plan struct {
	Revision Revision `json:"revision"`
	Changes  []Change `json:"changes"`
	Held     []Hold   `json:"held,omitempty"`
	// Unresolved are the images whose registries should be asked before
	// anything is carried out, those of changes that have to wait included:
	// sorted, each once.
	Unresolved []string `json:"-"`
	// Unchanged are the services that run as they should, by name, sorted. A
	// service that is changed, held or left as it is on request is not in it.
	Unchanged []string `json:"-"`
}

// Empty reports whether there is nothing to do. Holds may remain.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// String is the plan, a line a change, then a line a hold; "nothing to do" if
// there are neither.
func (p Plan) String() string {
	var text strings.Builder
	for _, change := range p.Changes {
		fmt.Fprintln(&text, change)
	}
	for _, hold := range p.Held {
		fmt.Fprintln(&text, hold)
	}
	if text.Len() == 0 {
		return "nothing to do\n"
	}
	return text.String()
}

// ID identifies this plan and no other: a digest of its text and of the object
// versions it was made from. An approval names it.
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

// Count is the number of changes of one action and kind; an empty argument
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

// Summary counts the changes for one line: "1 to create, 2 to update, 1 held".
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
