package gitsync

import (
	"context"
	"errors"
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
	// historyName is the repository that holds all history, where it is kept.
	historyName = "history.git"
	// mostPacks is after how many fetches it is made anew: each leaves a pack,
	// and each pack makes every look a little slower.
	mostPacks = 200
)

// history is an upstream of which all history is kept: one repository that grows by
// what is new at each fetch.
type history struct {
	upstream
	path string
}

func (h history) get(ctx context.Context, commit plumbing.Hash, seen target) (storer.EncodedObjectStorer, target, error) {
	storage, err := openHistory(h.path)
	if err != nil {
		return nil, target{}, err
	}
	if !holds(storage, commit) || namedAnew(storage, commit, seen) {
		if commit, err = h.extend(ctx, storage); err != nil {
			return nil, target{}, err
		}
		// Opened anew, because another pack is there.
		if storage, err = openHistory(h.path); err != nil {
			return nil, target{}, err
		}
	}
	if seen.commit == commit { // it may be back where it was before
		if err := nameTarget(storage, seen); err != nil {
			return nil, target{}, err
		}
	}
	found, err := storedTarget(storage, commit)
	return storage, found, err
}

func (h history) stored(commit plumbing.Hash) (storer.EncodedObjectStorer, target, error) {
	return storedIn(openStorage(h.path), commit)
}

func (h history) comesAfter(_ context.Context, commit *object.Commit, ancestor plumbing.Hash) answer {
	return lookThrough(commit, ancestor)
}

// discard removes nothing: what is damaged is in all of the history.
func (h history) discard(plumbing.Hash) (bool, error) { return false, nil }

// protect has nothing to do: everything stays.
func (h history) protect([]string) {}

// openHistory opens the repository, and makes an empty one where there is none.
func openHistory(path string) (*filesystem.Storage, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	storage := openStorage(path)
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
			return nameTarget(storage, found) // back to where it was before
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

// addPack puts a pack with what is new into a repository. The ref moves when
// all of it is on the disk.
func (h history) addPack(ctx context.Context, path string, storage *filesystem.Storage, session session, offered *capability.List, found target) error {
	haves, err := tips(storage)
	if err != nil {
		return err
	}
	incoming := filepath.Join(path, "incoming.pack")
	if err := os.RemoveAll(incoming); err != nil { // of a fetch that was killed
		return err
	}
	if _, err := requestPack(ctx, incoming, session, request{offered, found.want, haves, 0}); err != nil {
		return err
	}
	if err := checkPack(incoming, h.limits, true); err != nil {
		return errors.Join(err, os.Remove(incoming))
	}
	if err := errors.Join(storePack(storage, incoming), os.Remove(incoming)); err != nil {
		return err
	}
	return errors.Join(syncAll(filepath.Join(path, "objects")), nameTarget(storage, found))
}

// renew fetches all of it into a new repository, which takes the place
// of the old one. What a push by force took out of the branch is lost: a restart
// that comes before the new head is accepted finds nothing to restore.
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

// tips are the commits and tags that refs of the repository are at: the remote
// leaves out what comes before them.
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
