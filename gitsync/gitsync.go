// Package gitsync turns a git remote into a [kargo.Revision] and an fs.FS of its
// files.
//
// [Repository.Head] is one poll: it lists the remote's refs and downloads nothing.
// If the commit is new, [Repository.Fetch] downloads it: bare, without history and
// tags, into a directory of its own. Only objects are downloaded that the commit
// used last does not have; the others are links to its packs. The directory gets its
// name by a rename when it is complete. There is no work tree. So nothing of the
// repository is ever written as a file, a link or a hook. Each directory is complete
// by itself, so a forced push breaks none. If what is new cannot be had alone, or
// what is on disk is damaged, the commit is downloaded as a whole. A commit on disk
// is read from there, also while the remote cannot be reached.
//
// [Repository.Commit] pushes a change of files, [Pull] updates a person's clone.
//
// Errors are [kargo.Error] values: Unavailable where the next attempt may succeed,
// Invalid where the commit or the options must change. They never hold a
// credential.
//
// The package wire knows how a remote is reached, the package signature who signed
// a commit.
package gitsync

import (
	"context"
	"errors"
	"fmt"
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

// origin is where the commits of a repository come from and where they are kept. It
// is one of [local], [snapshots] and [history].
type origin interface {
	// head returns what the tracked ref stands for now.
	head(context.Context) (target, error)
	// get returns the objects of a commit and what the commit is called. It fetches
	// the commit if it is not on disk, or if seen names it by a tag that is not on
	// disk. If the ref has moved on, the commit that the ref is at now is fetched
	// instead.
	get(ctx context.Context, commit plumbing.Hash, seen target) (storer.EncodedObjectStorer, target, error)
	// stored returns the same for a commit that must be on disk, because a change
	// is to be based on it.
	stored(commit plumbing.Hash) (storer.EncodedObjectStorer, target, error)
	// publish moves a branch to a new commit, if the branch is still at made.base.
	// Otherwise it returns errMoved.
	publish(ctx context.Context, branch plumbing.ReferenceName, made made) error
	// comesAfter reports whether ancestor is among the ancestors of a commit.
	comesAfter(ctx context.Context, commit *object.Commit, ancestor plumbing.Hash) answer
	// discard removes a damaged commit, and reports whether it can be fetched again.
	discard(commit plumbing.Hash) (bool, error)
	// protect names the commits that must stay on disk.
	protect(commits []string)
}

// Repository is one remote, followed at one ref. It is safe for concurrent use; a
// Fetch waits for the one before it.
type Repository struct {
	opts    Options
	address wire.Address
	remote  *wire.Remote // for a local repository: only for error messages
	tracked tracked
	origin  origin

	seen     atomic.Pointer[target] // what the last Head returned
	fetching sync.Mutex
	last     target    // what the last successful Fetch returned
	contents *contents // of its files
}

// Open checks the options and removes what an interrupted fetch left in
// Options.Dir. It does not touch the network. Wrong options are an Invalid error,
// which never repeats the URL. A disk that takes nothing is no error of Open: commits
// that are on it can still be read, and Fetch says what it cannot write.
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
	from := upstream{remote, tracked, opts.Limits, opts.Timeout}
	kept := &store{dir: opts.Dir, keep: opts.Keep}
	r.origin = snapshots{from, kept}
	if opts.History {
		r.origin = history{from, filepath.Join(opts.Dir, historyName)}
	}
	kept.removeUnfinished()
	return r, nil
}

// Address returns the remote as it may be shown: without user, password and query.
func (r *Repository) Address() string { return r.address.String() }

// Protect names the commits that must stay on disk, however old they are: the
// applied one and the last good one. It replaces the names of an earlier call.
func (r *Repository) Protect(commits ...string) { r.origin.protect(commits) }

// Head returns the commit that the tracked ref is at. For an annotated tag this is
// the tagged commit. A fixed commit is returned without a request. Every error is
// Unavailable, also that of a missing ref: what was fetched last stays in force.
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

// Fetch returns the revision and the files of a commit that Head returned. The
// files are read from disk when they are read; they stay readable while the commit
// is protected or among the last Options.Keep.
//
// If the ref has moved on and the commit is not on disk, the commit that the ref is
// at now is fetched instead. The Revision always names the commit that the files
// belong to.
//
// The signatures are checked before anything else of the commit is read, with the
// keys as they are now, also for a commit that is on disk.
//
// An error is Unavailable if the remote or the commit cannot be reached, and
// Invalid if the commit exceeds a limit or is not signed as required.
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
		var revision kargo.Revision
		var tree *tree
		mayBeDamage := errors.Is(err, errLost)
		if err == nil {
			if !r.address.IsLocal() {
				objects = discardOnDamage(objects, func() { _, _ = r.origin.discard(found.commit) })
			}
			revision, tree, err = r.readCommit(ctx, objects, found)
			// Only an error without a known reason may be damage on disk.
			mayBeDamage = !errors.As(err, new(*kargo.Error))
		}
		if err == nil || attempt > 1 || !mayBeDamage || ctx.Err() != nil {
			return revision, tree, err
		}
		again, discardErr := r.origin.discard(commit)
		if !again || discardErr != nil {
			return kargo.Revision{}, nil, errors.Join(err, discardErr)
		}
	}
}
