package kargo

import (
	"slices"
	"strings"
)

// Search says which deployments somebody looks for. Empty fields fit everything.
type Search struct {
	// Text has words, in whatever case, that a deployment has anywhere: in its subjects,
	// reasons, names, commits, notes and errors. Author has words of an author's name.
	Text, Author string
	Stack        string
	Outcome      Outcome
}

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{OutcomeRunning, OutcomeProgressing, OutcomeSucceeded, OutcomeFailed, OutcomeSuperseded, OutcomeHeld, OutcomeRefused}
}

// Fits reports whether a deployment is looked for.
func (s Search) Fits(d Deployment) bool {
	if s.Stack != "" && !slices.Contains(d.MayBeAbout(), s.Stack) || s.Outcome != "" && d.Outcome != s.Outcome {
		return false
	}
	authors := d.Revision.Author
	text := []string{string(d.Kind), d.Note, d.Trigger, d.By.String(), d.Err, d.PlanID, d.Revision.Commit, d.Revision.Subject, d.Revision.Ref}
	for _, commit := range d.Commits {
		authors += "\n" + commit.Author
		text = append(text, commit.Hash, commit.Subject)
	}
	for _, change := range d.Changes {
		text = append(text, change.Name, change.Reason)
	}
	for _, stack := range d.Stacks {
		if stack.Failure != nil {
			text = append(text, stack.Failure.Reason)
		}
	}
	return hasWords(authors, s.Author) && hasWords(strings.Join(append(text, authors), "\n"), s.Text)
}

// hasWords reports whether a text has all words, in whatever case.
func hasWords(text, words string) bool {
	text = strings.ToLower(text)
	return !slices.ContainsFunc(strings.Fields(strings.ToLower(words)), func(word string) bool { return !strings.Contains(text, word) })
}

// searchedAtOnce is how many deployments a search reads at once.
const searchedAtOnce = 100

// Find returns the deployments with numbers below before that fit, the newest first. If
// before is 0, it starts with the newest of all. It returns at most limit of them, and
// looks through at most most; 0 sets no limit. next is the number below which the search
// goes on; 0 if there is nothing left. read returns at most limit deployments below a
// number, those about a stack, or all if stack is empty.
func (s Search) Find(before uint64, limit, most int, read func(stack string, before uint64, limit int) ([]Deployment, error)) (found []Deployment, next uint64, err error) {
	found = []Deployment{}
	for looked := 0; most == 0 || looked < most; {
		block, err := read(s.Stack, before, searchedAtOnce)
		if err != nil {
			return nil, 0, err
		}
		for _, deployment := range block {
			if before = deployment.Number; !s.Fits(deployment) {
				continue
			}
			if limit > 0 && len(found) == limit {
				return found, found[limit-1].Number, nil
			}
			found = append(found, deployment)
		}
		if looked += len(block); len(block) < searchedAtOnce {
			return found, 0, nil
		}
	}
	return found, before, nil
}
