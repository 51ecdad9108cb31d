package gitsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// readStored reads a commit that is on disk.
func (r *Repository) readStored(ctx context.Context, commit string) (kargo.Revision, *tree, error) {
	storage := openStorage(r.store.path(commit))
	found, err := storedTarget(storage, plumbing.NewHash(commit))
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	if err := r.store.touch(commit); err != nil {
		return kargo.Revision{}, nil, err
	}
	return r.readCommit(ctx, storage, found)
}

// storedTarget is what a stored commit was called when it was fetched; see
// nameTarget. A commit that no ref is at any more has no other name than HEAD.
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

// readLocal reads a commit of a local repository where it is.
func (r *Repository) readLocal(ctx context.Context, commit string) (kargo.Revision, *tree, error) {
	repository, err := r.openLocal()
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	asked := plumbing.NewHash(commit)
	found, err := r.localTarget(repository)
	if err != nil {
		found = target{name: plumbing.HEAD} // the ref is gone, the commit may be there
	}
	if found.commit != asked {
		// The ref has moved on: no tag is known to be this commit's any more.
		found.commit, found.want = asked, asked
	}
	return r.readCommit(ctx, repository.Storer, found)
}

// localHead is the commit that the ref of a local repository is at. What is
// not committed does not count.
func (r *Repository) localHead() (string, error) {
	repository, err := r.openLocal()
	if err != nil {
		return "", err
	}
	found, err := r.localTarget(repository)
	return found.commit.String(), err
}

func (r *Repository) localTarget(repository *git.Repository) (target, error) {
	choice := r.tracked.choice(r.opts.Ref)
	capabilities, err := localRefs(repository, choice.see)
	if err != nil {
		return target{}, err
	}
	return choice.choose(capabilities)
}

func (r *Repository) openLocal() (*git.Repository, error) {
	repository, err := git.PlainOpenWithOptions(r.address.LocalPath(), &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, &kargo.Error{Fault: kargo.Unavailable, Hint: "give the directory that holds .git, or a bare repository", Err: err}
	}
	if errors.Is(err, git.ErrUnknownExtension) && strings.HasSuffix(err.Error(), "objectformat") {
		return nil, wire.ObjectFormatError("sha256") // there is no other one
	}
	return repository, err
}

// peel follows an annotated tag to its commit.
func peel(objects storer.EncodedObjectStorer, hash plumbing.Hash) (plumbing.Hash, error) {
	tag, err := object.GetTag(objects, hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return hash, nil // no tag object: it is the commit
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return peel(objects, tag.Target)
}

// readCommit checks who signed a commit, and only then looks at its files.
func (r *Repository) readCommit(ctx context.Context, objects storer.EncodedObjectStorer, found target) (kargo.Revision, *tree, error) {
	data, err := readObject(objects, plumbing.CommitObject, found.commit)
	if err != nil {
		return kargo.Revision{}, nil, fmt.Errorf("read commit %s: %w", found.commit, err)
	}
	signer, data, err := r.verify(objects, found, data)
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	commit := &object.Commit{}
	if err := commit.Decode(encoded(plumbing.CommitObject, data)); err != nil {
		return kargo.Revision{}, nil, fmt.Errorf("read commit %s: %w", found.commit, err)
	}
	modules := &submodules{ctx: ctx, main: r, objects: objects, root: commit.TreeHash}
	files, err := newTree(objects, commit, r.opts.Path, r.opts.Limits, modules)
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	rewrote := r.rewrote(ctx, objects, found)
	r.last = found
	subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
	return kargo.Revision{
		Commit:  found.commit.String(),
		Ref:     r.tracked.shownAs(r.opts.Ref, found),
		Author:  kargo.PrintableLine(commit.Author.Name),
		Subject: kargo.PrintableLine(subject),
		Time:    commit.Committer.When,
		Signer:  signer,
		Rewrote: rewrote,
	}, files, nil
}

// readObject reads an object and holds it against its hash: what comes out is
// what was committed, or an error. Commits, tags and lists of files are bounded
// by the pack's limits; contents are read by tree.readBlob.
func readObject(objects storer.EncodedObjectStorer, kind plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	stored, err := objects.EncodedObject(kind, hash)
	if err != nil {
		return nil, err
	}
	reader, err := stored.Reader()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return nil, err
	}
	if plumbing.ComputeHash(kind, data) != hash {
		return nil, fmt.Errorf("%s %s is damaged on disk", kind, hash)
	}
	return data, nil
}

// encoded is bytes as an object that go-git can take apart.
func encoded(kind plumbing.ObjectType, data []byte) plumbing.EncodedObject {
	memory := &plumbing.MemoryObject{}
	memory.SetType(kind)
	_, _ = memory.Write(data) // into memory: it cannot fail
	return memory
}
