package gitsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"kargo"
	"kargo/gitsync/signature"

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

const (
	// mostAncestors is how many commits are read to find out whether one comes after
	// another.
	mostAncestors = 20_000
	// firstAncestors is how many are asked for first: most pushes are smaller.
	firstAncestors = 64
)

// CheckAfter returns an error unless a commit comes after the one in force, or is the
// same. It matters where signatures are required: a commit that was signed once stays
// signed, so whoever controls the host could go back to one with a known fault.
//
// The answer does not depend on what the host says. The hash of a commit covers the
// hashes of its parents, and each commit that is read is compared with its hash. What
// cannot be proven counts as not so.
//
// It returns nil where no signatures are required, where Options.AllowRewind is set,
// and where inForce is no commit. An error is Invalid if a person must decide, and
// Unavailable if the remote cannot be reached.
func (r *Repository) CheckAfter(ctx context.Context, inForce, commit string) error {
	if r.opts.Signatures.Required == signature.Nothing || r.opts.AllowRewind || inForce == commit || !plumbing.IsHash(inForce) {
		return nil
	}
	r.fetching.Lock()
	defer r.fetching.Unlock()
	older, newer := plumbing.NewHash(inForce), plumbing.NewHash(commit)
	objects, _, err := r.origin.get(ctx, newer, target{})
	if err != nil {
		return r.remote.Explain("fetch from", err, r.opts.Timeout)
	}
	result := descends(objects, newer, older)
	if keeper, shallow := r.origin.(snapshots); shallow && result == unknown {
		result, err = keeper.descends(ctx, newer, older)
	}
	switch {
	case errors.Is(err, errNoFilter):
		return notAfter(older, newer, fmt.Sprintf("it cannot be shown, because %v", err), "with --depth 0 the history is here; ")
	case err != nil:
		return r.remote.Explain("read the history of", err, r.opts.Timeout)
	case result == unknown:
		return notAfter(older, newer, fmt.Sprintf("its history does not show it, as far as %d commits of it are here", mostAncestors), "")
	case result == no:
		return notAfter(older, newer, "it is older, or of another branch", "")
	}
	return nil
}

func notAfter(older, newer plumbing.Hash, why, hint string) error {
	short := func(hash plumbing.Hash) string { return kargo.RevisionID(hash.String()).Short() }
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "signature"},
		Err:  fmt.Errorf("commit %s does not come after %s, which is in force: %s", short(newer), short(older), why),
		Hint: fmt.Sprintf("%sif it is meant, approve it: kargo approve %s", hint, short(newer))}
}

// descends looks for a commit among the ancestors of another one, and believes only
// commits that have the hash that they are called by.
func descends(objects storer.EncodedObjectStorer, newer, older plumbing.Hash) answer {
	result := no
	seen := map[plumbing.Hash]bool{newer: true}
	for pending := []plumbing.Hash{newer}; len(pending) > 0; pending = pending[1:] {
		data, err := readObject(objects, plumbing.CommitObject, pending[0])
		if err != nil { // the history is cut off here
			result = unknown
			continue
		}
		for _, parent := range parentsOf(data) {
			switch {
			case parent == older:
				return yes
			case len(seen) == mostAncestors:
				return unknown
			case !seen[parent]:
				seen[parent] = true
				pending = append(pending, parent)
			}
		}
	}
	return result
}

// parentsOf returns the parents of a commit as git reads them: the lines that come
// directly after the tree, and no others.
func parentsOf(commit []byte) []plumbing.Hash {
	var parents []plumbing.Hash
	_, rest, _ := bytes.Cut(commit, []byte("\n"))
	for {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		hash, isParent := bytes.CutPrefix(line, []byte("parent "))
		if !isParent || !plumbing.IsHash(string(hash)) {
			return parents
		}
		parents, rest = append(parents, plumbing.NewHash(string(hash))), after
	}
}

// descends asks the remote for the commits before newer, a few at first.
func (s snapshots) descends(ctx context.Context, newer, older plumbing.Hash) (answer, error) {
	result := unknown
	for _, depth := range []int{firstAncestors, mostAncestors} {
		err := s.withHistory(ctx, newer, depth, func(objects storer.EncodedObjectStorer) error {
			result = descends(objects, newer, older)
			return nil
		})
		switch {
		case err != nil && kargo.FaultOf(err) == kargo.Invalid: // more than its limits allow
			return unknown, nil
		case err != nil || result != unknown:
			return result, err
		}
	}
	return unknown, nil
}
