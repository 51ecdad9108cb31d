package gitsync

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// tree is the files of one commit as an fs.FS. The names are read once, the
// contents each time they are asked for.
//
// What a workspace has no use for and an attacker has is refused where it
// lies: a symbolic link or a name that means something else on another system
// makes its directory unreadable, so that nobody who walks there can overlook
// it, and leaves the rest alone. Submodules are not there at all.
type tree struct {
	objects storer.EncodedObjectStorer
	limits  Limits
	nodes   map[string]*node // by path; "." is the root

	reading sync.Mutex // go-git's storage is not made for concurrent reads
}

// node is a file or directory. It is its own fs.FileInfo and fs.DirEntry.
type node struct {
	name     string
	mode     fs.FileMode
	size     int64
	time     time.Time
	hash     plumbing.Hash
	children []*node // of a directory, by name
	// refused is why the node cannot be read: for what it is, or for what is
	// directly in it.
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

// newTree reads the names of a commit, and stops at a limit.
func newTree(objects storer.EncodedObjectStorer, commit *object.Commit, limits Limits) (*tree, error) {
	t := &tree{objects: objects, limits: limits, nodes: map[string]*node{}}
	root := &node{name: ".", mode: fs.ModeDir | 0o755, time: commit.Committer.When, hash: commit.TreeHash}
	t.nodes["."] = root
	var total int64
	return t, t.read(root, ".", 0, &total)
}

// read fills a directory and all below it.
func (t *tree) read(directory *node, at string, depth int, total *int64) error {
	if depth > t.limits.Depth {
		return tooMuch("directories nested deeper than %d", t.limits.Depth)
	}
	listing, err := object.GetTree(t.objects, directory.hash)
	if err != nil {
		return fmt.Errorf("read tree %s: %w", at, err)
	}
	folded := map[string]string{}
	for _, entry := range listing.Entries {
		if entry.Mode == filemode.Submodule {
			continue
		}
		where := path.Join(at, entry.Name)
		if err := checkName(entry.Name, folded); err != nil {
			directory.refused = refusal(path.Join(at, printable(entry.Name)), err)
			continue
		}
		if len(t.nodes) > t.limits.Files {
			return tooMuch("more than %d files and directories", t.limits.Files)
		}
		child, err := t.newNode(entry, where, directory.time)
		if err != nil {
			return err
		}
		if *total += child.size; *total > t.limits.Bytes {
			return tooMuch("more than %d bytes", t.limits.Bytes)
		}
		if child.mode&fs.ModeSymlink != 0 {
			directory.refused = child.refused
		}
		t.nodes[where] = child
		directory.children = append(directory.children, child)
		if child.IsDir() {
			if err := t.read(child, where, depth+1, total); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(directory.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (t *tree) newNode(entry object.TreeEntry, where string, modified time.Time) (*node, error) {
	n := &node{name: entry.Name, time: modified, hash: entry.Hash}
	switch entry.Mode {
	case filemode.Dir:
		n.mode = fs.ModeDir | 0o755
		return n, nil
	case filemode.Symlink:
		n.mode = fs.ModeSymlink | 0o777
		n.refused = refusal(where, errors.New("symbolic links are refused"))
		return n, nil
	case filemode.Executable:
		n.mode = 0o755
	default:
		n.mode = 0o644
	}
	size, err := t.objects.EncodedObjectSize(entry.Hash)
	if err != nil {
		return nil, fmt.Errorf("read the size of %s: %w", where, err)
	}
	if n.size = size; size > t.limits.File {
		n.refused = refusal(where, fmt.Errorf("the file has %d bytes, the limit is %d", size, t.limits.File))
	}
	return n, nil
}

// checkName refuses names that are not one plain path element everywhere.
// folded holds the names of the directory so far, by their lower case.
func checkName(name string, folded map[string]string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name for a file", name)
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	case strings.ContainsAny(name, `/\`):
		return errors.New("the name holds a slash or a backslash")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name holds a control character")
	}
	lower := strings.ToLower(name)
	if other, taken := folded[lower]; taken {
		return fmt.Errorf("the name differs from %s in case only, or not at all", other)
	}
	folded[lower] = name
	return nil
}

func refusal(where string, err error) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: where, Err: err}
}

// find gives a node that may be read.
func (t *tree) find(operation, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: operation, Path: name, Err: fs.ErrInvalid}
	}
	n, exists := t.nodes[name]
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

// ReadDir implements fs.ReadDirFS. Beside an error there are the entries.
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
		return nil, &kargo.Error{Fault: kargo.Unavailable, Where: name, Err: err}
	}
	if isLFSPointer(data) {
		return nil, &kargo.Error{Fault: kargo.Invalid, Where: name,
			Hint: "commit the file itself: `git lfs untrack`, then add it again",
			Err:  errors.New("the file is a git LFS pointer; its content is not in the repository")}
	}
	return data, nil
}

// readBlob reads a content and holds it against its hash: what comes out is
// what was committed, or an error.
func (t *tree) readBlob(n *node) ([]byte, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	blob, err := object.GetBlob(t.objects, n.hash)
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
