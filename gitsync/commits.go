package gitsync

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// mostCommits is how many commits of a range are named.
	mostCommits = 50
	// mostKnown is how many ancestors of the older end of a range are looked at,
	// so that a merged branch that left before it is not taken for new.
	mostKnown = 500
)

// Commits returns the commits of a range: those that lead to the commit to and not
// to the commit from, the newest first. complete reports whether these are all. To
// must have been fetched. Where the history is not kept, it is asked for without
// files, from a host that allows it; from others only to is known.
func (r *Repository) Commits(ctx context.Context, from, to string) (commits []kargo.Commit, complete bool, err error) {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	older, newer := plumbing.NewHash(from), plumbing.NewHash(to)
	objects, _, err := r.origin.get(ctx, newer, target{})
	if err != nil {
		return nil, false, r.remote.Explain("fetch from", err, r.opts.Timeout)
	}
	commits, complete, err = commitsBetween(objects, older, newer)
	if keeper, shallow := r.origin.(snapshots); shallow && !complete && err == nil {
		if deeper, known, err := keeper.commits(ctx, older, newer); err == nil {
			return deeper, known, nil
		}
	}
	return commits, complete, err
}

// commitsBetween returns the commits that lead to newer and not to older, as far as
// they are here.
func commitsBetween(objects storer.EncodedObjectStorer, older, newer plumbing.Hash) (commits []kargo.Commit, complete bool, err error) {
	head, err := object.GetCommit(objects, newer)
	if err != nil {
		return nil, false, err
	}
	known := ancestors(objects, older)
	complete = true
	pending := []*object.Commit{head}
	seen := map[plumbing.Hash]bool{newer: true}
	for len(pending) > 0 {
		commit := pending[0]
		pending = pending[1:]
		if len(commits) == mostCommits {
			return commits, false, nil
		}
		subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
		commits = append(commits, kargo.Commit{Hash: commit.Hash.String(), Author: kargo.PrintableLine(commit.Author.Name),
			Subject: kargo.PrintableLine(subject), Time: commit.Committer.When})
		for _, hash := range commit.ParentHashes {
			if known[hash] || seen[hash] {
				continue
			}
			seen[hash] = true
			parent, err := object.GetCommit(objects, hash)
			if err != nil { // the history is cut off here
				complete = false
				continue
			}
			pending = append(pending, parent)
		}
		slices.SortStableFunc(pending, func(a, b *object.Commit) int { return b.Committer.When.Compare(a.Committer.When) })
	}
	return commits, complete, nil
}

// ancestors returns a commit and the ones before it, as far as they are here.
func ancestors(objects storer.EncodedObjectStorer, hash plumbing.Hash) map[plumbing.Hash]bool {
	known := map[plumbing.Hash]bool{hash: true}
	for pending := []plumbing.Hash{hash}; len(pending) > 0 && len(known) < mostKnown; pending = pending[1:] {
		commit, err := object.GetCommit(objects, pending[0])
		if err != nil {
			continue
		}
		for _, parent := range commit.ParentHashes {
			if !known[parent] {
				known[parent] = true
				pending = append(pending, parent)
			}
		}
	}
	return known
}

// errNoFilter is the error of a host from which commits cannot be had without
// their files.
var errNoFilter = errors.New("the host does not provide commits without files")

// commits asks the remote for the commits before newer.
func (s snapshots) commits(ctx context.Context, older, newer plumbing.Hash) (commits []kargo.Commit, complete bool, err error) {
	err = s.withHistory(ctx, newer, mostCommits+1, func(objects storer.EncodedObjectStorer) error {
		commits, complete, err = commitsBetween(objects, older, newer)
		return err
	})
	return commits, complete, err
}

// limitsOfHistory bound commits without files.
var limitsOfHistory = Limits{Files: mostAncestors, Bytes: 64 << 20, File: 1 << 20}

// withHistory asks the remote for a number of commits, from newest back, without
// their files. It calls use with them and keeps none of them.
func (s snapshots) withHistory(ctx context.Context, newest plumbing.Hash, depth int, use func(storer.EncodedObjectStorer) error) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	if err := makeDirectory(s.store.dir); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.store.dir, "commits-*"+unfinished)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.limits = limitsOfHistory
	var storage *filesystem.Storage
	err = s.remote.Fetch(ctx, func(session *wire.Session) error {
		_, offered, err := s.tracked.find(ctx, session)
		if err != nil {
			return err
		}
		if !offered.Supports(capability.Filter) || !offered.Supports(capability.Shallow) {
			return errNoFilter
		}
		storage, err = s.receive(ctx, dir, session,
			request{offered: offered, want: newest, depth: depth, filter: packp.FilterTreeDepth(0)})
		return err
	})
	if err != nil {
		return err
	}
	return use(storage)
}
