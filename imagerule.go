package kargo

import (
	"fmt"
	"time"
)

// ImagePolicy says which tag of an image a variable of the environment is to
// hold: the newest that fits.
type ImagePolicy struct {
	// Variable of the environment that holds the tag: "REDIS_TAG".
	Variable string `json:"variable"`
	// Image whose tags are listed, as a service would name it, without a tag.
	Image string `json:"image"`
	// Semver is the range in which the newest version is taken (">=7 <8"), or
	// Pattern the regular expression of the tags among which the newest is
	// taken. Exactly one of the two is set.
	Semver  string `json:"semver,omitempty"`
	Pattern string `json:"pattern,omitempty"`
	// Write has the newest tag committed to the repository; without it it is
	// only reported.
	Write bool `json:"write,omitempty"`
	// Line says where the policy stands: "kargo.yml:3".
	Line string `json:"line,omitempty"`
}

// Rule is what a tag must be, as the workspace says it: `semver ">=7 <8"`.
func (p ImagePolicy) Rule() string {
	if p.Pattern != "" {
		return fmt.Sprintf("pattern %q", p.Pattern)
	}
	return fmt.Sprintf("semver %q", p.Semver)
}

// ImageStatus is what is known of one policy: what the variable holds and what
// its image's registry has.
type ImageStatus struct {
	ImagePolicy
	// Current is the tag that the variable holds in the revision in force.
	Current string `json:"current"`
	// Newest is the newest tag that fits; empty where it is not known. Behind
	// says that it is newer than Current, and Since when that was seen first.
	Newest string    `json:"newest,omitempty"`
	Behind bool      `json:"behind"`
	Since  time.Time `json:"since,omitzero"`
	// Asked is when the registry answered last.
	Asked time.Time `json:"asked,omitzero"`
	// Error says why the newest tag is not known, or why it was not written.
	Error string `json:"error,omitempty"`
	// Commit is the one by which Kargo wrote Newest, on Branch.
	Commit string `json:"commit,omitempty"`
	Branch string `json:"branch,omitempty"`
}

// Edit is a commit that Kargo makes itself.
type Edit struct {
	// Base is the commit that it comes after, the one that was read.
	Base string
	// Files are the whole new contents, by path in the workspace.
	Files   map[string][]byte
	Message string
}
