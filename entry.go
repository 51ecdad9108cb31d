package kargo

import (
	"slices"
	"time"
)

// EntryKind is what an entry of the history is about.
type EntryKind string

// The kinds of entries. Those up to EntryAdoption carried out a plan; the others
// tell what a person or the controller decided, and have no plan of their own.
const (
	EntryUpdate   EntryKind = "update" // another revision; entries of earlier versions say nothing
	EntryRemoval  EntryKind = "removal"
	EntryRepair   EntryKind = "drift repair"
	EntryRollback EntryKind = "rollback"
	EntryRetry    EntryKind = "retry"
	EntryAdoption EntryKind = "adoption"

	EntryRefusal  EntryKind = "refusal" // of a revision
	EntryApproval EntryKind = "approval"
	EntrySettings EntryKind = "settings" // the operator's changed

	EntryHold       EntryKind = "hold"
	EntryRelease    EntryKind = "release"
	EntrySuspension EntryKind = "suspension"
	EntryResumption EntryKind = "resumption"
	EntryFreeze     EntryKind = "freeze" // a freeze window has begun
	EntryThaw       EntryKind = "thaw"   // it has ended, or a person lifted it
)

// KindsWithPlan returns the kinds of entries that carried out a plan.
func KindsWithPlan() []EntryKind {
	return []EntryKind{EntryUpdate, EntryRemoval, EntryRepair, EntryRollback, EntryRetry, EntryAdoption}
}

// IsNote reports whether an entry of the kind has no plan of its own.
func (k EntryKind) IsNote() bool { return k != "" && !slices.Contains(KindsWithPlan(), k) }

// Entry is what an entry of the history says beside its plan.
type Entry struct {
	Kind EntryKind `json:"kind,omitempty"`
	// By is who asked for it, as far as a person did.
	By Person `json:"by,omitzero"`
	// Note says in one line what was decided, or why.
	Note string `json:"note,omitempty"`
	// Commits are those that the revision adds to the one in force before, the
	// newest first; Earlier reports that there may be more, which are not known.
	Commits []Commit `json:"commits,omitempty"`
	Earlier bool     `json:"earlier,omitempty"`
}

// Person is who asked the controller for something, as far as is known.
type Person struct {
	// Name is what the person, or the program, said. Nothing proves it.
	Name string `json:"name,omitempty"`
	// From is the address that the request came from, or "local socket".
	From string `json:"from,omitempty"`
	// Why is the reason that the person gave, where nothing else has it.
	Why string `json:"why,omitempty"`
}

// Did returns what a person asked for as the trigger of an entry: "sync by ada", and
// the reason after it.
func (p Person) Did(what string) string {
	if p.Name != "" {
		what += " by " + p.Name
	}
	if p.Why != "" {
		what += ": " + p.Why
	}
	return what
}

// String returns the name and where it came from.
func (p Person) String() string {
	switch {
	case p.Name == "":
		return p.From
	case p.From == "":
		return p.Name
	}
	return p.Name + " (" + p.From + ")"
}

// Commit is one commit of the user's repository. Author and subject are the
// commit's own words.
type Commit struct {
	Hash    string    `json:"hash"`
	Author  string    `json:"author,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Time    time.Time `json:"time,omitzero"`
}

// Short returns the hash as people write it.
func (c Commit) Short() string { return shortCommit(c.Hash) }

// String returns the commit in one line.
func (c Commit) String() string {
	text := describe("", c.Hash, c.Subject)
	if c.Author != "" {
		text += " by " + c.Author
	}
	return text
}
