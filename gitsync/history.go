package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// historyName is the name of the repository that holds all history.
	historyName = "history.git"
	// mostPacks is the number of packs after which the repository is fetched again
	// as a whole: each fetch adds a pack, and each pack makes reading a little
	// slower.
	mostPacks = 200
)

// history is an upstream whose whole history is kept, in one repository to which
// each fetch adds what is new.
type history struct {
	upstream
	path string
}

func (h history) get(ctx context.Context, commit plumbing.Hash, seen target) (storer.EncodedObjectStorer, target, error) {
	storage, err := openHistory(h.path)
	if err != nil {
		return nil, target{}, fmt.Errorf("open the repository, which %w: %w", errLost, err)
	}
	if !holds(storage, commit) || namedAnew(storage, commit, seen) {
		if commit, err = h.extend(ctx, storage); err != nil {
			return nil, target{}, err
		}
		// Open it again to see the new pack.
		if storage, err = openHistory(h.path); err != nil {
			return nil, target{}, err
		}
	}
	if seen.commit == commit { // the ref may be back at an older commit
		if err := nameTarget(storage, seen); err != nil {
			return nil, target{}, err
		}
	}
	found, err := storedTarget(storage, commit)
	return storage, found, err
}

func (h history) stored(commit plumbing.Hash) (storer.EncodedObjectStorer, target, error) {
	return storedIn(openToRead(h.path), commit)
}

func (h history) comesAfter(_ context.Context, commit *object.Commit, ancestor plumbing.Hash) answer {
	return lookThrough(commit, ancestor)
}

// discard removes the whole history, because the damage may be anywhere in it.
func (h history) discard(plumbing.Hash) (bool, error) { return true, os.RemoveAll(h.path) }

// protect does nothing: no commit is ever removed.
func (h history) protect([]string) {}

// openHistory opens the repository, or creates an empty one.
func openHistory(path string) (*filesystem.Storage, error) {
	for _, dir := range []string{filepath.Dir(path), path} {
		if err := makeDirectory(dir); err != nil {
			return nil, err
		}
	}
	storage := openToRead(path)
	if _, err := git.Init(storage, nil); err != nil && !errors.Is(err, git.ErrRepositoryAlreadyExists) {
		return nil, err
	}
	return storage, nil
}

// extend fetches what is new, and returns the commit that the ref is at.
func (h history) extend(ctx context.Context, storage *filesystem.Storage) (plumbing.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	var found target
	err := h.remote.Fetch(ctx, func(session *wire.Session) (err error) {
		var offered *capability.List
		if found, offered, err = h.tracked.find(ctx, session); err != nil {
			return err
		}
		if holds(storage, found.want) {
			return nameTarget(storage, found) // the ref is back at an older commit
		}
		packs, err := storage.ObjectPacks()
		if err != nil {
			return err
		}
		if len(packs) < mostPacks {
			return h.addPack(ctx, h.path, storage, session, offered, found)
		}
		return h.renew(ctx, session, offered, found)
	})
	return found.commit, err
}

// addPack adds a pack with what is new to a repository. The ref moves when all of
// it is on the disk.
func (h history) addPack(ctx context.Context, path string, storage *filesystem.Storage, session session, offered *capability.List, found target) error {
	haves, err := tips(storage)
	if err != nil {
		return err
	}
	incoming := filepath.Join(path, "incoming.pack")
	if err := os.RemoveAll(incoming); err != nil { // left by an interrupted fetch
		return err
	}
	if _, err := requestPack(ctx, incoming, session, request{offered: offered, want: found.want, haves: haves}); err != nil {
		return err
	}
	if _, err := checkPack(incoming, h.limits, true); err != nil {
		return errors.Join(err, os.Remove(incoming))
	}
	if err := errors.Join(storePack(storage, incoming), os.Remove(incoming)); err != nil {
		return err
	}
	return errors.Join(syncAll(filepath.Join(path, "objects")), nameTarget(storage, found))
}

// renew fetches everything into a new repository, which replaces the old one.
// Commits that a forced push removed from the branch are lost: a restart before the
// new head is accepted does not find the commit in force.
func (h history) renew(ctx context.Context, session session, offered *capability.List, found target) error {
	temporary := h.path + unfinished
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	storage, err := openHistory(temporary)
	if err != nil {
		return err
	}
	if err := h.addPack(ctx, temporary, storage, session, offered, found); err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return errors.Join(os.RemoveAll(h.path), os.Rename(temporary, h.path), syncFile(filepath.Dir(h.path)))
}

// tips returns the commits and tags that the refs of the repository point to: the
// remote does not send what comes before them.
func tips(storage *filesystem.Storage) ([]plumbing.Hash, error) {
	refs, err := storage.IterReferences()
	if err != nil {
		return nil, err
	}
	var hashes []plumbing.Hash
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() == plumbing.HashReference && !slices.Contains(hashes, ref.Hash()) {
			hashes = append(hashes, ref.Hash())
		}
		return nil
	})
	return hashes, err
}
