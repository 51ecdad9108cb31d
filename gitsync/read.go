package gitsync

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"kargo"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// readStored reads a commit that is on disk.
func (r *Repository) readStored(commit string) (kargo.Revision, fs.FS, error) {
	storage := openStorage(r.store.path(commit))
	ref := r.opts.Ref
	if ref == "" {
		head, err := storage.Reference(plumbing.HEAD)
		if err != nil {
			return kargo.Revision{}, nil, err
		}
		ref = shortName(head)
	}
	if err := r.store.touch(commit); err != nil {
		return kargo.Revision{}, nil, err
	}
	return readCommit(storage, commit, ref, r.opts.Limits)
}

// readLocal reads a commit of a local repository where it is.
func (r *Repository) readLocal(commit string) (kargo.Revision, fs.FS, error) {
	repository, err := r.openLocal()
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	ref := r.opts.Ref
	if ref == "" {
		head, err := repository.Reference(plumbing.HEAD, false)
		if err != nil {
			return kargo.Revision{}, nil, err
		}
		ref = shortName(head)
	}
	return readCommit(repository.Storer, commit, ref, r.opts.Limits)
}

// localHead is the commit that the ref of a local repository is at. What is
// not committed does not count.
func (r *Repository) localHead() (string, error) {
	repository, err := r.openLocal()
	if err != nil {
		return "", err
	}
	names := []plumbing.ReferenceName{plumbing.HEAD}
	if r.opts.Ref != "" {
		names = fullNames(r.opts.Ref)
	}
	for _, name := range names {
		ref, err := repository.Reference(name, true)
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		commit, err := peel(repository.Storer, ref.Hash())
		return commit.String(), err
	}
	return "", missingRef(cmp.Or(r.opts.Ref, plumbing.HEAD.String()))
}

func (r *Repository) openLocal() (*git.Repository, error) {
	repository, err := git.PlainOpenWithOptions(r.place.path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, &kargo.Error{Fault: kargo.Unavailable, Hint: "give the directory that holds .git, or a bare repository", Err: err}
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

func shortName(head *plumbing.Reference) string {
	if head.Type() == plumbing.SymbolicReference {
		return head.Target().Short()
	}
	return plumbing.HEAD.String()
}

func readCommit(objects storer.EncodedObjectStorer, hash, ref string, limits Limits) (kargo.Revision, fs.FS, error) {
	commit, err := object.GetCommit(objects, plumbing.NewHash(hash))
	if err != nil {
		return kargo.Revision{}, nil, fmt.Errorf("read commit %s: %w", hash, err)
	}
	tree, err := newTree(objects, commit, limits)
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
	return kargo.Revision{
		Commit:  hash,
		Ref:     ref,
		Author:  printable(commit.Author.Name),
		Subject: printable(subject),
		Time:    commit.Committer.When,
	}, tree, nil
}

// printable is text from a commit or a server as it may go to a terminal: in
// one line, without control characters, and not endless.
func printable(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
