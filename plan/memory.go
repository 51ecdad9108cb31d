package plan

import (
	"errors"
	"maps"

	"kargo"
)

// Memory is everything from earlier rounds that a plan depends on. It is one value
// so that a caller passes all of it: a plan made without a part of it may repeat
// what has failed. The zero value is the memory of an instance that has never run.
type Memory struct {
	// Memory is what survives a restart, as the history keeps it.
	kargo.Memory
	// Good has last good renderings by stack name: at least those that NeedGood
	// names, as far as they can be read.
	Good map[string]kargo.Stack
	// Kept has, by stack name, the rendering that a person had the stack go back
	// to, as far as it can be read.
	Kept map[string]kargo.Stack
	// Approved is the ID of the plan that a person approved last. It lifts the
	// approvable holds of that plan and of no other.
	Approved string
	// Session is what is remembered until the process ends.
	Session
}

// Session is what is remembered until the process ends. Losing it costs one
// more attempt at what did not work.
type Session struct {
	// Absent has, by stack name, the hold of each stack that wants an image that
	// is not available.
	Absent map[string]kargo.Hold
	// Adopted has the names of the stacks that a person allowed to take over
	// objects without an owner.
	Adopted map[string]bool
	// Refused has the changes that Docker refused, see NoteFailure. Each is held
	// as long as the same change is wanted.
	Refused map[kargo.ObjectKey]Refusal
	// Drifts has the corrections of drift, by service name.
	Drifts map[string]DriftBackoff
}

// NewSession returns the memory that a process begins with.
func NewSession() Session {
	return Session{
		Absent: map[string]kargo.Hold{}, Adopted: map[string]bool{},
		Refused: map[kargo.ObjectKey]Refusal{}, Drifts: map[string]DriftBackoff{},
	}
}

// Refusal is Docker's answer to a change that it would refuse again.
type Refusal struct {
	Digest string      // of the service's spec; "" for another kind
	Words  string      // Docker's own
	Until  kargo.Until // what may lift it
}

// NoteFailure remembers a change that failed and would fail again in the same way:
// Docker refused it as invalid, or it is the removal of a network that somebody's
// container uses. From then on a plan holds the change. Other failures are not
// remembered.
func (s Session) NoteFailure(change kargo.Change, err error) {
	var inUse *kargo.InUseError
	switch {
	case errors.As(err, &inUse):
		s.Refused[change.Key()] = Refusal{Words: inUse.Error() + "; " + inUse.Remedy(), Until: kargo.UntilOutside}
	case kargo.FaultOf(err) == kargo.Invalid:
		s.Refused[change.Key()] = Refusal{Digest: change.Digest, Words: kargo.Explain(err), Until: kargo.UntilRevision}
	}
}

// images returns what registries said about images for a revision. A tag means one
// image as long as the revision stays.
func (m Memory) images(revision kargo.Revision) map[string]kargo.Image {
	if m.Resolved.Revision != revision.ID() {
		return nil
	}
	return m.Resolved.Images
}

// positions returns the positions of stacks by name: in order, else in the STACKS
// of the revision in force.
func (m Memory) positions(order []string) map[string]int {
	positions := m.Applied.Positions()
	for i, stack := range order {
		positions[stack] = i
	}
	return positions
}

// Clone returns a copy that shares nothing with m that rounds change.
func (m Memory) Clone() Memory {
	m.Sent, m.Rollouts, m.Stops = maps.Clone(m.Sent), maps.Clone(m.Rollouts), maps.Clone(m.Stops)
	m.Resolved.Images, m.Resolved.Latest = maps.Clone(m.Resolved.Images), maps.Clone(m.Resolved.Latest)
	m.Absent, m.Adopted = maps.Clone(m.Absent), maps.Clone(m.Adopted)
	m.Refused, m.Drifts = maps.Clone(m.Refused), maps.Clone(m.Drifts)
	return m
}
