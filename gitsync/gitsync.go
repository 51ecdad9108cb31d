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
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	defaultTimeout = 2 * time.Minute
	listTimeout    = 20 * time.Second
	defaultKeep    = 5
)

// Repository is one remote, followed at one ref. It is safe for concurrent
// use; a Fetch waits for the one before it.
type Repository struct {
	opts    Options
	address wire.Address
	remote  *wire.Remote // of a local repository: for its errors only
	tracked tracked
	store   store

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
	r := &Repository{opts: opts, address: address, remote: remote, tracked: tracked, store: store{dir: opts.Dir, keep: opts.Keep}}
	if address.IsLocal() {
		return r, nil
	}
	if opts.Dir == "" {
		return nil, invalid("no directory to keep commits in", "set Options.Dir")
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for commits: %w", err)
	}
	return r, r.store.removeUnfinished()
}

// Address is the remote as it may be shown: no user, no password, no query.
func (r *Repository) Address() string { return r.address.String() }

// Protect names the commits that must stay on disk however old they are: the
// applied one, the last good one. It replaces what an earlier call named.
func (r *Repository) Protect(commits ...string) { r.store.protect(commits) }

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
	if r.address.IsLocal() {
		commit, err := r.localHead()
		return commit, r.remote.Explain("read", err, limit)
	}
	var found target
	err := r.remote.Fetch(ctx, func(session *wire.Session) (err error) {
		found, _, err = r.findTarget(ctx, session)
		return err
	})
	if err == nil {
		r.seen.Store(&found)
	}
	return found.commit.String(), r.remote.Explain("list the refs of", err, limit)
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
	revision, tree, err := r.fetch(ctx, commit)
	if err != nil {
		return kargo.Revision{}, kargo.Files{}, r.remote.Explain("fetch from", err, r.opts.Timeout)
	}
	return revision, kargo.Files{FS: tree, Unchanged: tree.answersAs}, nil
}

func (r *Repository) fetch(ctx context.Context, commit string) (kargo.Revision, *tree, error) {
	if r.address.IsLocal() {
		return r.readLocal(ctx, commit)
	}
	if r.opts.History {
		return r.fetchHistory(ctx, commit)
	}
	if r.isStored(commit) {
		revision, tree, err := r.readStored(ctx, commit)
		if err == nil || kargo.FaultOf(err) == kargo.Invalid {
			return revision, tree, err
		}
		// Damaged, by a full disk or a power cut: what can be fetched again
		// is not worth a repair.
		if err := r.store.remove(commit); err != nil {
			return kargo.Revision{}, nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	fetched, err := r.download(ctx)
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	if err := r.store.prune(fetched); err != nil {
		return kargo.Revision{}, nil, err
	}
	return r.readStored(ctx, fetched)
}

// isStored tells whether a commit is on disk with all that is wanted of it.
func (r *Repository) isStored(commit string) bool {
	return r.store.has(commit) && !r.namedAnew(openStorage(r.store.path(commit)), commit)
}

// namedAnew tells that a commit on disk was named by another tag by now: one
// that is signed, perhaps.
func (r *Repository) namedAnew(storage *filesystem.Storage, commit string) bool {
	seen := r.seen.Load()
	if seen == nil || seen.commit.String() != commit || seen.want == seen.commit {
		return false
	}
	return !holds(storage, seen.want)
}
