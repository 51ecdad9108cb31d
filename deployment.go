package kargo

import (
	"slices"
	"strings"
	"time"
)

// Outcome of a deployment, as far as it is known.
type Outcome string

// The outcomes. A deployment is running from its first call to Swarm to its
// last, progressing while Swarm rolls out, and ends in one of the others.
const (
	OutcomeRunning     Outcome = "running"
	OutcomeProgressing Outcome = "progressing"
	OutcomeSucceeded   Outcome = "succeeded"
	OutcomeFailed      Outcome = "failed"
	// OutcomeSuperseded: a newer deployment began before this one had settled.
	OutcomeSuperseded Outcome = "superseded"
	// OutcomeHeld: a person, or a freeze window, keeps all that it would change as it
	// is, or it waits for an approval. What is done after that is an entry of its own.
	OutcomeHeld Outcome = "held"
	// OutcomeRefused: nothing of the revision was carried out.
	OutcomeRefused Outcome = "refused"
)

// Deployment is the record of one plan that was carried out: what, why, when,
// and with which outcome. It has no secret: only the masked text of the plan is
// kept.
type Deployment struct {
	Entry
	// Number counts deployments from 1.
	Number   uint64   `json:"number"`
	Revision Revision `json:"revision"`
	// Trigger is what started the round: "interval", "webhook github",
	// "swarm event", "sync", "start", "apply".
	Trigger  string    `json:"trigger"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	Outcome  Outcome   `json:"outcome"`
	PlanID   string    `json:"plan"`
	Changes  []Change  `json:"changes"`
	// UnderWay is the change that was sent last and whose answer was not
	// recorded. After the deployment has ended there is none.
	UnderWay *Change `json:"underWay,omitempty"`
	// Announced are the changes that were about to be sent, and may have been, when the
	// process ended. After the deployment has ended there are none.
	Announced []Change      `json:"announced,omitempty"`
	Held      []Hold        `json:"held,omitempty"`
	Stacks    []StackResult `json:"stacks"`
	// Hooks are the scripts of the workspace that ran for it.
	Hooks []HookRun `json:"hooks,omitempty"`
	// Phases are how long each phase of its rounds took in all, the longest first. Some
	// run beside others, or as a part of another: "fetch" is a part of "try".
	Phases []Phase `json:"phases,omitempty"`
	Err    string  `json:"error,omitempty"`
}

// Phase is a part of the rounds of a deployment: "git" lists refs, "try" reads the revision
// in a child, "fetch" and "render" read it here, "write" writes the merged configuration,
// "observe" looks at Swarm, and "plan", "images", "apply" and "judge" do what they say.
type Phase struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took"`
}

// Verdict of a stack against the last applied revision.
type Verdict string

// The verdicts.
const (
	VerdictAdded     Verdict = "added"
	VerdictChanged   Verdict = "changed"
	VerdictRemoved   Verdict = "removed"
	VerdictUnchanged Verdict = "unchanged"
	// VerdictCorrected: the revision changes nothing of the stack, and a change
	// that somebody else made was corrected.
	VerdictCorrected Verdict = "corrected"
	// VerdictHeld: the revision changes the stack, and nothing of it was changed: a
	// person or a freeze window keeps it, or its removal waits for an approval.
	VerdictHeld Verdict = "held"
)

// Failures returns the stacks of the deployment whose renderings failed by it. Those that
// had failed before, and that it does not touch, are not among them.
func (d Deployment) Failures() (failed []StackResult) {
	for _, stack := range d.Stacks {
		if stack.Failure != nil && (stack.Verdict != VerdictUnchanged || strings.Contains(d.Err, stack.Failure.Reason)) {
			failed = append(failed, stack)
		}
	}
	return failed
}

// Results returns what happens to the stacks of the deployment. While it goes on these are
// also stacks that its changes are about and that have no verdict yet, or another one:
// those that are removed.
func (d Deployment) Results() []StackResult {
	results := slices.Clone(d.Stacks)
	if d.Outcome != OutcomeRunning && d.Outcome != OutcomeProgressing {
		return results
	}
	for _, change := range d.Changes {
		if change.Stack == "" {
			continue
		}
		verdict := VerdictChanged
		if change.Action == Remove {
			verdict = VerdictRemoved
		}
		at := slices.IndexFunc(results, func(r StackResult) bool { return r.Name == change.Stack })
		switch {
		case at < 0:
			results = append(results, StackResult{Name: change.Stack, Verdict: verdict})
		case results[at].Verdict == VerdictUnchanged:
			results[at].Verdict = VerdictChanged
		}
	}
	return results
}

// Authors returns who wrote the commits of the deployment, each once, the newest first.
func (d Deployment) Authors() (authors []string) {
	for _, author := range append([]string{d.Revision.Author}, authorsOf(d.Commits)...) {
		if author != "" && !slices.Contains(authors, author) {
			authors = append(authors, author)
		}
	}
	return authors
}

func authorsOf(commits []Commit) (authors []string) {
	for _, commit := range commits {
		authors = append(authors, commit.Author)
	}
	return authors
}

// MayBeAbout returns names that have the stacks among them which a deployment was about:
// those that did not stay as they were, or in a note, where any word can be one. A name
// can be there twice.
func (d Deployment) MayBeAbout() []string {
	var names []string
	for _, result := range d.Stacks {
		if result.Verdict != VerdictUnchanged {
			names = append(names, result.Name)
		}
	}
	for _, change := range d.Changes {
		if change.Stack != "" {
			names = append(names, change.Stack)
		}
	}
	return append(names, strings.FieldsFunc(d.Note, func(r rune) bool { return r == ' ' || r == ',' || r == ':' })...)
}

// StackResult is what a revision means for one stack, set against the revision
// that was applied before.
type StackResult struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Digest of the rendering; empty for a removed stack.
	Digest string `json:"digest,omitempty"`
	// Failure is why the rendering is not in force, if it did not come up.
	Failure *Failure `json:"failure,omitempty"`
}

// Applied is the revision in force, which is the last one that was carried out,
// and its stacks. The next revision is compared with it.
type Applied struct {
	Revision Revision                `json:"revision"`
	Stacks   map[string]AppliedStack `json:"stacks"`
	// Removed are the stacks that this revision took away.
	Removed []string `json:"removed,omitempty"`
}

// AppliedStack is one stack of the revision in force.
type AppliedStack struct {
	Digest  string  `json:"digest"`
	Verdict Verdict `json:"verdict"` // when that revision came
	// Changed is the revision that last changed the stack.
	Changed RevisionID `json:"changed"`
	// Position in STACKS: stacks are removed in reverse.
	Position int `json:"position"`
}

// Digests returns the digests of the stacks, by name.
func (a Applied) Digests() map[string]string {
	digests := make(map[string]string, len(a.Stacks))
	for name, stack := range a.Stacks {
		digests[name] = stack.Digest
	}
	return digests
}

// Positions returns the positions of the stacks in STACKS, by name.
func (a Applied) Positions() map[string]int {
	positions := make(map[string]int, len(a.Stacks))
	for name, stack := range a.Stacks {
		positions[name] = stack.Position
	}
	return positions
}

// Next returns what is in force after a revision with these results was carried
// out. If that revision was in force already, as after a correction of drift,
// its verdicts stay those of its first deployment.
func (a Applied) Next(revision Revision, results []StackResult) Applied {
	next := Applied{Revision: revision, Stacks: map[string]AppliedStack{}}
	again := revision.Same(a.Revision)
	if again {
		next.Removed = a.Removed
	}
	for position, result := range results {
		stack := AppliedStack{Digest: result.Digest, Verdict: result.Verdict, Changed: revision.ID(), Position: position}
		switch result.Verdict {
		case VerdictRemoved:
			if !slices.Contains(next.Removed, result.Name) {
				next.Removed = append(slices.Clone(next.Removed), result.Name)
			}
			continue
		case VerdictUnchanged, VerdictCorrected, VerdictHeld:
			stack.Changed = a.Stacks[result.Name].Changed
			if again {
				stack.Verdict = a.Stacks[result.Name].Verdict
			}
		case VerdictAdded, VerdictChanged:
		}
		next.Stacks[result.Name] = stack
	}
	return next
}
