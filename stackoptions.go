package kargo

import "time"

// Policy is how a stack wants to be treated. Each field is a variable of the
// environment, <STACK>_<NAME>. A change of policy is no change of the stack.
type Policy struct {
	// Adopt allows taking over objects of the stack's names that carry no
	// owner (ADOPT).
	Adopt bool
	// Protect holds the stack's removal until a person approves it (PROTECT).
	Protect bool
	// Recreate allows removing and making anew what Swarm cannot change in
	// place (RECREATE).
	Recreate bool
	// Resolve says when the tags of the stack's images are looked up (RESOLVE).
	Resolve ResolveMode
	// OnFailure is what happens when a rendering does not come up (ON_FAILURE).
	OnFailure OnFailure
	// Drift is what happens when the live spec departs from what was sent
	// (DRIFT).
	Drift DriftMode
	// Ignore are fields in which others have the say, as JSON pointers into
	// the service: "/Spec/Mode/Replicated/Replicas" (IGNORE).
	Ignore []string
	// Deadline is how long a rendering may take to come up (DEADLINE), Stable
	// how long it must then have run before it is called good (STABLE).
	Deadline, Stable time.Duration
}

// OnFailure is what happens to a stack whose rendering does not come up.
type OnFailure string

// The ways to fail.
const (
	// Rollback returns the stack as a whole to its last good rendering. The
	// failed one is not tried again until it changes or a person says retry.
	Rollback OnFailure = "rollback"
	// HoldFailed leaves things as they are and does nothing more to the stack
	// until its rendering changes or a person says retry.
	HoldFailed OnFailure = "hold"
	// Continue reports the failure and goes on as if nothing had happened.
	Continue OnFailure = "continue"
)

// DriftMode is what happens when somebody else changed a service.
type DriftMode string

// The modes.
const (
	DriftEnforce DriftMode = "enforce" // put it back
	DriftWarn    DriftMode = "warn"    // say so and leave it
	DriftOff     DriftMode = "off"     // leave it
)
