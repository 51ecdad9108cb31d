package kargo

import "time"

// Health is the health of a stack or service. Whether it is in sync, and which
// operation is under way, are separate fields.
type Health string

// The values of Health, the worst last.
const (
	HealthHealthy     Health = "healthy"
	HealthProgressing Health = "progressing"
	HealthDegraded    Health = "degraded"
)

// Operation is what is under way with a stack or service. It is empty if
// nothing is.
type Operation string

// The operations.
const (
	OperationRollingOut  Operation = "rolling out"
	OperationRollingBack Operation = "rolling back"
	OperationWaiting     Operation = "waiting" // for what it needs; lifts by itself
	OperationHeld        Operation = "held"    // waits for a person or another revision
	OperationRemoving    Operation = "being removed"
)

// Status is what the controller knows now. It is a copy, and has no secret. It has a
// field for each fact that the page, a command or a metric shows.
type Status struct {
	Version  string `json:"version"`
	Instance string `json:"instance"`
	// Repository is the address without user, password or query.
	Repository string `json:"repository"`
	// Head is the newest revision seen, Applied the one in force. They differ
	// while Head is invalid or not carried out yet.
	Head    Revision `json:"head"`
	Applied Revision `json:"applied"`
	// Rewinds: Head is signed, but does not come after what is in force. It waits
	// for a person to approve it.
	Rewinds bool `json:"rewinds,omitempty"`
	// Leader is the name of the controller that works in place of this one, which
	// stands by; "" if this one works.
	Leader string `json:"leader,omitempty"`
	// Fault and Message say what keeps the controller from its work, if
	// anything does; Problems list what is wrong with Head.
	Fault    string   `json:"fault,omitempty"`
	Message  string   `json:"message,omitempty"`
	Problems Problems `json:"problems,omitempty"`
	// GitTrouble says why the repository cannot be reached, SwarmTrouble why Docker
	// cannot be, as long as that is so. What they would tell is old meanwhile.
	GitTrouble   string `json:"gitTrouble,omitempty"`
	SwarmTrouble string `json:"swarmTrouble,omitempty"`
	// DiskTrouble says why files of the controller, such as the merged configuration,
	// cannot be written. New revisions wait meanwhile.
	DiskTrouble string `json:"diskTrouble,omitempty"`
	// HistoryTrouble says what is wrong with the files of the data directory, if
	// anything is. The work goes on without it.
	HistoryTrouble string        `json:"historyTrouble,omitempty"`
	Stacks         []StackStatus `json:"stacks"`
	// Removed are the stacks that the applied revision took away. Those that
	// still run are in Stacks.
	Removed []string `json:"removed,omitempty"`
	// Images are the tags that the workspace follows.
	Images []ImageStatus `json:"images,omitempty"`
	// Cleaned is how the last clean-up of images went.
	Cleaned *Cleaned `json:"cleaned,omitempty"`
	// Suspended is set while a person keeps everything from changing.
	Suspended *Stop `json:"suspended,omitempty"`
	// Frozen is set while a freeze window keeps everything from changing; Freezes are
	// all windows, of the operator and of the workspace.
	Frozen  *Freeze        `json:"frozen,omitempty"`
	Freezes []FreezeStatus `json:"freezeWindows,omitempty"`
	// Plan is the last plan that had anything to say; Pending is what the
	// last look would still do or holds.
	Plan      PlanText  `json:"plan"`
	Pending   PlanText  `json:"pending"`
	LastRound time.Time `json:"lastRound,omitzero"`
	// RoundBegan is when the round that runs now began; zero if none runs.
	RoundBegan time.Time `json:"roundBegan,omitzero"`
	// ReadingBegan is when the reading of the repository that runs now began, which goes
	// on beside the rounds; zero if none runs.
	ReadingBegan time.Time `json:"readingBegan,omitzero"`
	NextRound    time.Time `json:"nextRound,omitzero"`
	// LastVerified is when the whole Swarm was last looked at.
	LastVerified time.Time `json:"lastVerified,omitzero"`
	// LastFetched is when git last answered.
	LastFetched time.Time `json:"lastFetched,omitzero"`
	Rounds      uint64    `json:"rounds"`
}

// RoundTime is the deadline of a round, and of a reading of the repository. What it leaves undone, the next one does. One
// that is far beyond it hangs, and only a restart helps.
const RoundTime = 20 * time.Minute

// PlanText is a plan as it may be shown: with masked lines and without specs.
type PlanText struct {
	ID       string     `json:"id,omitempty"`
	Revision RevisionID `json:"commit,omitempty"`
	Changes  []Change   `json:"changes"`
	Held     []Hold     `json:"held,omitempty"`
	Warnings []Warning  `json:"warnings,omitempty"`
	Time     time.Time  `json:"time,omitzero"`
}

// Preview is what the next round would do, and what is wrong with the newest
// revision.
type Preview struct {
	// Plan is that of the newest revision, or of the one in force where the
	// newest is refused.
	Plan Plan `json:"plan"`
	// Problems are those of the newest revision. Where one of them is not a
	// warning it is refused.
	Problems Problems `json:"problems,omitempty"`
}

// Ready reports whether a revision is in force, or the controller stands by for one
// that knows.
func (s Status) Ready() bool { return s.Applied.Commit != "" || s.Leader != "" }

// Elsewhere returns the stacks that do not run what the applied revision says:
// another rendering of them runs, or they are still there though it has none.
func (s Status) Elsewhere() []StackStatus {
	var stacks []StackStatus
	for _, stack := range s.Stacks {
		if stack.Leaving || stack.Wanted != "" {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// StackStatus is one stack that is wanted, or that still runs though nobody
// wants it any more.
type StackStatus struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"` // against the revision before
	// InSync: nothing to change, nothing held.
	InSync    bool      `json:"inSync"`
	Health    Health    `json:"health"`
	Operation Operation `json:"operation,omitempty"`
	Message   string    `json:"message,omitempty"`
	Digest    string    `json:"digest"`
	// LastVerified is when a full look, or the one after everything was created, last found
	// the stack to be as wanted.
	LastVerified time.Time `json:"lastVerified,omitzero"`
	// Failure is why the wanted rendering is not in force, if it is not.
	Failure *Failure `json:"failure,omitempty"`
	// Revision is the one whose rendering runs. Wanted is the one whose
	// rendering should run, where that is another: it failed, or is held.
	Revision RevisionID `json:"revision,omitempty"`
	Wanted   RevisionID `json:"wanted,omitempty"`
	// Needs are the stacks that must have settled before this one changes.
	Needs []string `json:"needs,omitempty"`
	// Stop is set while a person keeps the stack from changing.
	Stop *Stop `json:"stop,omitempty"`
	// Leaving: the applied revision has no such stack, and it still runs.
	Leaving  bool            `json:"leaving,omitempty"`
	Services []ServiceStatus `json:"services"`
}

// ServiceStatus is one service of a stack.
type ServiceStatus struct {
	Name    string `json:"name"`
	Image   string `json:"image"`
	Running uint64 `json:"running"`
	Desired uint64 `json:"desired"`
	// InSync, Health and Operation are the service's own, as the stack's are.
	InSync    bool      `json:"inSync"`
	Health    Health    `json:"health"`
	Operation Operation `json:"operation,omitempty"`
	// Message has Swarm's or the task's own words where there is trouble.
	Message string `json:"message,omitempty"`
}
