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
// makes sure that none leads out of the directory.
func fill(dir, old string, workspace kargo.Workspace) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	both, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer both.Close()
	for name, file := range workspace.Files {
		data, ok := file.OnDisk()
		if kargo.IsState(name) || !ok {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(name)), 0o700); err != nil {
			return err
		}
		from, to := filepath.Join(filepath.Base(old), name), filepath.Join(filepath.Base(dir), name)
		if both.Link(from, to) == nil && isFile(root, name, data) {
			continue
		}
		// There is no such file in the old tree, it is another one, or the file system
		// has no links.
		if err := root.RemoveAll(filepath.FromSlash(name)); err != nil {
			return err
		}
		if err := write(root, name, data); err != nil {
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

// isFile reports whether a file, itself and not a link to another, has a content.
func isFile(root *os.Root, name string, content []byte) bool {
	info, err := root.Lstat(filepath.FromSlash(name))
	return err == nil && info.Mode().IsRegular() && checkFile(root, name, content) == nil
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
	missing := map[string]bool{ignoreFile: true}
	for name, file := range workspace.Files {
		if _, ok := file.OnDisk(); ok && !kargo.IsState(name) {
			missing[name] = true
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return checkDir(name, entry)
		case !missing[name] || !entry.Type().IsRegular():
			return errDiffers
		}
		delete(missing, name)
		content, _ := workspace.Files[name].OnDisk()
		if name == ignoreFile {
			content = []byte(ignoreAll)
		}
		return checkFile(root, name, content)
	})
	return err == nil && len(missing) == 0
}

// checkFile compares a file with what it should hold. Somebody may have put a pipe
// or a huge file in its place: only a regular file of the right size is read.
func checkFile(root *os.Root, name string, content []byte) error {
	file, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|unix.O_NONBLOCK, 0)
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
	data, err := io.ReadAll(io.LimitReader(file, int64(len(content))))
	if err == nil && !bytes.Equal(data, content) {
		return errDiffers
	}
	return err
}

var errDiffers = errors.New("differs")

// checkDir checks the mode of a directory, and skips state directories.
func checkDir(name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if info.Mode().Perm() != 0o700 {
		return errDiffers
	}
	if slices.Contains(kargo.StateFolders, name) {
		return fs.SkipDir
	}
	return nil
}
