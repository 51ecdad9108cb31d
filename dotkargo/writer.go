package dotkargo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kargo"
)

// Writer writes the merged configurations of one workspace to one directory, one after
// another. It may be used by several goroutines.
//
// It remembers what it wrote, and how the system described each file then. Where that
// description is still the same, nobody has changed the file, and it is not read again.
// Otherwise everything is read, as by [Write].
//
// It keeps the tree before the present one, as a directory beside it: the next tree is
// mostly the same. A new Writer removes it.
type Writer struct {
	given string // may be a link to dir
	dir   string

	mu sync.Mutex
	// began is when the last call of Write began: what was changed before was compared then.
	began time.Time
	// written is nil if it is not known what the directory holds.
	written tree[*writtenFile]
	spare   *spare // nil if there is none
	// ours lists what Kargo wrote into the directory.
	ours *manifest
}

// NewWriter returns a Writer to dir. It does nothing yet.
func NewWriter(dir string) *Writer { return &Writer{given: dir, dir: dir} }

// Write does the same as the function Write.
func (w *Writer) Write(workspace kargo.Workspace) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = time.Now()
	if err := w.write(workspace); err != nil {
		w.written, w.spare = nil, nil // the next call removes the spare tree
		return err
	}
	if w.written == nil {
		w.written = describe(w.dir, onDisk(workspace), w.began)
	}
	return nil
}

// write writes a workspace. Then w.written is right, or nil.
func (w *Writer) write(workspace kargo.Workspace) error {
	dir, err := follow(w.given)
	if err != nil {
		return err
	}
	if dir != w.dir {
		w.dir, w.written, w.spare = dir, nil, nil
	}
	return explained(w.given, w.writeTree(workspace))
}

func (w *Writer) writeTree(workspace kargo.Workspace) error {
	if err := recoverState(w.dir, w.spare.path()); err != nil {
		return fmt.Errorf("clean up beside %s: %w", w.dir, err)
	}
	wanted := onDisk(workspace)
	if w.written == nil {
		if err := w.findOurs(wanted); err != nil {
			return err
		}
	}
	if w.written != nil && !holds(w.dir, w.written, w.ours, untouched) {
		w.written = nil
	}
	if err := w.update(wanted); err != nil {
		return err
	}
	if !w.ours.lists(wanted) {
		w.ours = manifestOf(wanted)
		if err := w.ours.write(w.dir); err != nil {
			return err
		}
	}
	share(w.written, wanted)
	if w.spare != nil {
		share(w.spare.files, wanted)
	}
	return seed(w.dir, workspace)
}

// findOurs finds out what Kargo wrote into the directory. If the list of it is lost, or
// damaged, that is what is wanted now: what a container may have written is not removed, and
// what has left the workspace since then stays.
func (w *Writer) findOurs(wanted tree[[]byte]) error {
	w.ours = readManifest(w.dir)
	if info, err := os.Lstat(w.dir); w.ours != nil || err != nil || !info.IsDir() {
		return nil
	}
	w.ours = manifestOf(wanted)
	return w.ours.write(w.dir)
}

// update makes the directory hold a tree.
func (w *Writer) update(wanted tree[[]byte]) error {
	if isMountPoint(w.dir) {
		return unix.EBUSY
	}
	known := w.written
	switch folder, name, differing := differences(known, wanted); {
	case known == nil && holds(w.dir, wanted, w.ours, checkFile), known != nil && differing == 0:
		return nil
	case known != nil && differing == 1 && w.isFree(folder, name):
		return w.replaceFile(folder, name, wanted[folder][name])
	case known != nil && w.spare != nil && holds(w.spare.dir, w.spare.files, nil, untouched):
		return w.exchange(wanted)
	}
	return w.replaceAll(wanted)
}

// replaceAll writes a whole tree. The one before becomes the spare tree if it is known.
func (w *Writer) replaceAll(wanted tree[[]byte]) error {
	known, spare := w.written, w.spare.path()
	w.written, w.spare = nil, nil
	before := known
	if before == nil {
		before = compared(w.dir, wanted, w.ours)
	}
	if err := os.RemoveAll(spare); err != nil {
		return err
	}
	kept, err := w.foldersToKeep(before, wanted, known != nil)
	if err != nil {
		return err
	}
	next, err := makeNext(w.dir)
	if err != nil {
		return err
	}
	late, err := replace(w.dir, next, func() error {
		err := fill(next, w.dir, wanted, func(folder, name string) bool {
			was, exists := known[folder][name]
			return exists && bytes.Equal(was.data, wanted[folder][name])
		})
		if err != nil {
			return err
		}
		return w.note(next, wanted, kept)
	})
	if err != nil {
		return err
	}
	if err := removeKept(w.dir); err != nil {
		return err
	}
	if known != nil && !late {
		renewed(known, kept, wanted, func(data []byte) *writtenFile { return &writtenFile{data: data} })
		w.spare = newSpare(next, known, w.began)
	}
	if w.spare == nil {
		return os.RemoveAll(next)
	}
	return nil
}

// note notes in a tree, before it becomes the present one, what Kargo wrote into it and what
// it has to take over.
func (w *Writer) note(next string, wanted tree[[]byte], kept []keptFolder) error {
	w.ours = manifestOf(wanted)
	return errors.Join(w.ours.write(next), writeKept(next, kept))
}

// isFree reports whether a file can be put in its place alone: it is Kargo's, or nothing is
// there. A container may have made something there.
func (w *Writer) isFree(folder, name string) bool {
	if w.ours == nil {
		return false // what is there may be anybody's
	}
	if w.ours.hasFile(folder, name) {
		return true
	}
	_, err := os.Lstat(filepath.Join(w.dir, filepath.FromSlash(folder), name))
	return errors.Is(err, fs.ErrNotExist)
}

// differences returns one of the files in which two trees differ, and how many such files
// there are, 2 at most. Changes that are no change of one file count as two: a file that
// is gone, and one in another folder.
func differences(known tree[*writtenFile], wanted tree[[]byte]) (inFolder, name string, count int) {
	for folder, files := range known {
		for base := range files {
			if _, exists := wanted[folder][base]; !exists {
				return "", "", 2
			}
		}
	}
	for folder, files := range wanted {
		if known[folder] == nil {
			return "", "", 2
		}
		for base, data := range files {
			if was, exists := known[folder][base]; exists && bytes.Equal(was.data, data) {
				continue
			}
			if inFolder, name, count = folder, base, count+1; count == 2 {
				return "", "", 2
			}
		}
	}
	return inFolder, name, count
}

// replaceFile replaces the only file that differs, in one step: a reader sees the old tree
// or the new one. A new file is listed first: a process that is killed in between must not
// leave it as somebody else's.
func (w *Writer) replaceFile(folder, name string, data []byte) error {
	if !w.ours.hasFile(folder, name) {
		w.ours.add(folder, name)
		if err := w.ours.write(w.dir); err != nil {
			return err
		}
	}
	next, err := os.CreateTemp(filepath.Dir(w.dir), filepath.Base(w.dir)+".new-") // with mode 0600
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	if err = errors.Join(err, next.Close()); err != nil {
		err = fmt.Errorf("write %s: %w", path.Join(folder, name), cause(err))
	} else {
		err = w.moveInto(folder, name, next.Name())
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	w.spare.unlinked(folder, name)
	now := describe(w.dir, tree[[]byte]{folder: {name: data}}, w.began)
	if now == nil {
		w.written = nil
		return nil
	}
	w.written[folder][name] = now[folder][name]
	return nil
}

// moveInto moves a file into a folder of the tree, which no link leads out of.
func (w *Writer) moveInto(folder, name, file string) error {
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	into, err := root.Open(filepath.FromSlash(folder))
	if err != nil {
		return err
	}
	defer into.Close()
	return unix.Renameat(unix.AT_FDCWD, file, int(into.Fd()), name)
}

// writtenFile is a file as it was written, and as the system described it then. changed is
// the time at which anything about it was changed last, which no program can set.
type writtenFile struct {
	data          []byte
	device, inode uint64
	changed       unix.Timespec
	// settled is set if the last change was long enough before the content was compared: a
	// later one has another time.
	settled bool
}

// share makes files that are as wanted refer to the same bytes, so that those of an earlier
// workspace can go.
func share(known tree[*writtenFile], wanted tree[[]byte]) {
	for folder, files := range known {
		for name, file := range files {
			if data := wanted[folder][name]; bytes.Equal(file.data, data) {
				file.data = data
			}
		}
	}
}

// oneTick is longer than the system's clock for files needs to move on.
const oneTick = 50 * time.Millisecond

// untouched returns an error unless a file is as it was written. It reads the file only if
// the system's description cannot tell.
func untouched(folder *os.File, name string, was *writtenFile) error {
	now, err := describeFile(folder, name, was.data, time.Now())
	if err != nil {
		return err
	}
	if now.device != was.device || now.inode != was.inode || now.changed != was.changed {
		return errDiffers
	}
	if was.settled {
		return nil
	}
	was.settled = now.settled
	return checkFile(folder, name, was.data)
}

// describe returns how the system describes the files of a tree, or nil if they cannot be
// the ones that were written. Those that were not changed since some time have been
// compared after it; others are read when they are looked at next.
func describe(dir string, written tree[[]byte], since time.Time) tree[*writtenFile] {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	described := make(tree[*writtenFile], len(written))
	for name, files := range written {
		folder, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return nil
		}
		for base, data := range files {
			file, failed := describeFile(folder, base, data, since)
			described.set(name, base, file)
			err = errors.Join(err, failed)
		}
		if errors.Join(err, folder.Close()) != nil {
			return nil
		}
	}
	return described
}

// describeFile returns how the system describes a file, whose content was compared, or is,
// after some time. The error says that it cannot be the one that was written.
func describeFile(folder *os.File, name string, data []byte, since time.Time) (*writtenFile, error) {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(folder.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	if stat.Mode != unix.S_IFREG|0o600 || stat.Size != int64(len(data)) {
		return nil, errDiffers
	}
	settled := since.Sub(time.Unix(stat.Ctim.Unix())) > oneTick
	return &writtenFile{data: data, device: stat.Dev, inode: stat.Ino, changed: stat.Ctim, settled: settled}, nil
}
