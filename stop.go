package kargo

import "time"

// Stop is a person's decision that something must not change: a stack that is held or
// that went back, or everything while the controller is suspended.
type Stop struct {
	By    Person    `json:"by,omitzero"`
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"`
	// Until is when it ends by itself; zero if only a person ends it.
	Until time.Time `json:"until,omitzero"`
	// Digest is that of the kept rendering that a stack went back to, Revision the
	// revision that brought it. Without one, what runs stays as it is.
	Digest   string     `json:"digest,omitempty"`
	Revision RevisionID `json:"commit,omitempty"`
}

// WentBack reports whether a kept rendering runs in the place of the wanted one.
func (s Stop) WentBack() bool { return s.Digest != "" }

// String says what was decided, by whom, until when and why: "held by ada until
// 2026-11-26T12:00:00Z: a release".
func (s Stop) String() string {
	text := "held"
	if s.WentBack() {
		text = "went back to " + s.Revision.Short()
	}
	return text + s.circumstances()
}

func (s Stop) circumstances() string {
	text := ""
	if by := s.By.String(); by != "" {
		text += " by " + by
	}
	if !s.Until.IsZero() {
		text += " until " + s.Until.UTC().Format(time.RFC3339)
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

// Suspended says the same of a stop of everything.
func (s Stop) Suspended() string { return "suspended" + s.circumstances() }

// BackTo says which kept renderings stacks go back to.
type BackTo struct {
	// Start is the start of a digest or of a commit; "" stands for the rendering before
	// the one that runs.
	Start string
	// Digests are those of a deployment, by stack: the others stay as they are. With
	// them, Start counts nothing.
	Digests map[string]string
}

// KeptRendering is a rendering of a stack that came up and stayed up, and that it
// can go back to.
type KeptRendering struct {
	Stack    Stack      `json:"stack"`
	Revision RevisionID `json:"commit"`
	Digest   string     `json:"digest"`
	Kept     time.Time  `json:"kept"`
}

// Stopped is what a person, a freeze window or the governor of removals has stopped. It is
// remembered, and left to the next controller of the instance.
type Stopped struct {
	// Stops are the stacks that a person stopped, Suspended is set while all are.
	Stops     map[string]Stop `json:"stops,omitempty"`
	Suspended *Stop           `json:"suspended,omitempty"`
	// Frozen is the freeze window that lasts now.
	Frozen *Freeze `json:"frozen,omitempty"`
	// FreezeLifted is the end of the freeze window that a person has lifted.
	FreezeLifted time.Time `json:"freezeLifted,omitzero"`
	// TooMany are the stacks whose removal is held because too many would be removed at
	// once, sorted. They are so until a person approves it, or they are wanted again:
	// stacks that come in their place do not count.
	TooMany []string `json:"tooMany,omitempty"`
}
