package gitsync

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"kargo"
	"kargo/gitsync/signature"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// errMoved is the error of a branch that is no longer at the commit that was read.
var errMoved = &kargo.Error{Fault: kargo.Conflict, Err: errors.New("the branch has moved on")}

// Commit commits an edit and pushes it to the tracked branch, with the same access
// as Fetch. It returns the hash of the new commit and the branch. It never forces:
// if the branch is no longer at the base of the edit, the error is a Conflict.
//
// Only what is new is sent: the commit, the changed files and the directories above
// them. So no more of the history is needed than Fetch keeps.
//
// If the ref cannot be written to, because it is a tag, the error is Invalid. It is
// Invalid, too, if signatures are required, because the new commit has none.
// Credentials that only allow reading are Unavailable.
func (r *Repository) Commit(ctx context.Context, edit kargo.Edit) (commit, branch string, err error) {
	if err := r.checkWritable(); err != nil {
		return "", "", err
	}
	r.fetching.Lock()
	defer r.fetching.Unlock()
	hash, name, err := r.commit(ctx, edit)
	if err != nil {
		return "", "", r.remote.Explain("write to", err, r.opts.Timeout)
	}
	return hash.String(), name.Short(), nil
}

func (r *Repository) checkWritable() error {
	if r.opts.Signatures.Required != signature.Nothing {
		return invalid("Kargo's own commit would not be signed, and signatures are verified", "set the newer tag by hand, or do not use --verify-signatures")
	}
	if r.tracked.isCommit() || r.tracked.versions != nil || len(r.tracked.names) == 1 && !r.tracked.names[0].IsBranch() {
		return invalid("only a branch can be written to", "set --ref to a branch")
	}
	return nil
}

func (r *Repository) commit(ctx context.Context, edit kargo.Edit) (plumbing.Hash, plumbing.ReferenceName, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	objects, found, err := r.origin.stored(plumbing.NewHash(edit.Base))
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	if err := checkBranch(found, edit); err != nil {
		return plumbing.ZeroHash, "", err
	}
	made, err := r.make(objects, edit)
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	return made.commit, found.name, r.origin.publish(ctx, found.name, made)
}

// checkBranch checks that the target is a branch, and that it is at the base of the
// edit.
func checkBranch(found target, edit kargo.Edit) error {
	if !found.name.IsBranch() {
		return invalid("only a branch can be written to", "set --ref to a branch")
	}
	if found.commit.String() != edit.Base {
		return errMoved
	}
	return nil
}

// made is a new commit with its new objects.
type made struct {
	base, commit plumbing.Hash
	objects      []plumbing.EncodedObject
}

// make creates the objects of an edit. It stores none of them.
func (r *Repository) make(objects storer.EncodedObjectStorer, edit kargo.Edit) (made, error) {
	result := made{base: plumbing.NewHash(edit.Base)}
	base, err := object.GetCommit(objects, result.base)
	if err != nil {
		return result, fmt.Errorf("read commit %s: %w", edit.Base, err)
	}
	files := map[string][]byte{}
	for name, data := range edit.Files {
		files[path.Join(r.opts.Path, name)] = data
	}
	root, err := result.directory(objects, base.TreeHash, ".", files)
	if err != nil {
		return result, err
	}
	author := object.Signature{Name: r.opts.AuthorName, Email: r.opts.AuthorEmail, When: time.Now().Truncate(time.Second)}
	commit := &object.Commit{Author: author, Committer: author, Message: edit.Message, TreeHash: root, ParentHashes: []plumbing.Hash{result.base}}
	result.commit, err = result.add(plumbing.CommitObject, commit.Encode)
	return result, err
}

// directory creates the directory at a path again with changed files below it, and
// returns its hash.
func (m *made) directory(objects storer.EncodedObjectStorer, hash plumbing.Hash, at string, files map[string][]byte) (plumbing.Hash, error) {
	listing, err := readListing(objects, hash, at)
	if err != nil {
		return hash, err
	}
	below := map[string]map[string][]byte{}
	for name, data := range files {
		first, rest, _ := strings.Cut(name, "/")
		if below[first] == nil {
			below[first] = map[string][]byte{}
		}
		below[first][rest] = data
	}
	for first, files := range below {
		i := slices.IndexFunc(listing.Entries, func(e object.TreeEntry) bool { return e.Name == first })
		if i < 0 {
			return hash, fmt.Errorf("the commit has no %s to change", path.Join(at, first))
		}
		entry := &listing.Entries[i]
		data, isFile := files[""]
		switch {
		case isFile && (entry.Mode == filemode.Regular || entry.Mode == filemode.Executable):
			entry.Hash, err = m.add(plumbing.BlobObject, func(blob plumbing.EncodedObject) error { return fill(blob, data) })
		case !isFile && entry.Mode == filemode.Dir:
			entry.Hash, err = m.directory(objects, entry.Hash, path.Join(at, first), files)
		default:
			err = fmt.Errorf("%s is not a plain file", path.Join(at, first))
		}
		if err != nil {
			return hash, err
		}
	}
	return m.add(plumbing.TreeObject, listing.Encode)
}

// add keeps a new object, and returns its hash.
func (m *made) add(kind plumbing.ObjectType, encode func(plumbing.EncodedObject) error) (plumbing.Hash, error) {
	made := &plumbing.MemoryObject{}
	made.SetType(kind)
	if err := encode(made); err != nil {
		return plumbing.ZeroHash, err
	}
	m.objects = append(m.objects, made)
	return made.Hash(), nil
}

func fill(blob plumbing.EncodedObject, data []byte) error {
	writer, err := blob.Writer()
	if err != nil {
		return err
	}
	_, err = writer.Write(data)
	return errors.Join(err, writer.Close())
}
