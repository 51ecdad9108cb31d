package kargo

import "time"

// StackOptions say how a stack is treated. Each field is a stack variable of
// the environment, <STACK>_<NAME>. The options are no part of the rendering: a
// change of them changes nothing that runs.
type StackOptions struct {
	// Adopt permits taking over objects that have the stack's names and no
	// owner (ADOPT).
	Adopt bool
	// Protect holds the stack's removal until a person approves it (PROTECT).
	Protect bool
	// Recreate permits removing and creating again what Swarm cannot change in
	// place (RECREATE).
	Recreate bool
	// Resolve says when the registry is asked for the digests of the stack's
	// image tags (RESOLVE).
	Resolve ResolveMode
	// OnFailure says what happens when a rendering fails (ON_FAILURE).
	OnFailure OnFailure
	// Drift says what happens when the live spec differs from what was sent
	// (DRIFT).
	Drift DriftMode
	// Ignore are fields that someone else manages, as JSON pointers into the
	// service: "/Spec/Mode/Replicated/Replicas" (IGNORE).
	Ignore []string
	// Deadline is the time that a rendering has to become healthy (DEADLINE).
	// Stable is how long it must then have run before it is good (STABLE).
	Deadline, Stable time.Duration
}

// OnFailure is what happens to a stack whose rendering failed.
type OnFailure string

// What can happen after a failure.
const (
	// FailureRollback returns the whole stack to its last good rendering. The failed
	// one is tried again when it changes, or when a person asks for a retry.
	FailureRollback OnFailure = "rollback"
	// FailureHold changes nothing more of the stack until its rendering changes
	// or a person asks for a retry.
	FailureHold OnFailure = "hold"
	// FailureContinue reports the failure and has no other effect.
	FailureContinue OnFailure = "continue"
)

// DriftMode is what happens when somebody else changed a service.
type DriftMode string

// The drift modes.
const (
	DriftEnforce DriftMode = "enforce" // change it back
	DriftWarn    DriftMode = "warn"    // report it and leave it
	DriftOff     DriftMode = "off"     // leave it
)
