package gitsync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// historyName is the repository that holds all history, where it is kept.
	historyName = "history.git"
	// mostPacks is after how many fetches it is made anew: each leaves a pack,
	// and each pack makes every look a little slower.
	mostPacks = 200
)

// fetchHistory is fetch where history is kept: one repository that grows by what
// is new at each fetch.
func (r *Repository) fetchHistory(ctx context.Context, commit string) (kargo.Revision, *tree, error) {
	path := filepath.Join(r.opts.Dir, historyName)
	storage, err := openHistory(path)
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	hash := plumbing.NewHash(commit)
	if !holds(storage, hash) || r.namedAnew(storage, commit) {
		if hash, err = r.extendHistory(ctx, path, storage); err != nil {
			return kargo.Revision{}, nil, err
		}
		// Opened anew, because another pack is there.
		if storage, err = openHistory(path); err != nil {
			return kargo.Revision{}, nil, err
		}
	}
	if seen := r.seen.Load(); seen != nil && seen.commit == hash { // it may be back where it was before
		if err := nameTarget(storage, *seen); err != nil {
			return kargo.Revision{}, nil, err
		}
	}
	found, err := storedTarget(storage, hash)
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	return r.readCommit(ctx, storage, found)
}

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

// extendHistory fetches what is new, and answers the commit that the ref is at.
func (r *Repository) extendHistory(ctx context.Context, path string, storage *filesystem.Storage) (plumbing.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	var found target
	err := r.remote.Fetch(ctx, func(session *wire.Session) (err error) {
		var offered *capability.List
		if found, offered, err = r.findTarget(ctx, session); err != nil {
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
			return r.addPack(ctx, path, storage, session, offered, found)
		}
		return r.renewHistory(ctx, path, session, offered, found)
	})
	return found.commit, err
}

// addPack puts a pack with what is new into a repository. The ref moves when
// all of it is on the disk.
func (r *Repository) addPack(ctx context.Context, path string, storage *filesystem.Storage, session session, offered *capability.List, found target) error {
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
	if err := checkPack(incoming, r.opts.Limits, true); err != nil {
		return errors.Join(err, os.Remove(incoming))
	}
	if err := errors.Join(storePack(storage, incoming), os.Remove(incoming)); err != nil {
		return err
	}
	return errors.Join(syncAll(filepath.Join(path, "objects")), nameTarget(storage, found))
}

// renewHistory fetches all of it into a new repository, which takes the place
// of the old one. What a push by force took out of the branch is lost: a restart
// that comes before the new head is accepted finds nothing to restore.
func (r *Repository) renewHistory(ctx context.Context, path string, session session, offered *capability.List, found target) error {
	temporary := path + unfinished
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	storage, err := openHistory(temporary)
	if err != nil {
		return err
	}
	if err := r.addPack(ctx, temporary, storage, session, offered, found); err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return errors.Join(os.RemoveAll(path), os.Rename(temporary, path), syncFile(r.opts.Dir))
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
