package dotkargo

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"kargo"
)

// spare is the tree before the present one. A file that is the same in both is one file
// with two links. The next tree is made of it: only what differs is written.
type spare struct {
	dir   string
	files tree[*writtenFile]
}

// newSpare returns the tree in a directory as a spare one, or nil if it does not hold what
// is known, and was compared since some time.
func newSpare(dir string, known tree[*writtenFile], since time.Time) *spare {
	contents := tree[[]byte]{}
	for folder, files := range known {
		for name, file := range files {
			contents.set(folder, name, file.data)
		}
	}
	files := describe(dir, contents, since)
	if files == nil {
		return nil
	}
	return &spare{dir, files}
}

// path returns the directory, or "" if there is no spare tree.
func (s *spare) path() string {
	if s == nil {
		return ""
	}
	return s.dir
}

// unlinked notes that the present tree has another file now in the place of one that both
// had.
func (s *spare) unlinked(folder, name string) {
	if s == nil {
		return
	}
	if root, err := os.OpenRoot(s.dir); err == nil {
		defer root.Close()
		describeAgain(root, s.files, folder, name)
	}
}

// describeAgain describes a file again after another tree got or lost a link to it, which
// changes its description. If that fails, the description is wrong, as if somebody had
// changed the file. Somebody may have done so meanwhile, so the file is read when it is
// looked at next.
func describeAgain(root *os.Root, files tree[*writtenFile], folder, name string) {
	was, exists := files[folder][name]
	if !exists {
		return
	}
	opened, err := root.Open(filepath.FromSlash(folder))
	if err != nil {
		return
	}
	defer opened.Close()
	if now, err := describeFile(opened, name, was.data, time.Time{}); err == nil {
		files.set(folder, name, now)
	}
}

// exchange makes the spare tree hold the wanted files, and exchanges it for the present
// one.
func (w *Writer) exchange(wanted tree[[]byte]) error {
	present, next := w.written, w.spare
	w.written, w.spare = nil, nil
	kept, err := w.foldersToKeep(present, wanted, true)
	if err != nil {
		return err
	}
	late, err := replace(w.dir, next.dir, func() error {
		if err := next.become(wanted, w.dir, present); err != nil {
			return err
		}
		return w.note(next.dir, wanted, kept)
	})
	if err != nil {
		return err
	}
	if err := removeKept(w.dir); err != nil {
		return err
	}
	if late {
		return os.RemoveAll(next.dir) // it is not known what it holds
	}
	swapBelow(next.files, present, kept)
	if w.describeRenewed(w.dir, next.files, kept, wanted) && w.describeRenewed(next.dir, present, kept, wanted) {
		w.written, w.spare = next.files, &spare{next.dir, present}
	}
	return nil
}

// describeRenewed describes the folders of a tree again that were kept and have changed. It
// reports whether they are as they were written.
func (w *Writer) describeRenewed(dir string, known tree[*writtenFile], kept []keptFolder, wanted tree[[]byte]) bool {
	changed := tree[[]byte]{}
	renewed(changed, kept, wanted, func(data []byte) []byte { return data })
	now := describe(dir, changed, w.began)
	if now == nil {
		return false
	}
	for _, keep := range kept {
		for _, folder := range keep.Changed {
			delete(known, folder)
		}
	}
	maps.Copy(known, now)
	return true
}

// become makes the spare tree hold the wanted files, and empty state directories. A file
// that is the same in the present tree becomes a link to it.
func (s *spare) become(wanted tree[[]byte], dir string, present tree[*writtenFile]) error {
	own, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer own.Close()
	other, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer other.Close()
	r := renewal{own, other, s.files, present}
	if err := r.removeOthers(wanted); err != nil {
		return err
	}
	for folder, files := range wanted {
		if err := r.renewFolder(folder, files); err != nil {
			return err
		}
	}
	for _, name := range kargo.StateFolders {
		if err := own.RemoveAll(name); err != nil {
			return err
		}
		if err := own.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// renewal is the change of a spare tree to the next one.
type renewal struct {
	own, other     *os.Root // the spare tree, and the present one
	files, present tree[*writtenFile]
}

// removeOthers removes files that are not wanted, and folders that have none then.
func (r renewal) removeOthers(wanted tree[[]byte]) error {
	for folder, files := range r.files {
		for name := range files {
			if _, stays := wanted[folder][name]; stays {
				continue
			}
			if err := r.own.Remove(filepath.FromSlash(path.Join(folder, name))); err != nil {
				return err
			}
			delete(files, name)
			describeAgain(r.other, r.present, folder, name)
		}
		if len(files) > 0 {
			continue
		}
		delete(r.files, folder)
		for at := folder; at != "." && r.own.Remove(filepath.FromSlash(at)) == nil; at = path.Dir(at) {
			continue // to the folder that it is in, which may be empty now
		}
	}
	return nil
}

// renewFolder places the files of a folder that differ.
func (r renewal) renewFolder(folder string, files map[string][]byte) error {
	var into, from *os.File // opened once they are needed
	for name, data := range files {
		has, exists := r.files[folder][name]
		if exists && bytes.Equal(has.data, data) {
			continue
		}
		if into == nil {
			local := filepath.FromSlash(folder)
			if err := r.own.MkdirAll(local, 0o700); err != nil {
				return err
			}
			var err error
			if into, err = r.own.Open(local); err != nil {
				return err
			}
			defer into.Close()
			if from, err = r.other.Open(local); err == nil {
				defer from.Close()
			} else {
				from = nil
			}
		}
		if err := r.renewFile(into, from, folder, name, data); err != nil {
			return fmt.Errorf("write %s: %w", path.Join(folder, name), cause(err))
		}
	}
	return nil
}

// renewFile makes a file, which may have another content. from is the folder in the present
// tree, or nil.
func (r renewal) renewFile(into, from *os.File, folder, name string, data []byte) error {
	if _, exists := r.files[folder][name]; exists {
		if err := unix.Unlinkat(int(into.Fd()), name, 0); err != nil {
			return err
		}
	}
	if was, exists := r.present[folder][name]; !exists || !bytes.Equal(was.data, data) {
		from = nil
	}
	if err := place(into, from, name, data, true); err != nil {
		return err
	}
	now, err := describeFile(into, name, data, time.Time{})
	if err != nil {
		return err
	}
	r.files.set(folder, name, now)
	describeAgain(r.other, r.present, folder, name)
	return nil
}
