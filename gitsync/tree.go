package gitsync

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// tree is the files of one commit, or of one directory of it, as an fs.FS. Names
// are read once, contents each time they are read.
//
// Some entries are useless for a workspace and useful for an attacker. They are
// refused where they are: a symbolic link, or a name that means something else on
// another system, makes its directory unreadable, so that nobody who reads the
// directory can overlook it. Other directories stay readable. A submodule is a
// directory if it was fetched. Otherwise it is refused inside the workspace's
// folders, and invisible elsewhere.
type tree struct {
	limits Limits
	nodes  map[string]*node // by path; "." is the root
	bytes  int64            // of all files

	submodules *submodules // nil where none can be fetched

	contents *contents
	// before are those of the commit that was read before it, while the names are read.
	before *contents

	reading sync.Mutex // go-git's storage does not allow concurrent reads
	asked   asked
}

// newTree reads the names of a commit below one of its directories. before has the
// contents of the commit that was read before it; it may be nil. It is an error to exceed
// a limit.
func newTree(objects storer.EncodedObjectStorer, commit *object.Commit, below string, limits Limits, modules *submodules, before *contents) (*tree, error) {
	hash, err := findDirectory(objects, commit.TreeHash, below)
	if err != nil {
		return nil, err
	}
	t := &tree{limits: limits, nodes: map[string]*node{}, submodules: modules, contents: newContents(), before: before}
	defer func() { t.before = nil }()
	root := &node{name: ".", mode: fs.ModeDir | 0o755, time: commit.Committer.When, hash: hash, objects: objects}
	t.nodes["."] = root
	return t, t.read(root, ".", 0)
}

// findDirectory returns the directory at a path of a commit. A symbolic link on the
// way is an error: it could lead out of the repository.
func findDirectory(objects storer.EncodedObjectStorer, root plumbing.Hash, below string) (plumbing.Hash, error) {
	at := "."
	for name := range strings.SplitSeq(below, "/") {
		if below == "" {
			return root, nil
		}
		listing, err := readListing(objects, root, at)
		if err != nil {
			return root, err
		}
		at = path.Join(at, name)
		i := slices.IndexFunc(listing.Entries, func(e object.TreeEntry) bool { return e.Name == name })
		if i < 0 || listing.Entries[i].Mode != filemode.Dir {
			return root, &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "repository"},
				Hint: "the setting --path names it",
				Err:  fmt.Errorf("the commit has no directory %s", at)}
		}
		root = listing.Entries[i].Hash
	}
	return root, nil
}

func readListing(objects storer.EncodedObjectStorer, hash plumbing.Hash, at string) (*object.Tree, error) {
	data, err := readObject(objects, plumbing.TreeObject, hash)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", at, err)
	}
	listing := &object.Tree{}
	if err := listing.Decode(encoded(plumbing.TreeObject, data)); err != nil {
		return nil, fmt.Errorf("read tree %s: %w", at, err)
	}
	return listing, nil
}

// read reads a directory and everything below it.
func (t *tree) read(directory *node, at string, depth int) error {
	if depth > t.limits.Depth {
		return tooMuch("directories nested deeper than %d", t.limits.Depth)
	}
	entries, err := t.entries(directory, at)
	if err != nil {
		return err
	}
	folded := map[string]string{}
	for _, entry := range entries {
		if err := checkName(entry.Name, folded); err != nil {
			directory.refused = refusal(path.Join(at, kargo.PrintableLine(entry.Name)), err)
			continue
		}
		if err := t.add(directory, entry, path.Join(at, entry.Name), depth); err != nil {
			return err
		}
	}
	slices.SortFunc(directory.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	return nil
}

// entries returns the entries of a directory. It is read unless the commit before had it.
func (t *tree) entries(directory *node, at string) ([]object.TreeEntry, error) {
	if entries, known := t.contents.takeOverDirectory(t.before, directory.hash); known {
		return entries, nil
	}
	listing, err := readListing(directory.objects, directory.hash, at)
	if err != nil {
		reportDamage(directory.objects, err) // which may be those of a submodule
		return nil, err
	}
	t.contents.keepDirectory(directory.hash, listing.Entries)
	return listing.Entries, nil
}

// add adds one entry of a directory.
func (t *tree) add(directory *node, entry object.TreeEntry, where string, depth int) error {
	if len(t.nodes) > t.limits.Files {
		return tooMuch("more than %d files and directories", t.limits.Files)
	}
	child, err := t.newNode(entry, where, directory)
	if errors.Is(err, errNotAllowed) && !kargo.IsLayerPart(where) {
		return nil
	}
	if err != nil && !errors.Is(err, errNotAllowed) {
		return err
	}
	if t.bytes += child.size; t.bytes > t.limits.Bytes {
		return tooMuch("more than %d bytes", t.limits.Bytes)
	}
	if !child.mode.IsDir() && !child.mode.IsRegular() {
		directory.refused = child.refused
	}
	t.nodes[where] = child
	directory.children = append(directory.children, child)
	if child.IsDir() {
		return t.read(child, where, depth+1)
	}
	return nil
}

func (t *tree) newNode(entry object.TreeEntry, where string, directory *node) (*node, error) {
	n := &node{name: entry.Name, time: directory.time, hash: entry.Hash, objects: directory.objects}
	switch entry.Mode {
	case filemode.Dir:
		n.mode = fs.ModeDir | 0o755
		return n, nil
	case filemode.Symlink:
		n.mode = fs.ModeSymlink | 0o777
		n.refused = refusal(where, errors.New("symbolic links are refused"))
		return n, nil
	case filemode.Submodule:
		return t.submodule(n, where, directory)
	case filemode.Executable:
		n.mode = 0o755
	default:
		n.mode = 0o644
	}
	size, known := t.contents.takeOver(t.before, entry.Hash)
	if !known {
		var err error
		if size, err = t.readSize(n); err != nil {
			reportDamage(n.objects, err)
			return nil, fmt.Errorf("read the size of %s: %w", where, err)
		}
		t.contents.keepSize(entry.Hash, size)
	}
	if n.size = size; size > t.limits.File {
		n.refused = refusal(where, fmt.Errorf("the file has %d bytes, the limit is %d", size, t.limits.File))
	}
	return n, nil
}

// readSize returns the size of a file. It is not compared with the hash. But no file is
// fetched that is larger than the limit; only a local repository may have one. So a size
// above it is read again, with the content: it may be damaged, and a file that is refused
// is never read.
func (t *tree) readSize(n *node) (int64, error) {
	size, err := n.objects.EncodedObjectSize(n.hash)
	if _, fetched := n.objects.(*discardable); err != nil || !fetched || size <= t.limits.File {
		return size, err
	}
	data, err := readObject(n.objects, plumbing.BlobObject, n.hash)
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("the size of blob %s is damaged on disk", n.hash)
	}
	return size, err
}

// submodule turns a gitlink into a directory. If its content is not available, the
// node is refused and the error returned. Submodules of submodules are not
// available: .gitmodules does not name them.
func (t *tree) submodule(n *node, where string, directory *node) (*node, error) {
	modules := t.submodules
	if directory.objects != t.nodes["."].objects {
		modules = nil
	}
	content, err := modules.open(where, n.hash)
	if err != nil {
		n.mode, n.refused = fs.ModeIrregular, notFetched(where)
		return n, err
	}
	n.mode, n.hash, n.objects = fs.ModeDir|0o755, content.tree, content.objects
	return n, nil
}

// checkName refuses a name that is not one plain path element on every system.
// folded holds the names of the directory so far, by their lower case.
func checkName(name string, folded map[string]string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is not a name for a file", name)
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	case strings.ContainsAny(name, `/\`):
		return errors.New("the name holds a slash or a backslash")
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }):
		// Characters of category Cf include those that change the direction of
		// text.
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
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: where}, Err: err}
}
