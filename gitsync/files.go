package gitsync

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// node is a file or directory. It is its own fs.FileInfo and fs.DirEntry.
type node struct {
	name     string
	mode     fs.FileMode
	size     int64
	time     time.Time
	hash     plumbing.Hash
	objects  storer.EncodedObjectStorer // which hold the hash
	children []*node                    // of a directory, by name
	// refused is the reason why the node cannot be read: because of what it is, or
	// of what is directly in it.
	refused error
}

func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return n.size }
func (n *node) Mode() fs.FileMode          { return n.mode }
func (n *node) Type() fs.FileMode          { return n.mode.Type() }
func (n *node) ModTime() time.Time         { return n.time }
func (n *node) IsDir() bool                { return n.mode.IsDir() }
func (n *node) Sys() any                   { return nil }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }
func (n *node) String() string             { return fs.FormatFileInfo(n) }

// find returns a node that may be read.
func (t *tree) find(operation, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: operation, Path: name, Err: fs.ErrInvalid}
	}
	n, exists := t.nodes[name]
	t.asked.note(name, n, operation == "readdir")
	if !exists {
		return nil, &fs.PathError{Op: operation, Path: name, Err: fs.ErrNotExist}
	}
	if !n.IsDir() && n.refused != nil {
		return nil, n.refused
	}
	return n, nil
}

// Stat implements fs.StatFS. It does not read the file.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ReadDir implements fs.ReadDirFS. Together with an error it returns the entries.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return n.entries(), n.refused
}

func (n *node) entries() []fs.DirEntry {
	entries := make([]fs.DirEntry, len(n.children))
	for i, child := range n.children {
		entries[i] = child
	}
	return entries
}

// ReadFile implements fs.ReadFileFS.
func (t *tree) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	data, err := t.readBlob(n)
	if err != nil {
		return nil, &kargo.Error{Fault: kargo.Unavailable, Where: kargo.Place{File: name}, Err: err}
	}
	if isLFSPointer(data) {
		return nil, &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: name},
			Hint: "commit the file itself: `git lfs untrack`, then add it again",
			Err:  errors.New("the file is a git LFS pointer; its content is not in the repository")}
	}
	return data, nil
}

// readBlob reads a content and compares it with its hash: it returns what was
// committed, or an error.
func (t *tree) readBlob(n *node) ([]byte, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if data, known := t.contents.get(n.hash); known {
		return data, nil
	}
	data, err := t.unpack(n)
	if err != nil {
		reportDamage(n.objects, err)
		return nil, err
	}
	t.contents.keep(n.hash, bytes.Clone(data))
	return data, nil
}

func (t *tree) unpack(n *node) ([]byte, error) {
	blob, err := object.GetBlob(n.objects, n.hash)
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", n.hash, err)
	}
	reader, err := blob.Reader()
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", n.hash, err)
	}
	data, err := io.ReadAll(io.LimitReader(reader, t.limits.File+1))
	if err := errors.Join(err, reader.Close()); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", n.hash, err)
	}
	if plumbing.ComputeHash(plumbing.BlobObject, data) != n.hash {
		return nil, fmt.Errorf("blob %s is damaged on disk", n.hash)
	}
	return data, nil
}

func isLFSPointer(data []byte) bool {
	const longest = 1024 // by the specification
	return len(data) < longest && bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/"))
}

// Open implements fs.FS.
func (t *tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		t.asked.note(name, n, true)
		return &openDirectory{node: n, rest: n.entries()}, nil
	}
	data, err := t.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &openFile{node: n, Reader: bytes.NewReader(data)}, nil
}

// openFile is a file with its content.
type openFile struct {
	node *node
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openFile) Close() error               { return nil }

// openDirectory is a directory that is being listed.
type openDirectory struct {
	node *node
	rest []fs.DirEntry
}

func (d *openDirectory) Stat() (fs.FileInfo, error) { return d.node, nil }
func (d *openDirectory) Close() error               { return nil }

func (d *openDirectory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.node.name, Err: errors.New("is a directory")}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDirectory) ReadDir(count int) ([]fs.DirEntry, error) {
	if count <= 0 {
		count = len(d.rest)
	} else if len(d.rest) == 0 {
		return nil, io.EOF
	}
	count = min(count, len(d.rest))
	entries := d.rest[:count]
	d.rest = d.rest[count:]
	return entries, d.node.refused
}

// asked records what was read of a tree and what it was: of each name what it is, and
// of directories the list.
type asked struct {
	mu         sync.Mutex
	identities map[string]identity
	listings   map[string]string
}

func (a *asked) note(name string, n *node, list bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.identities == nil {
		a.identities, a.listings = map[string]identity{}, map[string]string{}
	}
	a.identities[name] = n.identity()
	if list {
		a.listings[name] = n.listing()
	}
}

// identity identifies what a node is. All directories are the same, whatever is in
// them.
type identity struct {
	exists bool
	mode   fs.FileMode
	hash   plumbing.Hash // of a file
}

func (n *node) identity() identity {
	switch {
	case n == nil:
		return identity{}
	case n.IsDir():
		return identity{exists: true, mode: n.mode}
	}
	return identity{exists: true, mode: n.mode, hash: n.hash}
}

// listing returns what a list of a directory shows.
func (n *node) listing() string {
	if n == nil || !n.IsDir() {
		return "" // its identity says so
	}
	var text strings.Builder
	for _, child := range n.children {
		fmt.Fprintln(&text, child.mode, child.name)
	}
	return text.String()
}

// answersAs reports whether everything that was read of earlier files is the same
// here, so that whoever reads these in the same way gets the same result. It
// compares hashes and reads no file.
func (t *tree) answersAs(earlier fs.FS) bool {
	before, isTree := earlier.(*tree)
	if !isTree {
		return false
	}
	before.asked.mu.Lock()
	defer before.asked.mu.Unlock()
	for name, is := range before.asked.identities {
		if n := t.nodes[name]; n.identity() != is || n != nil && n.refused != nil {
			return false
		}
	}
	for name, listing := range before.asked.listings {
		if t.nodes[name].listing() != listing {
			return false
		}
	}
	return true
}
