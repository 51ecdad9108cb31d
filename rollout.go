package kargo

import (
	"slices"
	"strings"
	"time"
)

// Rollout is what is remembered of one stack's renderings: which one was sent
// last, which one was good last, and which one failed.
type Rollout struct {
	// Digest of the rendering that was sent last, and since when it is on its
	// way; Revision brought it.
	Digest   string     `json:"digest"`
	Revision RevisionID `json:"commit"`
	Since    time.Time  `json:"since"`
	// Watched, where it is later than Since, is from when the deadline of the rendering
	// counts: only time in which the present process saw Swarm counts. How long no
	// process looked is not known, because the clock may have been set meanwhile.
	Watched time.Time `json:"-"`
	// Sent is when something of the stack was sent last. What runs proves
	// nothing of a rendering until Swarm had the time to begin with it.
	Sent time.Time `json:"sent,omitzero"`
	// Good is the digest of the last rendering that came up and stayed up,
	// GoodRevision the revision that brought it.
	Good         string     `json:"good,omitempty"`
	GoodRevision RevisionID `json:"goodCommit,omitempty"`
	// AfterDue: the stack's after hooks are still to run for it.
	AfterDue bool `json:"afterDue,omitempty"`
	// Failed is set while the rendering wanted is one that failed.
	Failed *Failure `json:"failed,omitempty"`
	// Tries is how often it failed because of something outside the software.
	Tries int `json:"tries,omitempty"`
}

// Cause is what made a rendering fail.
type Cause string

// The causes. All but CauseSoftware are outside the software: no task of the
// rendering ran and failed.
const (
	// CauseSoftware: a task ran and failed, or was not up in time, or Docker refuses
	// what the rendering asks for.
	CauseSoftware Cause = ""
	// CauseImage: nodes cannot get an image.
	CauseImage Cause = "image"
	// CauseNode: no node takes a task.
	CauseNode Cause = "node"
	// CauseHost: something else on a node kept a task from running.
	CauseHost Cause = "host"
)

// Failure is why a rendering is quarantined: it is not sent again until it
// changes or a person says retry, or, if its cause is outside the software, until
// that may be gone.
type Failure struct {
	Digest   string     `json:"digest"`
	Revision RevisionID `json:"commit"`
	Reason   string     `json:"reason"`
	Time     time.Time  `json:"time"`
	Cause    Cause      `json:"cause,omitempty"`
	// Again is when it is tried again; zero if no time is set for that.
	Again time.Time `json:"again,omitzero"`
	// Words are what the tasks said: error, node, exit code, end of the log.
	Words []string `json:"words,omitempty"`
}

// Briefly returns the reason without what the words say: "app: rollback completed" for
// "app: rollback completed: No such image: app:2", if a task said the latter.
func (f Failure) Briefly() string {
	for at := range f.Reason {
		rest, cut := strings.CutPrefix(f.Reason[at:], ": ")
		if cut && rest != "" && slices.ContainsFunc(f.Words, func(word string) bool { return strings.Contains(word, rest) }) {
			return f.Reason[:at]
		}
	}
	return f.Reason
}

// Memory is what Kargo must remember between rounds and after a restart,
// because it is neither in git nor in Swarm.
type Memory struct {
	Applied  Applied
	Sent     Sent
	Rollouts map[string]Rollout
	Resolved Resolved
	// RefusedHead is the newest revision that was refused, and noted as such.
	RefusedHead RevisionID
	Stopped
	// Settings are the operator's, at the last start, as they may be shown.
	Settings map[string]string
}
