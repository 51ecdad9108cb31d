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
// No git binary is run. go-git speaks the protocol over HTTP, and its message
// types over a golang.org/x/crypto/ssh session that is set up here, because
// only so does a deadline hold against a peer that says nothing.
package gitsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// go-git hides multi_ack by default, because it cannot negotiate with it.
// Azure DevOps and CodeCommit refuse a client without it. A fetch that has
// nothing yet negotiates nothing, and there is no other kind here, so it is
// safe to ask for. The variable is go-git's and of the whole process.
func init() {
	transport.UnsupportedCapabilities = []capability.Capability{capability.ThinPack}
}

const (
	defaultTimeout = 2 * time.Minute
	listTimeout    = 20 * time.Second
	defaultKeep    = 5
)

// Options say where a repository is and how to get at it. The functions are
// called at each use, so a credential may change while the program runs; nil
// means there is none.
type Options struct {
	// URL is http(s)://, ssh://, scp-like (git@host:path), or the path of a
	// local repository, bare or with a .git directory. It holds no password;
	// http(s) URLs hold no user either.
	URL string
	// Ref is a branch, a tag (a branch wins over a tag of the same name), a
	// full name (refs/…), the highest tag of a range of versions
	// ("semver:>=1.2 <2"), or the full hash of a commit. Empty means the
	// remote's HEAD.
	Ref string
	// Path is the directory of the repository that is the workspace, with
	// slashes and relative to the root; empty means the root. What lies
	// outside does not exist.
	Path string
	// Dir is where fetched commits are kept, a directory each. It belongs to
	// one Repository of one process. A local repository does not need it.
	Dir string

	// Username for HTTP; "git" where it is empty and there is a Password.
	Username string
	// Password for HTTP: a password or token. A line end is cut off.
	Password func() (string, error)

	// SSHKey is a private key in PEM, KnownHosts the content of a known_hosts
	// file. Both are mandatory for SSH.
	SSHKey, SSHPassphrase, KnownHosts func() ([]byte, error)

	// CA is a PEM bundle to trust in addition to the system's.
	CA func() ([]byte, error)

	// Signatures says what has to be signed, SSHSigners (an allowed signers
	// file of OpenSSH) and PGPKeys (armored public keys) by whom.
	Signatures          Signatures
	SSHSigners, PGPKeys func() ([]byte, error)

	// Timeout bounds a Fetch, 2 minutes by default. Head has 20 seconds, or
	// Timeout if that is shorter.
	Timeout time.Duration
	Limits  Limits
	// Keep is how many commits stay on disk, 5 by default.
	Keep int
}

// Limits bound what a repository may make Kargo hold. Zero means the default.
type Limits struct {
	Files int   // files and directories in the commit; 20,000
	Bytes int64 // of all files, and of the download; 512 MiB
	File  int64 // bytes of one file; 32 MiB
	Depth int   // directories above a file; 32
}

// DefaultLimits are the limits that hold where no others are given.
func DefaultLimits() Limits {
	return Limits{Files: 20_000, Bytes: 512 << 20, File: 32 << 20, Depth: 32}
}

func (l Limits) withDefaults() Limits {
	usual := DefaultLimits()
	return Limits{
		Files: cmp.Or(max(l.Files, 0), usual.Files),
		Bytes: cmp.Or(max(l.Bytes, 0), usual.Bytes),
		File:  cmp.Or(max(l.File, 0), usual.File),
		Depth: cmp.Or(max(l.Depth, 0), usual.Depth),
	}
}

// Repository is one remote, followed at one ref. It is safe for concurrent
// use; a Fetch waits for the one before it.
type Repository struct {
	opts    Options
	place   place
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
	place, err := parsePlace(opts.URL)
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
	if err := errors.Join(checkCredentials(place, opts), checkSignatures(opts)); err != nil {
		return nil, err
	}
	opts.Limits = opts.Limits.withDefaults()
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Keep <= 0 {
		opts.Keep = defaultKeep
	}
	r := &Repository{opts: opts, place: place, tracked: tracked, store: store{dir: opts.Dir, keep: opts.Keep}}
	if place.scheme == schemeLocal {
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
func (r *Repository) Address() string { return r.place.String() }

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
	if r.place.scheme == schemeLocal {
		commit, err := r.localHead()
		return commit, r.explain("read", err, limit)
	}
	var found target
	err := r.talk(ctx, func(session transport.UploadPackSession) (err error) {
		found, _, err = r.findTarget(ctx, session)
		return err
	})
	if err == nil {
		r.seen.Store(&found)
	}
	return found.commit.String(), r.explain("list the refs of", err, limit)
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
func (r *Repository) Fetch(ctx context.Context, commit string) (kargo.Revision, fs.FS, error) {
	if !plumbing.IsHash(commit) {
		return kargo.Revision{}, nil, fmt.Errorf("fetch: %.50q is not the full hash of a commit", commit)
	}
	r.fetching.Lock()
	defer r.fetching.Unlock()
	revision, tree, err := r.fetch(ctx, commit)
	if err != nil {
		return kargo.Revision{}, nil, r.explain("fetch from", err, r.opts.Timeout)
	}
	return revision, tree, nil
}

func (r *Repository) fetch(ctx context.Context, commit string) (kargo.Revision, fs.FS, error) {
	if r.place.scheme == schemeLocal {
		return r.readLocal(ctx, commit)
	}
	if r.store.has(commit) && !r.namedAnew(commit) {
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

// namedAnew tells that a commit on disk was named by another tag by now: one
// that is signed, perhaps.
func (r *Repository) namedAnew(commit string) bool {
	seen := r.seen.Load()
	if seen == nil || seen.commit.String() != commit || seen.want == seen.commit {
		return false
	}
	return openStorage(r.store.path(commit)).HasEncodedObject(seen.want) != nil
}

// checkPath accepts a directory below the root.
func checkPath(path string) (string, error) {
	path = strings.TrimSuffix(path, "/")
	if path == "" || path == "." {
		return "", nil
	}
	if !fs.ValidPath(path) || strings.Contains(path, `\`) || strings.ContainsFunc(path, unicode.IsControl) {
		return "", invalid("the path in the repository is not a plain relative one", "give a directory such as platform/swarm")
	}
	return path, nil
}
