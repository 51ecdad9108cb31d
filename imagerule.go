package kargo

import (
	"fmt"
	"time"
)

// ImageRule says which tag of an image a variable of the environment should
// hold: the newest one that fits.
type ImageRule struct {
	// Variable of the environment that holds the tag: "REDIS_TAG".
	Variable string `json:"variable"`
	// Image whose tags are listed, as a service would name it, without a tag.
	Image string `json:"image"`
	// Semver is the range in which the newest version is taken (">=7 <8"), or
	// Pattern the regular expression of the tags among which the newest is
	// taken. Exactly one of the two is set.
	Semver  string `json:"semver,omitempty"`
	Pattern string `json:"pattern,omitempty"`
	// Write makes Kargo commit the newest tag to the repository. Without it the
	// newest tag is only reported.
	Write bool `json:"write,omitempty"`
	// Where is the place of the rule in kargo.yml.
	Where Place `json:"line,omitzero"`
}

// Range returns which tags fit, as the workspace writes it: `semver ">=7 <8"`.
func (r ImageRule) Range() string {
	if r.Pattern != "" {
		return fmt.Sprintf("pattern %q", r.Pattern)
	}
	return fmt.Sprintf("semver %q", r.Semver)
}

// ImageStatus is what is known about one rule: the tag that the variable holds
// and the newest tag in the registry.
type ImageStatus struct {
	ImageRule
	// Current is the tag that the variable holds in the revision in force.
	Current string `json:"current"`
	// Newest is the newest tag that fits, empty while it is unknown. Behind
	// reports whether it is newer than Current, Since when that was first seen.
	Newest string    `json:"newest,omitempty"`
	Behind bool      `json:"behind"`
	Since  time.Time `json:"since,omitzero"`
	// Asked is the time of the registry's last answer.
	Asked time.Time `json:"asked,omitzero"`
	// Error says why the newest tag is unknown, or why it was not committed.
	Error string `json:"error,omitempty"`
	// Commit is Kargo's commit that wrote Newest, on Branch.
	Commit string `json:"commit,omitempty"`
	Branch string `json:"branch,omitempty"`
}

// Edit is a commit that Kargo makes itself.
type Edit struct {
	// Base is its parent: the commit that was read.
	Base string
	// Files are the complete new contents, by path in the workspace.
	Files   map[string][]byte
	Message string
}
