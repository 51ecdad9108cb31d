package compile

import (
	"context"
	"fmt"

	"kargo"
	"kargo/merge"
)

// Repository is where the files of one layer come from: a git repository, or a
// plain directory.
type Repository interface {
	// Head returns the commit that the tracked ref points to now.
	Head(ctx context.Context) (commit string, err error)
	// Fetch returns that commit's revision and files. It uses no network for a
	// commit that was fetched before.
	Fetch(ctx context.Context, commit string) (kargo.Revision, kargo.Files, error)
	// Protect names the commits that must stay available without the network
	// until it is called again.
	Protect(commits ...string)
}

// Historian is a repository that knows which commits lead from one to another.
type Historian interface {
	// Commits returns the commits that lead to one and not to another, the newest
	// first, and whether these are all.
	Commits(ctx context.Context, from, to string) (commits []kargo.Commit, complete bool, err error)
}

// Successor is a repository that can prove that one commit comes after another.
type Successor interface {
	// CheckAfter returns an error unless a commit may follow the one in force. The
	// error is Invalid if a person must decide.
	CheckAfter(ctx context.Context, inForce, commit string) error
}

// Committer is a repository that can be written to. A Conflict means that its
// branch has moved on.
type Committer interface {
	Commit(ctx context.Context, edit kargo.Edit) (commit, branch string, err error)
}

// Rememberer is a repository that tells another process what that need not read again,
// as the same bytes were read here: see gitsync.Repository.
type Rememberer interface {
	Remembered(contents bool) []byte
	Remember(remembered []byte, contents bool) error
}

// Layers is the source of a workspace: the repository of the user
// configuration, and those of the shared layers below it. A new commit of any
// of them is a new revision. A restart reads the same commits again.
type Layers struct {
	User   Repository
	Shared []SharedLayer // lowest first
}

// SharedLayer is where the files of one shared layer come from.
type SharedLayer struct {
	Name       string
	Repository Repository
}

// NewLayers puts shared layers, lowest first, below the user configuration. A
// name that no layer can have is Invalid.
func NewLayers(user Repository, shared ...SharedLayer) (Layers, error) {
	taken := map[string]bool{}
	for _, layer := range shared {
		if err := merge.CheckLayerName(layer.Name); err != nil {
			return Layers{}, &kargo.Error{Fault: kargo.Invalid, Err: err}
		}
		if taken[layer.Name] {
			return Layers{}, kargo.Errorf(kargo.Invalid, "two layers have the name %q", layer.Name)
		}
		taken[layer.Name] = true
	}
	return Layers{User: user, Shared: shared}, nil
}

// Head asks all repositories for their newest commits. If one of them cannot be
// reached, Head fails, and what is in force stays in force.
func (l Layers) Head(ctx context.Context) (kargo.RevisionID, error) {
	commit, err := l.User.Head(ctx)
	if err != nil {
		return "", err
	}
	revision := kargo.Revision{Commit: commit}
	for _, shared := range l.Shared {
		if commit, err = shared.Repository.Head(ctx); err != nil {
			return "", fmt.Errorf("layer %s: %w", shared.Name, err)
		}
		revision.Layers = append(revision.Layers, kargo.LayerRevision{Name: shared.Name, Commit: commit})
	}
	return revision.ID(), nil
}

// Commit writes to the repository of the user configuration. Kargo never writes
// to shared layers, because they belong to others.
func (l Layers) Commit(ctx context.Context, edit kargo.Edit) (commit, branch string, err error) {
	committer, ok := l.User.(Committer)
	if !ok {
		return "", "", kargo.Errorf(kargo.Invalid, "the workspace does not come from a repository that can be written to")
	}
	return committer.Commit(ctx, edit)
}

// Commits returns the commits of the user configuration that a revision adds to
// another, the newest first, and whether these are all. A repository that is none
// of git's has none.
func (l Layers) Commits(ctx context.Context, from, to kargo.RevisionID) (commits []kargo.Commit, complete bool, err error) {
	historian, ok := l.User.(Historian)
	older, newer := from.Revision().Commit, to.Revision().Commit
	if !ok || older == "" || older == newer {
		return nil, true, nil
	}
	return historian.Commits(ctx, older, newer)
}

// CheckAfter returns an error unless a revision may follow the one in force: each of
// its repositories that can tell must allow it. A layer that the revision in force
// does not have may have any commit.
func (l Layers) CheckAfter(ctx context.Context, inForce, next kargo.RevisionID) error {
	commits, ok := l.commits(next)
	if !ok {
		return nil // it cannot be fetched, either
	}
	before := inForce.Revision()
	if err := checkAfter(ctx, l.User, before.Commit, commits[0]); err != nil {
		return err
	}
	for i, shared := range l.Shared {
		for _, layer := range before.Layers {
			if layer.Name != shared.Name {
				continue
			}
			if err := checkAfter(ctx, shared.Repository, layer.Commit, commits[i+1]); err != nil {
				return fmt.Errorf("layer %s: %w", shared.Name, err)
			}
		}
	}
	return nil
}

func checkAfter(ctx context.Context, repository Repository, inForce, commit string) error {
	if successor, can := repository.(Successor); can && inForce != "" {
		return successor.CheckAfter(ctx, inForce, commit)
	}
	return nil
}

// Fetch returns the files of all repositories at the commits of a revision.
func (l Layers) Fetch(ctx context.Context, id kargo.RevisionID) (kargo.Tree, error) {
	commits, ok := l.commits(id)
	if !ok {
		return kargo.Tree{}, &kargo.Error{Fault: kargo.Unavailable,
			Err: fmt.Errorf("revision %.200s has other layers than are set now", id), Hint: "it was made with another --layer"}
	}
	revision, files, err := l.User.Fetch(ctx, commits[0])
	if err != nil {
		return kargo.Tree{}, err
	}
	tree := kargo.Tree{Revision: revision, User: files}
	for i, shared := range l.Shared {
		found, files, err := shared.Repository.Fetch(ctx, commits[i+1])
		if err != nil {
			return kargo.Tree{}, fmt.Errorf("layer %s: %w", shared.Name, err)
		}
		tree.Revision.Layers = append(tree.Revision.Layers, kargo.LayerRevision{
			Name: shared.Name, Commit: found.Commit, Ref: found.Ref, Subject: found.Subject,
		})
		tree.Shared = append(tree.Shared, kargo.Layer{Name: shared.Name, Files: files})
	}
	return tree, nil
}

// Protect tells each repository which commits it must keep. Revisions with
// other layers are left out, because they cannot be read anyway.
func (l Layers) Protect(revisions ...kargo.RevisionID) {
	kept := make([][]string, 1+len(l.Shared))
	for _, id := range revisions {
		if commits, ok := l.commits(id); ok {
			for i, commit := range commits {
				kept[i] = append(kept[i], commit)
			}
		}
	}
	l.User.Protect(kept[0]...)
	for i, shared := range l.Shared {
		shared.Repository.Protect(kept[i+1]...)
	}
}

// commits returns the commits of the repositories, in order, that an ID names.
func (l Layers) commits(id kargo.RevisionID) (commits []string, ok bool) {
	revision := id.Revision()
	if len(revision.Layers) != len(l.Shared) {
		return nil, false
	}
	commits = []string{revision.Commit}
	for i, layer := range revision.Layers {
		if layer.Name != l.Shared[i].Name {
			return nil, false
		}
		commits = append(commits, layer.Commit)
	}
	return commits, true
}

// Remembered returns what each repository remembers, in order, for the same layers in
// another process: the directories and the sizes of all files, or the contents of those that
// were read. It is empty for a repository that remembers nothing.
func (l Layers) Remembered(contents bool) [][]byte {
	var all [][]byte
	for _, repository := range l.repositories() {
		var remembered []byte
		if rememberer, can := repository.(Rememberer); can {
			remembered = rememberer.Remembered(contents)
		}
		all = append(all, remembered)
	}
	return all
}

// Remember takes what the same layers remember in another process: directories and sizes
// before the first Fetch, contents after it.
func (l Layers) Remember(all [][]byte, contents bool) error {
	for i, repository := range l.repositories() {
		if rememberer, can := repository.(Rememberer); can && i < len(all) {
			if err := rememberer.Remember(all[i], contents); err != nil {
				return err
			}
		}
	}
	return nil
}

// repositories returns that of the user configuration, and those of the shared layers.
func (l Layers) repositories() []Repository {
	all := []Repository{l.User}
	for _, shared := range l.Shared {
		all = append(all, shared.Repository)
	}
	return all
}
