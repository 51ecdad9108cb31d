// Package gitsync turns a git remote into a [kargo.Revision] and an fs.FS of
// that commit.
//
// A poll is a [Repository.Head], which lists the remote's refs and nothing
// else. Only when the commit is new does [Repository.Fetch] download it: bare,
// one commit deep, without tags, into a directory of its own that appears by
// rename when it is complete. There is never a work tree, so nothing of the
// repository is ever written out as a file, a link or a hook, and there is no
// state between two fetches that a force-push could break. A commit that was
// fetched before is read from disk, also while the remote is out of reach.
//
// How bytes come from a remote is the business of the package wire, who signed a
// commit that of the package signature.
package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

const (
	defaultTimeout = 2 * time.Minute
	listTimeout    = 20 * time.Second
	defaultKeep    = 5
)

// origin is where the commits of a repository come from, and where they are kept. It
// is one of [local], [snapshots] and [history].
type origin interface {
	// head returns what the tracked ref stands for now.
	head(context.Context) (target, error)
	// get returns the objects of a commit and what the commit is called. It fetches
	// the commit if it is not on disk, or if seen names it by a tag that is not. If
	// the ref has moved on, it is the ref's present commit that is fetched.
	get(ctx context.Context, commit plumbing.Hash, seen target) (storer.EncodedObjectStorer, target, error)
	// stored is get for a commit that must be on disk, to be written to.
	stored(commit plumbing.Hash) (storer.EncodedObjectStorer, target, error)
	// publish puts a commit on a branch that is still where the commit begins.
	publish(ctx context.Context, branch plumbing.ReferenceName, made made) error
	// comesAfter returns whether a commit has another one among its ancestors.
	comesAfter(ctx context.Context, commit *object.Commit, ancestor plumbing.Hash) answer
	// discard removes a damaged commit, and reports whether it can be fetched again.
	discard(commit plumbing.Hash) (bool, error)
	// protect names the commits that must stay on disk.
	protect(commits []string)
}

// Repository is one remote, followed at one ref. It is safe for concurrent
// use; a Fetch waits for the one before it.
type Repository struct {
	opts    Options
	address wire.Address
	remote  *wire.Remote // of a local repository: for its errors only
	tracked tracked
	origin  origin

	seen     atomic.Pointer[target] // by the last Head
	fetching sync.Mutex
	last     target // of the last Fetch that ended well
}

// Open checks the options and clears Dir of what an interrupted fetch left
// behind. It does not touch the network. What is wrong with the options is
// Invalid, and the error never repeats the URL.
func Open(opts Options) (*Repository, error) {
	address, err := wire.ParseAddress(opts.URL)
	if err != nil {
		return nil, err
	}
	tracked, err := parseRef(opts.Ref)
	if err != nil {
		return nil, err
	}
	if opts.Path, err = checkPath(opts.Path); err != nil {
		return nil, err
	}
	if err := opts.Signatures.Validate(); err != nil {
		return nil, err
	}
	opts.Limits = opts.Limits.withDefaults()
	remote, err := wire.New(address, opts.Access, opts.Limits.Bytes)
	if err != nil {
		return nil, err
	}
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Keep <= 0 {
		opts.Keep = defaultKeep
	}
	r := &Repository{opts: opts, address: address, remote: remote, tracked: tracked}
	if address.IsLocal() {
		r.origin = local{address.LocalPath(), tracked}
		return r, nil
	}
	if opts.Dir == "" {
		return nil, invalid("no directory to keep commits in", "set Options.Dir")
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for commits: %w", err)
	}
	from := upstream{remote, tracked, opts.Limits, opts.Timeout}
	kept := &store{dir: opts.Dir, keep: opts.Keep}
	r.origin = snapshots{from, kept}
	if opts.History {
		r.origin = history{from, filepath.Join(opts.Dir, historyName)}
	}
	return r, kept.removeUnfinished()
}

// Address is the remote as it may be shown: no user, no password, no query.
func (r *Repository) Address() string { return r.address.String() }

// Protect names the commits that must stay on disk however old they are: the
// applied one, the last good one. It replaces what an earlier call named.
func (r *Repository) Protect(commits ...string) { r.origin.protect(commits) }

// Head asks the remote for the commit that the ref is at, and nothing else. An
// annotated tag counts as the commit it is for. A fixed commit is answered
// without a question. Every error is Unavailable, a missing ref too: what was
// fetched last stays in force.
func (r *Repository) Head(ctx context.Context) (string, error) {
	if r.tracked.isCommit() {
		return r.tracked.commit.String(), nil
	}
	limit := min(listTimeout, r.opts.Timeout)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := r.origin.head(ctx)
	if err != nil {
		verb := "list the refs of"
		if r.address.IsLocal() {
			verb = "read"
		}
		return "", r.remote.Explain(verb, err, limit)
	}
	r.seen.Store(&found)
	return found.commit.String(), nil
}

// Fetch gives the revision and the files of a commit, as named by Head. The
// files are read from disk as they are asked for; they stay readable while the
// commit is protected or among the last Options.Keep.
//
// If the ref has moved on and the commit is not on disk, the ref's present
// commit is fetched instead: what the Revision says is what the files are of.
//
// The commit's signatures are checked before anything else of it is read, with
// the keys as they are now: also of a commit that is on disk.
//
// An error is Unavailable if the remote or the commit is out of reach, and
// Invalid if the commit exceeds a limit, or is not signed as it has to be.
func (r *Repository) Fetch(ctx context.Context, commit string) (kargo.Revision, kargo.Files, error) {
	if !plumbing.IsHash(commit) {
		return kargo.Revision{}, kargo.Files{}, fmt.Errorf("fetch: %.50q is not the full hash of a commit", commit)
	}
	r.fetching.Lock()
	defer r.fetching.Unlock()
	revision, tree, err := r.fetch(ctx, plumbing.NewHash(commit))
	if err != nil {
		return kargo.Revision{}, kargo.Files{}, r.remote.Explain("fetch from", err, r.opts.Timeout)
	}
	return revision, kargo.Files{FS: tree, Unchanged: tree.answersAs}, nil
}

func (r *Repository) fetch(ctx context.Context, commit plumbing.Hash) (kargo.Revision, *tree, error) {
	var seen target
	if last := r.seen.Load(); last != nil {
		seen = *last
	}
	for attempt := 1; ; attempt++ {
		objects, found, err := r.origin.get(ctx, commit, seen)
		if err != nil {
			return kargo.Revision{}, nil, err
		}
		revision, tree, err := r.readCommit(ctx, objects, found)
		// Errors that have a reason are not of the disk: what is there stays.
		if err == nil || attempt > 1 || errors.As(err, new(*kargo.Error)) || ctx.Err() != nil {
			return revision, tree, err
		}
		again, discardErr := r.origin.discard(commit)
		if !again || discardErr != nil {
			return kargo.Revision{}, nil, errors.Join(err, discardErr)
		}
	}
}
