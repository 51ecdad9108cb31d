// Package dotkargo writes the merged configuration to a disk, as the directory
// .kargo, where scripts and bind mounts of existing workspaces expect it.
//
// [Write] replaces the directory as a whole: a reader sees the old tree or the new
// one, never a mixture, even if the process is killed. Directories have mode 0700
// and files 0600, because the tree holds the plain content of the repository. Files
// that are encrypted in the repository are encrypted here, and files made from them
// are left out: no secret is written to a disk.
//
// A [Writer] does the same again and again. It remembers what it wrote, so that it reads
// no file that nobody has touched, and it keeps the tree before, so that it writes only
// what differs.
package dotkargo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"kargo"
)

// The tree lies in a workspace where commands run there. It ignores itself, so that
// `git add` takes none of it, whatever the workspace's own .gitignore says.
const (
	ignoreFile = ".gitignore"
	ignoreAll  = "*\n"
)

// Write makes dir hold the workspace's files and nothing else, except its state
// directories. If it does already, nothing is written.
func Write(dir string, workspace kargo.Workspace) error { return NewWriter(dir).write(workspace) }

// makeNext makes an empty directory beside dir, for a tree that replaces it.
func makeNext(dir string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	next, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".new-")
	if err != nil { // without its random name, so that the same trouble has the same words
		err = fmt.Errorf("make a directory beside it: %w", cause(err))
	}
	return next, err
}

// replace replaces the whole tree by the one in next, once fill has completed it. Then next
// is the old tree, without its state. It is removed if that fails. late reports that folders
// were kept which fill did not know of.
func replace(dir, next string, fill func() error) (late bool, err error) {
	if err := fill(); err != nil {
		return false, errors.Join(err, os.RemoveAll(next))
	}
	if err := swap(next, dir); err != nil {
		return false, errors.Join(fmt.Errorf("switch %s: %w", dir, err), os.RemoveAll(next))
	}
	if late, err = noteLate(next, dir); err != nil {
		return late, err
	}
	return late, takeOver(next, dir)
}

// takeOver moves what stays from the tree before to the present one: the state, and the
// folders that the present one lists.
func takeOver(old, dir string) error {
	return errors.Join(keepFolders(old, dir), keepStates(old, dir))
}

// seed makes the state directories, and writes files of the workspace that belong to one,
// each only if it does not exist yet: acme.json is only the initial content.
func seed(dir string, workspace kargo.Workspace) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range kargo.StateFolders { // somebody may have removed one
		if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for name, file := range workspace.Files {
		if !kargo.IsState(name) {
			continue
		}
		if _, err := root.Lstat(filepath.FromSlash(name)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if data, ok := file.OnDisk(); ok {
			if err := write(root, name, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes a file in one step.
func write(root *os.Root, name string, data []byte) error {
	local := filepath.FromSlash(name)
	next := filepath.Join(filepath.Dir(local), temporary)
	err := root.MkdirAll(filepath.Dir(local), 0o700)
	if err == nil {
		_ = root.Remove(next) // a killed process left it, or somebody made a link
		if err = root.WriteFile(next, data, 0o600); err == nil {
			err = root.Rename(next, local)
		}
		if err != nil {
			_ = root.Remove(next) // the error before says more
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, cause(err))
	}
	return nil
}

// tree has something for each file of the merged configuration without its state, by the
// path of the folder and the name of the file in it.
type tree[T any] map[string]map[string]T

func (t tree[T]) set(folder, name string, value T) {
	if t[folder] == nil {
		t[folder] = map[string]T{}
	}
	t[folder][name] = value
}

// fill writes a tree to dir. A file that is the same in the old tree becomes a second link
// to it, which is much faster than to write it. same reports whether that is known;
// otherwise the link is read. The source checked every name; os.Root makes sure that no
// directory leads out of the tree, and names of files have no "/".
func fill(dir, old string, wanted tree[[]byte], same func(folder, name string) bool) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	before, err := os.OpenRoot(old)
	if err == nil {
		defer before.Close()
	} else {
		before = nil // there is no old tree, or it is no directory
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) { // where the disk is full, it is so at the same file
		files := wanted[name]
		isSame := func(base string) bool { return same(name, base) }
		if err := fillFolder(root, before, name, files, isSame); err != nil {
			return err
		}
	}
	for _, name := range kargo.StateFolders {
		if err := root.MkdirAll(name, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// onDisk returns what the tree holds of a workspace.
func onDisk(workspace kargo.Workspace) tree[[]byte] {
	all := tree[[]byte]{}
	for name, file := range workspace.Files {
		if data, ok := file.OnDisk(); ok && !kargo.IsState(name) {
			all.set(path.Dir(name), path.Base(name), data)
		}
	}
	all.set(".", ignoreFile, []byte(ignoreAll))
	return all
}

// fillFolder writes the files of one folder. before is the old tree, or nil.
func fillFolder(root, before *os.Root, name string, files map[string][]byte, isSame func(name string) bool) error {
	local := filepath.FromSlash(name)
	if err := root.MkdirAll(local, 0o700); err != nil {
		return err
	}
	folder, err := root.Open(local)
	if err != nil {
		return err
	}
	defer folder.Close()
	var old *os.File // the folder in the old tree, or nil
	if before != nil {
		if old, err = before.Open(local); err == nil {
			defer old.Close()
		} else {
			old = nil
		}
	}
	for _, base := range slices.Sorted(maps.Keys(files)) {
		if err := place(folder, old, base, files[base], isSame(base)); err != nil {
			return fmt.Errorf("write %s: %w", path.Join(name, base), cause(err))
		}
	}
	return nil
}

// place makes a file in a folder: a link to the one of the old folder, if that is the
// same and the file system has links.
func place(folder, old *os.File, name string, data []byte, isSame bool) error {
	if old != nil && unix.Linkat(int(old.Fd()), name, int(folder.Fd()), name, 0) == nil {
		if isSame || checkFile(folder, name, data) == nil {
			return nil
		}
		if err := unix.Unlinkat(int(folder.Fd()), name, 0); err != nil {
			return err
		}
	}
	file, err := openIn(folder, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// openIn opens a file in a folder, and never what a symbolic link names. Each call is one
// of the system, which counts where there are thousands of files.
func openIn(folder *os.File, name string, flags int) (*os.File, error) {
	descriptor, err := unix.Openat(int(folder.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(descriptor), name), nil
}

// recoverState moves what stays out of trees that a switch, or a process
// killed during one, left behind, and removes those trees. It leaves the spare tree alone.
func recoverState(dir, spare string) error {
	if err := undoSwap(dir); err != nil {
		return err
	}
	leftovers, err := filepath.Glob(dir + ".new-*")
	if err != nil {
		return err
	}
	for _, leftover := range leftovers {
		if leftover == spare {
			continue
		}
		if err := takeOver(leftover, dir); err != nil {
			return err
		}
		if err := os.RemoveAll(leftover); err != nil {
			return err
		}
	}
	return removeKept(dir)
}

// keepStates moves what the state directories of one tree have into those of another one.
func keepStates(from, to string) error {
	for _, name := range kargo.StateFolders {
		if err := keepState(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// keepState moves every entry of one state directory that the other does not have.
// Entries that a running container has bound keep their inodes.
func keepState(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) || len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	// Exchanging the directories themselves keeps bind mounts of "acme" or "logs"
	// valid. A process that was killed in between has left none.
	switch present, err := os.ReadDir(to); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return os.Rename(from, to)
	case err == nil && len(present) == 0:
		if err := os.Remove(to); err != nil {
			return err
		}
		return os.Rename(from, to)
	}
	for _, entry := range entries {
		target := filepath.Join(to, entry.Name())
		if _, err := os.Lstat(target); errors.Is(err, fs.ErrNotExist) {
			if err := os.Rename(filepath.Join(from, entry.Name()), target); err != nil {
				return err
			}
		}
	}
	return nil
}

// holds reports whether dir holds a tree and nothing else that Kargo wrote, apart from its
// state. check returns an error if a file is not as it should be.
func holds[T any](dir string, wanted tree[T], ours *manifest, check func(folder *os.File, name string, wanted T) error) bool {
	folder, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer folder.Close()
	found, err := checkFolder(folder, ".", wanted, ours, check)
	return err == nil && found == len(wanted)
}

var errDiffers = errors.New("differs")

// checkFolder compares a folder and all below it with what they should hold. It returns
// how many folders of the tree it found.
func checkFolder[T any](folder *os.File, name string, wanted tree[T], ours *manifest, check func(folder *os.File, name string, wanted T) error) (found int, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(folder.Fd()), &stat); err != nil {
		return 0, err
	}
	if stat.Mode != unix.S_IFDIR|0o700 && (ours == nil || !mayHoldOthers(name)) {
		return 0, errDiffers
	}
	if slices.Contains(kargo.StateFolders, name) {
		return 0, nil
	}
	entries, err := folder.ReadDir(-1)
	if err != nil {
		return 0, err
	}
	files := 0
	for _, entry := range entries {
		if entry.IsDir() {
			if inIt := path.Join(name, entry.Name()); mayHoldOthers(inIt) && !ours.hasFolder(inIt) && wanted[inIt] == nil {
				continue
			}
			below, err := openIn(folder, entry.Name(), unix.O_RDONLY|unix.O_DIRECTORY)
			if err != nil {
				return 0, err
			}
			inIt, err := checkFolder(below, path.Join(name, entry.Name()), wanted, ours, check)
			if err = errors.Join(err, below.Close()); err != nil {
				return 0, err
			}
			found += inIt
			continue
		}
		file, expected := wanted[name][entry.Name()]
		if !expected {
			if isOwnFile(name, entry.Name()) || mayHoldOthers(name) && !ours.hasFile(name, entry.Name()) {
				continue
			}
			return 0, errDiffers
		}
		if err := check(folder, entry.Name(), file); err != nil {
			return 0, err
		}
		files++
	}
	if files < len(wanted[name]) {
		return 0, errDiffers
	}
	if files > 0 {
		found++
	}
	if found == 0 { // nothing makes an empty folder
		return 0, errDiffers
	}
	return found, nil
}

// checkFile compares a file with what it should hold. Somebody may have put a link, a
// pipe or a huge file in its place: only a regular file of the right size is read.
func checkFile(folder *os.File, name string, content []byte) error {
	file, err := openIn(folder, name, unix.O_RDONLY|unix.O_NONBLOCK) // a pipe must not keep it waiting
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Mode() != 0o600 || info.Size() != int64(len(content)) {
		return errDiffers
	}
	data := make([]byte, len(content))
	if _, err := io.ReadFull(file, data); err != nil {
		return err
	}
	if !bytes.Equal(data, content) {
		return errDiffers
	}
	return nil
}
