package kargo

import "io/fs"

// Files are the files of one layer, as a repository returns them.
type Files struct {
	// FS reads them. nil is an empty layer.
	FS fs.FS
	// Opened returns how a file that was read before got its content, and false
	// for one that always was plain. nil where no file is encrypted.
	Opened func(name string) (Opened, bool)
	// Unchanged reports whether everything that was read from earlier files has
	// the same content in these. nil where the repository cannot know.
	Unchanged func(earlier fs.FS) bool
}

// OpenedFrom returns how a file that was read before got its content, and false
// for one that always was plain.
func (f Files) OpenedFrom(name string) (Opened, bool) {
	if f.Opened == nil {
		return Opened{}, false
	}
	return f.Opened(name)
}

// Layer is the files of a shared layer, under the name that the operator gave
// it.
type Layer struct {
	Name  string
	Files Files
}

// Tree is everything that a source returns for one revision.
type Tree struct {
	Revision Revision
	// User are the files of the user configuration, Shared those of the layers
	// below it, lowest first.
	User   Files
	Shared []Layer
}

// Unchanged reports whether everything that was read from an earlier tree has
// the same content in this one. It returns false if that cannot be known.
func (t Tree) Unchanged(earlier Tree) bool {
	if len(t.Shared) != len(earlier.Shared) || !t.User.unchanged(earlier.User) {
		return false
	}
	for i, layer := range t.Shared {
		if before := earlier.Shared[i]; layer.Name != before.Name || !layer.Files.unchanged(before.Files) {
			return false
		}
	}
	return true
}

func (f Files) unchanged(earlier Files) bool {
	return f.Unchanged != nil && f.Unchanged(earlier.FS)
}
