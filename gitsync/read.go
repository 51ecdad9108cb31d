package gitsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

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

// readCommit checks who signed a commit, and only then reads its files.
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
	files, err := newTree(objects, commit, r.opts.Path, r.opts.Limits, modules, r.contents)
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	rewrote := r.rewrote(ctx, objects, found)
	r.last, r.contents = found, files.contents
	subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
	return kargo.Revision{
		Commit:  found.commit.String(),
		Ref:     r.tracked.shownAs(found),
		Author:  kargo.PrintableLine(commit.Author.Name),
		Subject: kargo.PrintableLine(subject),
		Time:    commit.Committer.When,
		Signer:  signer,
		Rewrote: rewrote,
	}, files, nil
}

// readObject reads an object and compares it with its hash: it returns what was
// committed, or an error. The size of commits, tags and directories is bounded by
// the limits of a pack; contents are read by tree.readBlob.
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

// encoded returns bytes as an object that go-git can decode.
func encoded(kind plumbing.ObjectType, data []byte) plumbing.EncodedObject {
	memory := &plumbing.MemoryObject{}
	memory.SetType(kind)
	_, _ = memory.Write(data) // into memory: it cannot fail
	return memory
}
