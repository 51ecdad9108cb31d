// Package dotkargo writes the merged configuration to a disk, as the directory
// .kargo, where scripts and bind mounts of existing workspaces expect it.
//
// [Write] replaces the directory as a whole: a reader sees the old tree or the new
// one, never a mixture, even if the process is killed. Directories have mode 0700
// and files 0600, because the tree holds the plain content of the repository. Files
// that are encrypted in the repository are encrypted here, and files made from them
// are left out: no secret is written to a disk.
package dotkargo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
func Write(dir string, workspace kargo.Workspace) error {
	if err := recoverState(dir); err != nil {
		return fmt.Errorf("clean up beside %s: %w", dir, err)
	}
	if same(dir, workspace) {
		return seed(dir, workspace)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	next, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".new-")
	if err != nil {
		return err
	}
	if err := fill(next, dir, workspace); err != nil {
		return errors.Join(err, os.RemoveAll(next))
	}
	if err := swap(next, dir); err != nil {
		return errors.Join(fmt.Errorf("switch %s: %w", dir, err), os.RemoveAll(next))
	}
	// next is now the old tree, with its state.
	return errors.Join(recoverState(dir), seed(dir, workspace))
}

// seed writes files of the workspace that belong to a state directory, each only if
// it does not exist yet: acme.json is only the initial content.
func seed(dir string, workspace kargo.Workspace) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
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

func write(root *os.Root, name string, data []byte) error {
	local := filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		return err
	}
	return root.WriteFile(local, data, 0o600)
}

// fill writes the tree. A file that is the same in the old tree becomes a second link
// to it, which is much faster than to write it. The source checked every name; os.Root
// makes sure that no directory leads out of the tree, and names of files have no "/".
func fill(dir, old string, workspace kargo.Workspace) error {
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
	for name, files := range folders(workspace) {
		if err := fillFolder(root, before, name, files); err != nil {
			return err
		}
	}
	if err := write(root, ignoreFile, []byte(ignoreAll)); err != nil {
		return err
	}
	for _, name := range kargo.StateFolders {
		if err := root.MkdirAll(name, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// folders returns what the tree holds of a workspace without its state, by the path of
// the folder and the name of the file in it.
func folders(workspace kargo.Workspace) map[string]map[string][]byte {
	all := map[string]map[string][]byte{}
	for name, file := range workspace.Files {
		data, ok := file.OnDisk()
		if kargo.IsState(name) || !ok {
			continue
		}
		folder := path.Dir(name)
		if all[folder] == nil {
			all[folder] = map[string][]byte{}
		}
		all[folder][path.Base(name)] = data
	}
	return all
}

// fillFolder writes the files of one folder. before is the old tree, or nil.
func fillFolder(root, before *os.Root, name string, files map[string][]byte) error {
	local := filepath.FromSlash(name)
	if err := root.MkdirAll(local, 0o700); err != nil {
		return err
	}
	folder, err := root.Open(local)
	if err != nil {
		return err
	}
	defer folder.Close()
	var same *os.File // the folder in the old tree, or nil
	if before != nil {
		if same, err = before.Open(local); err == nil {
			defer same.Close()
		} else {
			same = nil
		}
	}
	for base, data := range files {
		if err := place(folder, same, base, data); err != nil {
			return fmt.Errorf("write %s: %w", path.Join(name, base), err)
		}
	}
	return nil
}

// place makes a file in a folder: a link to the one of the old folder, if that is the
// same and the file system has links.
func place(folder, old *os.File, name string, data []byte) error {
	if old != nil && unix.Linkat(int(old.Fd()), name, int(folder.Fd()), name, 0) == nil {
		if checkFile(folder, name, data) == nil {
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
	descriptor, err := unix.Openat(int(folder.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(descriptor), name), nil
}

// swap exchanges next and dir in one step. If the file system cannot, or dir does
// not exist yet, it renames.
func swap(next, dir string) error {
	err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		return os.Rename(next, dir)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		old := next + "-old"
		return errors.Join(os.Rename(dir, old), os.Rename(next, dir), os.Rename(old, next))
	}
	return err
}

// recoverState moves the state directories out of trees that a switch, or a process
// killed during one, left behind, and removes those trees.
func recoverState(dir string) error {
	leftovers, err := filepath.Glob(dir + ".new-*")
	if err != nil {
		return err
	}
	for _, leftover := range leftovers {
		for _, name := range kargo.StateFolders {
			if err := keepState(filepath.Join(leftover, name), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(leftover); err != nil {
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
	// valid.
	if present, err := os.ReadDir(to); err == nil && len(present) == 0 {
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

// same reports whether dir holds exactly the workspace's files, apart from its
// state.
func same(dir string, workspace kargo.Workspace) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	wanted := folders(workspace)
	if wanted["."] == nil {
		wanted["."] = map[string][]byte{}
	}
	wanted["."][ignoreFile] = []byte(ignoreAll)
	return checkFolder(root, ".", wanted) == nil && len(wanted) == 0
}

var errDiffers = errors.New("differs")

// checkFolder compares a folder and all below it with what they should hold. It deletes
// from wanted what it has found.
func checkFolder(root *os.Root, name string, wanted map[string]map[string][]byte) error {
	folder, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer folder.Close()
	info, err := folder.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm() != 0o700 {
		return errDiffers
	}
	if slices.Contains(kargo.StateFolders, name) {
		return nil
	}
	entries, err := folder.ReadDir(-1)
	if err != nil {
		return err
	}
	found := 0
	for _, entry := range entries {
		if entry.IsDir() {
			if err := checkFolder(root, path.Join(name, entry.Name()), wanted); err != nil {
				return err
			}
			continue
		}
		content, expected := wanted[name][entry.Name()]
		if !expected {
			return errDiffers
		}
		if err := checkFile(folder, entry.Name(), content); err != nil {
			return err
		}
		found++
	}
	if found < len(wanted[name]) {
		return errDiffers
	}
	delete(wanted, name)
	return nil
}

// checkFile compares a file with what it should hold. Somebody may have put a link, a
// pipe or a huge file in its place: only a regular file of the right size is read.
func checkFile(folder *os.File, name string, content []byte) error {
	file, err := openIn(folder, name, unix.O_RDONLY)
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
