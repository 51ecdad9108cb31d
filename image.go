package kargo

import "github.com/docker/docker/api/types/swarm"

// Image is what a registry says of an image, asked under the name that the
// workspace writes. The zero value means that the registry could not be asked.
type Image struct {
	// Pinned is the name with the digest that it stood for when it was asked:
	// "redis:7@sha256:…". That is what nodes are sent.
	Pinned string `json:"pinned,omitempty"`
	// Platforms the image is built for, so that Swarm places it where it runs.
	Platforms []swarm.Platform `json:"platforms,omitempty"`
	// Missing is set where the registry was asked and has no such image: its
	// own words.
	Missing string `json:"missing,omitempty"`
}

// Resolved are the images that were asked for on behalf of one revision: a tag
// means one image as long as the revision stays.
type Resolved struct {
	Revision RevisionID       `json:"revision"`
	Images   map[string]Image `json:"images"` // by the name that the workspace writes
	// Latest are those of stacks that follow their tags (ResolveAlways). They
	// outlive the revision: a registry that is away must not undo anything.
	Latest map[string]Image `json:"latest,omitempty"`
}

// ResolveMode says when the tags of a stack's images are looked up.
type ResolveMode string

// The modes.
const (
	// ResolveOnce asks for an image that is new to its service, and keeps what
	// it meant until the image is changed.
	ResolveOnce ResolveMode = "once"
	// ResolveAlways asks with each revision and whenever everything is
	// verified, and rolls out what a tag has come to mean.
	ResolveAlways ResolveMode = "always"
	// ResolveNever sends tags as they are written; each node makes of them
	// what it will.
	ResolveNever ResolveMode = "never"
)
