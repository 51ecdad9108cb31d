package kargo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker/api/types/swarm"
)

// Action is what a Change does to its object.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Remove Action = "remove"
)

// Kind of Swarm object.
type Kind string

// The kinds.
const (
	KindService Kind = "service"
	KindNetwork Kind = "network"
	KindConfig  Kind = "config"
	KindSecret  Kind = "secret"
	KindNode    Kind = "node"
)

// Change is one call to Swarm, and why. Who carries it out decides nothing.
type Change struct {
	Action Action `json:"action"`
	Kind   Kind   `json:"kind"`
	// Stack as the workspace names it; empty for a shared network.
	Stack string `json:"stack,omitempty"`
	// Name as Swarm knows the object.
	Name string `json:"name"`
	// Reason is for people. Secrets in it are already masked.
	Reason string `json:"reason"`
	// Drifted is set where the change puts right what somebody else did to the
	// object: when Swarm last saw it written. Swarm does not tell by whom.
	Drifted time.Time `json:"drifted,omitzero"`
	// ID and Version are those of the object that was looked at; a write that
	// finds another version is refused by Swarm and becomes a Conflict.
	ID      string `json:"-"`
	Version uint64 `json:"version,omitempty"`
	// Exactly one of these is set for Create and Update. They hold what
	// secrets the workspace holds, so they are never printed or stored.
	Service *swarm.ServiceSpec `json:"-"`
	Network *Network           `json:"-"`
	Config  *Config            `json:"-"`
	Node    *swarm.NodeSpec    `json:"-"`
	// Renews says that nothing of the service changes but the credential that
	// its nodes pull the image with.
	Renews bool `json:"-"`
	// Digest of the service spec as wanted, remembered in Sent.
	Digest string `json:"-"`
	// Image is the image with the digest that goes out, where a registry was
	// asked what the tag means.
	Image string `json:"image,omitempty"`
	// Unresolved is the image as written, where its registry is to be asked
	// what it means and nobody has done so yet.
	Unresolved string `json:"-"`
}

// String is the change as one line of a plan.
func (c Change) String() string {
	reason := c.Reason
	if !c.Drifted.IsZero() {
		reason = "drift since " + c.Drifted.UTC().Format(time.RFC3339) + ": " + reason
	}
	return fmt.Sprintf("%s %s %s: %s", c.Action, c.Kind, c.Name, reason)
}

// Key names the object that the change is about: "service kargo-dbs_redis".
func (c Change) Key() string { return string(c.Kind) + " " + c.Name }

// Hold is a change that is wanted, but not now, and why.
type Hold struct {
	Kind   Kind   `json:"kind,omitempty"`
	Stack  string `json:"stack,omitempty"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Approvable holds wait for a person: `kargo approve` lifts them.
	Approvable bool `json:"approvable,omitempty"`
	// Failed holds want what is not to be had. Nothing was touched, but the
	// deployment that meets one has failed.
	Failed bool `json:"failed,omitempty"`
	// Passing holds lift by themselves: tasks are ending, a stack is settling.
	// The loop looks again soon.
	Passing bool `json:"passing,omitempty"`
	// StandsIn holds tell that the last good rendering is in force. It may be all
	// there, whatever the hold's name.
	StandsIn bool `json:"-"`
}

// String is the hold as one line of a plan.
func (h Hold) String() string {
	kind := string(h.Kind)
	if kind == "" {
		kind = "stack"
	}
	return fmt.Sprintf("hold %s %s: %s", kind, h.Name, h.Reason)
}

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
}

// Empty tells whether there is nothing to do. Holds may remain.
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
