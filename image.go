package kargo

import "github.com/docker/docker/api/types/swarm"

// Image is what a registry says about an image that the workspace names. The zero
// value means that the registry could not be asked.
type Image struct {
	// Pinned is the name with the digest that the registry returned for it:
	// "redis:7@sha256:…". This is what nodes are sent.
	Pinned string `json:"pinned,omitempty"`
	// Platforms the image is built for, so that Swarm places it where it runs.
	Platforms []swarm.Platform `json:"platforms,omitempty"`
	// Missing has the registry's words where it has no such image.
	Missing string `json:"missing,omitempty"`
}

// Resolved has the answers of registries for one revision. A tag means one
// image for as long as the revision is in force.
type Resolved struct {
	Revision RevisionID       `json:"revision"`
	Images   map[string]Image `json:"images"` // by the name that the workspace writes
	// Latest has the images of stacks that follow their tags (ResolveAlways). They
	// are kept for the next revision: a registry that is out of reach must not
	// undo anything.
	Latest map[string]Image `json:"latest,omitempty"`
}

// ResolveMode says when the tags of a stack's images are looked up.
type ResolveMode string

// The modes.
const (
	// ResolveOnce asks for an image that is new to its service, and keeps the
	// answer until the image is changed.
	ResolveOnce ResolveMode = "once"
	// ResolveAlways asks for each revision and at each verification, and rolls
	// out the image that a tag has moved to.
	ResolveAlways ResolveMode = "always"
	// ResolveNever sends tags as they are written. Each node resolves them by
	// itself.
	ResolveNever ResolveMode = "never"
)
