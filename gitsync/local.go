package gitsync

import (
	"context"
	"errors"
	"strings"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// local is a repository on this machine, which is read in place. Changes that are
// not committed do not count.
type local struct {
	path    string
	tracked tracked
}

func (l local) open() (*git.Repository, error) {
	repository, err := git.PlainOpenWithOptions(l.path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, &kargo.Error{Fault: kargo.Unavailable, Hint: "give the directory that holds .git, or a bare repository", Err: err}
	}
	if errors.Is(err, git.ErrUnknownExtension) && strings.HasSuffix(err.Error(), "objectformat") {
		return nil, wire.ObjectFormatError("sha256") // git has no other one
	}
	return repository, err
}

func (l local) head(context.Context) (target, error) {
	repository, err := l.open()
	if err != nil {
		return target{}, err
	}
	return l.target(repository)
}

func (l local) target(repository *git.Repository) (target, error) {
	choice := &choice{tracked: l.tracked}
	capabilities, err := localRefs(repository, choice.see)
	if err != nil {
		return target{}, err
	}
	return choice.choose(capabilities)
}

func (l local) get(_ context.Context, commit plumbing.Hash, _ target) (storer.EncodedObjectStorer, target, error) {
	repository, err := l.open()
	if err != nil {
		return nil, target{}, err
	}
	found, err := l.target(repository)
	if err != nil {
		found = target{name: plumbing.HEAD} // the ref was deleted, the commit may still exist
	}
	if found.commit != commit {
		// The ref has moved on: no tag of this commit is known.
		found.commit, found.want = commit, commit
	}
	return keepOpen(repository), found, nil
}

// keepOpen returns the objects of a repository, to read many of them; see openToRead.
func keepOpen(repository *git.Repository) storer.EncodedObjectStorer {
	storage, isOnDisk := repository.Storer.(*filesystem.Storage)
	if !isOnDisk {
		return repository.Storer
	}
	return filesystem.NewStorageWithOptions(storage.Filesystem(), newCache(), filesystem.Options{MaxOpenDescriptors: mostOpenPacks})
}

// stored refuses a branch that is checked out, as git does: the files of whoever
// works there would seem to revert the commit.
func (l local) stored(commit plumbing.Hash) (storer.EncodedObjectStorer, target, error) {
	repository, err := l.open()
	if err != nil {
		return nil, target{}, err
	}
	found, err := l.target(repository)
	if err == nil && checkedOut(repository, found.name) {
		err = invalid("the branch is checked out in the repository's own directory", "follow a bare repository")
	}
	return repository.Storer, found, err
}

func (l local) publish(_ context.Context, branch plumbing.ReferenceName, made made) error {
	repository, err := l.open()
	if err != nil {
		return err
	}
	for _, object := range made.objects {
		if _, err := repository.Storer.SetEncodedObject(object); err != nil {
			return err
		}
	}
	before := plumbing.NewHashReference(branch, made.base)
	err = repository.Storer.CheckAndSetReference(plumbing.NewHashReference(branch, made.commit), before)
	if err != nil && strings.Contains(err.Error(), "reference has changed") {
		return errMoved
	}
	return err
}

func (l local) comesAfter(_ context.Context, commit *object.Commit, ancestor plumbing.Hash) answer {
	return lookThrough(commit, ancestor)
}

func (l local) discard(plumbing.Hash) (bool, error) { return false, nil }
func (l local) protect([]string)                    {}

func checkedOut(repository *git.Repository, branch plumbing.ReferenceName) bool {
	if _, err := repository.Worktree(); err != nil {
		return false // bare
	}
	head, err := repository.Reference(plumbing.HEAD, false)
	return err == nil && head.Target() == branch
}

// localRefs calls visit with each ref of a local repository, as a remote lists its
// own, and returns what it supports.
func localRefs(r *git.Repository, visit func(wire.Ref)) (*capability.List, error) {
	capabilities := capability.NewList()
	head, err := r.Reference(plumbing.HEAD, false)
	if err != nil {
		return nil, err
	}
	if head.Type() == plumbing.SymbolicReference {
		if err := capabilities.Add(capability.SymRef, "HEAD:"+head.Target().String()); err != nil {
			return nil, err
		}
	}
	if at, err := r.Reference(plumbing.HEAD, true); err == nil {
		visit(wire.Ref{Name: plumbing.HEAD.String(), Hash: at.Hash()})
	}
	all, err := r.References()
	if err != nil {
		return nil, err
	}
	err = all.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() != plumbing.HashReference || ref.Name() == plumbing.HEAD {
			return nil
		}
		commit, err := peel(r.Storer, ref.Hash())
		if err != nil {
			return nil // a broken ref, which may not be the tracked one
		}
		shown := wire.Ref{Name: ref.Name().String(), Hash: ref.Hash()}
		if commit != ref.Hash() {
			shown.Peeled = commit
		}
		visit(shown)
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Every object can be read here.
	return capabilities, capabilities.Set(capability.AllowReachableSHA1InWant)
}

// localSession is a session with a local repository, in this process. go-git
// fetches only from a session.
type localSession struct {
	transport.UploadPackSession
	repository *git.Repository
}

// talk opens a session, calls talk with it, and closes it.
func (l local) talk(talk func(session, storer.EncodedObjectStorer) error) error {
	repository, err := l.open()
	if err != nil {
		return err
	}
	service, err := server.NewServer(only{repository.Storer}).NewUploadPackSession(&transport.Endpoint{}, nil)
	if err != nil {
		return err
	}
	return errors.Join(talk(localSession{service, repository}, repository.Storer), service.Close())
}

// Refs implements session.
func (s localSession) Refs(_ context.Context, visit func(wire.Ref)) (*capability.List, error) {
	return localRefs(s.repository, visit)
}

// only is a loader for go-git's server that knows one repository.
type only struct{ storer.Storer }

func (o only) Load(*transport.Endpoint) (storer.Storer, error) { return o.Storer, nil }
