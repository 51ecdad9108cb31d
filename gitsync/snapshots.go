package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// snapshots is an upstream of which each fetched commit is kept in a directory of
// its own, without history. What the one before it has is not fetched again.
type snapshots struct {
	upstream
	store *store
}

func (s snapshots) get(ctx context.Context, commit plumbing.Hash, seen target) (storer.EncodedObjectStorer, target, error) {
	if s.has(commit, seen) {
		if objects, found, err := s.open(commit); err == nil {
			return objects, found, nil
		}
		if _, err := s.discard(commit); err != nil {
			return nil, target{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	fetched, err := s.download(ctx)
	if err != nil {
		return nil, target{}, err
	}
	if err := s.store.prune(fetched.String()); err != nil {
		return nil, target{}, err
	}
	return s.open(fetched)
}

// open opens a commit on disk and marks it as the one used last.
func (s snapshots) open(commit plumbing.Hash) (storer.EncodedObjectStorer, target, error) {
	s.store.touch(commit.String())
	return s.stored(commit)
}

// has reports whether a commit is on disk, with the tag that it was seen with.
func (s snapshots) has(commit plumbing.Hash, seen target) bool {
	path := commit.String()
	return s.store.has(path) && !namedAnew(openStorage(s.store.path(path)), commit, seen)
}

// namedAnew reports whether a commit on disk was seen with an annotated tag whose
// object is not on disk. The tag is newer than the download, and may be signed.
func namedAnew(storage *filesystem.Storage, commit plumbing.Hash, seen target) bool {
	return seen.commit == commit && seen.want != seen.commit && !holds(storage, seen.want)
}

func (s snapshots) stored(commit plumbing.Hash) (storer.EncodedObjectStorer, target, error) {
	return storedIn(openToRead(s.store.path(commit.String())), commit)
}

// errLost is the error of a commit that should be on disk.
var errLost = errors.New("is not on disk any more")

// storedIn returns the objects of a commit and what it is called, from a repository
// that must have the commit.
func storedIn(storage *filesystem.Storage, commit plumbing.Hash) (storer.EncodedObjectStorer, target, error) {
	if !holds(storage, commit) {
		return nil, target{}, fmt.Errorf("commit %s %w", commit, errLost)
	}
	found, err := storedTarget(storage, commit)
	return storage, found, err
}

// discard removes a commit that was damaged by a full disk or a power cut. It is
// fetched again, as a whole, and not repaired: other commits share its packs.
func (s snapshots) discard(commit plumbing.Hash) (bool, error) {
	return true, errors.Join(s.store.distrust(), s.store.remove(commit.String()))
}

func (s snapshots) protect(commits []string) { s.store.protect(commits) }

// download fetches the commit that the ref is at now, unless it is on disk, and
// returns its hash. It is fetched as a whole if what is new cannot be had alone. If that
// took all the time, the next attempt does so.
func (s snapshots) download(ctx context.Context) (plumbing.Hash, error) {
	if base := s.base(); base != nil {
		commit, err := s.downloadOn(ctx, base)
		switch {
		case !errors.Is(err, errIncrement):
			return commit, err
		case ctx.Err() != nil:
			return commit, errors.Join(err, s.store.distrust())
		}
	}
	return s.downloadOn(ctx, nil)
}

// downloadOn is download on top of a commit, or of nothing. An error is errIncrement if
// the commit may be had as a whole.
func (s snapshots) downloadOn(ctx context.Context, base *base) (plumbing.Hash, error) {
	var found target
	err := s.remote.Fetch(ctx, func(session *wire.Session) error {
		var offered *capability.List
		var err error
		if found, offered, err = s.tracked.find(ctx, session); err != nil {
			return err
		}
		if s.has(found.commit, found) {
			return nil
		}
		wanted := request{offered: offered, want: found.want, depth: 1, base: base}
		if !offered.Supports(capability.Shallow) || !offered.Supports(capability.ThinPack) {
			wanted.base = nil
		}
		err = s.store.add(found.commit.String(), func(dir string) error {
			return s.downloadInto(ctx, dir, session, wanted, found)
		})
		if err != nil || wanted.base != nil {
			return err
		}
		return s.store.trust()
	})
	return found.commit, err
}

// downloadInto makes dir a bare repository that holds the target without history.
func (s snapshots) downloadInto(ctx context.Context, dir string, session session, wanted request, found target) error {
	storage, err := s.receive(ctx, dir, session, wanted)
	if err == nil && wanted.base != nil {
		err = checkComplete(storage, found.commit, wanted.base, s.limits)
	}
	if err == nil {
		err = nameTarget(storage, found)
	}
	if err != nil && wanted.base != nil && kargo.FaultOf(err) != kargo.Invalid { // the whole would be too large, too
		return fmt.Errorf("%w: %w", errIncrement, err)
	}
	return err
}

// receive makes dir a bare repository with what a request brings.
func (s snapshots) receive(ctx context.Context, dir string, session session, wanted request) (*filesystem.Storage, error) {
	pack := filepath.Join(dir, "incoming.pack")
	shallows, err := requestPack(ctx, pack, session, wanted)
	if err != nil {
		return nil, err
	}
	all, err := checkPack(pack, s.limits, false)
	if err != nil {
		return nil, err
	}
	if base := wanted.base; base != nil {
		if all, err = base.with(all, s.limits); err != nil {
			return nil, err
		}
		shallows = append(shallows, base.shallows...) // the remote repeats none
		if err := errors.Join(completePack(pack, base.objects), linkPacks(base.packs, filepath.Join(dir, "objects", "pack"))); err != nil {
			return nil, err
		}
	}
	storage := openStorage(dir)
	if _, err := git.Init(storage, nil); err != nil {
		return nil, err
	}
	if err := storePack(storage, pack); err != nil {
		return nil, err
	}
	// Open it again to see all packs.
	return openStorage(dir), errors.Join(os.Remove(pack), storage.SetShallow(shallows), all.write(dir))
}

// nameTarget records what the commit was called, so that `git log` works in the
// repository. An annotated tag keeps its object, which may be signed.
func nameTarget(storage *filesystem.Storage, found target) error {
	if found.name != plumbing.HEAD {
		if err := storage.SetReference(plumbing.NewHashReference(found.name, found.want)); err != nil {
			return err
		}
	}
	if found.name.IsBranch() {
		return storage.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, found.name))
	}
	return storage.SetReference(plumbing.NewHashReference(plumbing.HEAD, found.commit))
}

// storedTarget returns what a stored commit was called when it was fetched; see
// nameTarget. A commit that no ref points to any more is called HEAD.
func storedTarget(storage *filesystem.Storage, commit plumbing.Hash) (target, error) {
	found := target{name: plumbing.HEAD, want: commit, commit: commit}
	refs, err := storage.IterReferences()
	if err != nil {
		return found, err
	}
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() != plumbing.HashReference || ref.Name() == plumbing.HEAD {
			return nil
		}
		if at, err := peel(storage, ref.Hash()); err == nil && at == commit {
			found.name, found.want = ref.Name(), ref.Hash()
		}
		return nil
	})
	return found, err
}
