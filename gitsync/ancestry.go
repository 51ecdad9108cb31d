package gitsync

import (
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// answer is the result of a question that cannot always be answered.
type answer int

const (
	unknown answer = iota
	yes
	no
)

// rewrote returns the earlier commit of a branch if the present one does not
// come after it, because somebody pushed by force. It returns "" if that is not
// so or cannot be known.
func (r *Repository) rewrote(ctx context.Context, objects storer.EncodedObjectStorer, found target) string {
	before := r.last
	if before.commit.IsZero() || before.commit == found.commit || before.name != found.name || !found.name.IsBranch() {
		return ""
	}
	commit, err := object.GetCommit(objects, found.commit)
	if err != nil || slices.Contains(commit.ParentHashes, before.commit) {
		return ""
	}
	if r.origin.comesAfter(ctx, commit, before.commit) == no {
		return before.commit.String()
	}
	return ""
}

// lookThrough looks for a commit among the ancestors of another one, in a history
// that is here.
func lookThrough(commit *object.Commit, ancestor plumbing.Hash) answer {
	result := no
	err := object.NewCommitPreorderIter(commit, nil, nil).ForEach(func(c *object.Commit) error {
		if c.Hash == ancestor {
			result = yes
			return storer.ErrStop
		}
		return nil
	})
	if err != nil {
		return unknown
	}
	return result
}
