// Package directory is the noun for a plain directory as a repository: the
// workspace that `kargo apply --workspace` reads, or a shared layer that lies on
// this machine.
//
// A directory has no commits. Its commit is "dir-" and a digest that covers what
// is read of it, and nothing else: a build log beside the workspace does not
// make another revision, and a file that an environment file sources does. The digest
// is keyed: it shows in labels and in the history, and files have passwords in them.
package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"kargo"
)

// Prefix begins the commit of every directory.
const Prefix = "dir-"

// Reads returns the names of the files that are read of a directory, in order.
type Reads func(files fs.FS) ([]string, error)

// Repository is a directory that is read as a repository is.
type Repository struct {
	// Path is the directory, Reads what is read of it.
	Path  string
	Reads Reads
	// Key returns the key of the digests.
	Key func(context.Context) ([]byte, error)
}

// Open returns the directory's files. Nothing leads out of it. An error is
// Invalid.
func Open(path string) (fs.FS, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("open directory: %w", err)}
	}
	return root.FS(), nil
}

// Head returns the commit of what lies in the directory now.
func (r Repository) Head(ctx context.Context) (string, error) {
	files, err := Open(r.Path)
	if err != nil {
		return "", err
	}
	digest, err := Digest(files, r.Reads)
	if err != nil {
		return "", err
	}
	key, err := r.Key(ctx)
	if err != nil {
		return "", err
	}
	return Prefix + kargo.KeyedDigest(key, digest), nil
}

// Fetch returns the files of the directory as they are now, with their commit.
func (r Repository) Fetch(ctx context.Context, _ string) (kargo.Revision, kargo.Files, error) {
	commit, err := r.Head(ctx)
	if err != nil {
		return kargo.Revision{}, kargo.Files{}, err
	}
	files, err := Open(r.Path)
	return kargo.Revision{Commit: commit, Ref: r.Path}, kargo.Files{FS: files}, err
}

// Protect does nothing, because a directory has only its present content.
func (r Repository) Protect(...string) {}

// Digest returns a digest of what is read of files: names, contents, links, and
// which files can be executed. It has no key, so it must not show. An error is
// Invalid.
func Digest(files fs.FS, reads Reads) (string, error) {
	hash := sha256.New()
	names, err := reads(files)
	for i := 0; err == nil && i < len(names); i++ {
		err = addTo(hash, files, names[i])
	}
	if err != nil {
		return "", &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("read directory: %w", err)}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// addTo adds one name and what it is. A link is not followed: what is wrong with
// it is said where the directory is read.
func addTo(hash io.Writer, files fs.FS, name string) error {
	info, err := fs.Lstat(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.IsDir() {
		return err
	}
	if !info.Mode().IsRegular() {
		_, err := fmt.Fprintf(hash, "%q %s\n", name, info.Mode().Type())
		return err
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(hash, "%q %d %t\n", name, len(data), info.Mode()&0o111 != 0)
	_, err = hash.Write(data)
	return err
}
