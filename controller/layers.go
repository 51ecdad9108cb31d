package controller

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"kargo"
	"kargo/merge"
)

// Layered is a Source with shared layers below its own files. What it calls a
// commit is a revision's ID: the commits of all its sources. So a new commit of
// any layer makes a new revision, and a restart reads the same commits again.
type Layered struct {
	Source // of the user configuration
	Shared []SharedLayer
}

// SharedLayer is where the files of one shared layer come from.
type SharedLayer struct {
	Name   string
	Source Source
}

// WithLayers puts shared layers, lowest first, below a source. It refuses names
// that no layer can have.
func WithLayers(source Source, shared ...SharedLayer) (Source, error) {
	if len(shared) == 0 {
		return source, nil
	}
	taken := map[string]bool{}
	for _, layer := range shared {
		if err := merge.CheckLayerName(layer.Name); err != nil {
			return nil, &kargo.Error{Fault: kargo.Invalid, Err: err}
		}
		if taken[layer.Name] {
			return nil, kargo.Errorf(kargo.Invalid, "two layers have the name %q", layer.Name)
		}
		taken[layer.Name] = true
	}
	return Layered{Source: source, Shared: shared}, nil
}

// Head asks all sources. One that is out of reach fails the whole: what is in
// force stays so.
func (l Layered) Head(ctx context.Context) (string, error) {
	commit, err := l.Source.Head(ctx)
	if err != nil {
		return "", err
	}
	revision := kargo.Revision{Commit: commit}
	for _, shared := range l.Shared {
		if commit, err = shared.Source.Head(ctx); err != nil {
			return "", fmt.Errorf("layer %s: %w", shared.Name, err)
		}
		revision.Layers = append(revision.Layers, kargo.LayerRevision{Name: shared.Name, Commit: commit})
	}
	return revision.ID(), nil
}

// Commit writes to the user configuration's repository: shared layers are
// other people's.
func (l Layered) Commit(ctx context.Context, edit kargo.Edit) (commit, branch string, err error) {
	committer, ok := l.Source.(Committer)
	if !ok {
		return "", "", kargo.Errorf(kargo.Invalid, "the workspace does not come from a repository that can be written to")
	}
	return committer.Commit(ctx, edit)
}

// Fetch gives the files of all sources at the commits of a revision's ID.
func (l Layered) Fetch(ctx context.Context, id string) (kargo.Revision, fs.FS, error) {
	commits, ok := l.split(id)
	if !ok {
		return kargo.Revision{}, nil, &kargo.Error{Fault: kargo.Unavailable,
			Err: fmt.Errorf("revision %.200s has other layers than are set now", id), Hint: "it was made with another --layer"}
	}
	revision, files, err := l.Source.Fetch(ctx, commits[0])
	if err != nil {
		return kargo.Revision{}, nil, err
	}
	all := layeredFiles{FS: files}
	for i, shared := range l.Shared {
		found, files, err := shared.Source.Fetch(ctx, commits[i+1])
		if err != nil {
			return kargo.Revision{}, nil, fmt.Errorf("layer %s: %w", shared.Name, err)
		}
		revision.Layers = append(revision.Layers, kargo.LayerRevision{
			Name: shared.Name, Commit: found.Commit, Ref: found.Ref, Subject: found.Subject,
		})
		all.shared = append(all.shared, merge.Layer{Name: shared.Name, Files: files})
	}
	return revision, all, nil
}

// Protect passes on what each source must keep. IDs of other layers are those
// of revisions that cannot be read anyhow.
func (l Layered) Protect(ids ...string) {
	kept := make([][]string, 1+len(l.Shared))
	for _, id := range ids {
		if commits, ok := l.split(id); ok {
			for i, commit := range commits {
				kept[i] = append(kept[i], commit)
			}
		}
	}
	l.Source.Protect(kept[0]...)
	for i, shared := range l.Shared {
		shared.Source.Protect(kept[i+1]...)
	}
}

// split takes an ID apart into the commits of the sources, in order.
func (l Layered) split(id string) (commits []string, ok bool) {
	parts := strings.Split(id, "+")
	if len(parts) != 1+len(l.Shared) {
		return nil, false
	}
	commits = parts[:1:1]
	for i, part := range parts[1:] {
		name, commit, _ := strings.Cut(part, "@")
		if name != l.Shared[i].Name {
			return nil, false
		}
		commits = append(commits, commit)
	}
	return commits, true
}

// layeredFiles carries the files of the shared layers along with those of the
// user configuration; the pipeline takes them apart.
type layeredFiles struct {
	fs.FS
	shared []merge.Layer
}

// layersOf are the user's files and those of the shared layers. A revision
// whose layers went missing on the way would mean something else: it is
// refused.
func layersOf(revision kargo.Revision, files fs.FS) (user fs.FS, shared []merge.Layer, err error) {
	user = files
	if layered, ok := files.(layeredFiles); ok {
		user, shared = layered.FS, slices.Clone(layered.shared)
	}
	if len(shared) != len(revision.Layers) {
		return nil, nil, errors.New("the files of the revision's shared layers are missing")
	}
	return user, shared, nil
}
