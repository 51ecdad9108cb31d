package dotkargo

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Some file systems cannot exchange two names in one step, such as NFS, many of FUSE, and
// older ones of ZFS. There it takes three renames. A process that is killed between them
// leaves what the next one puts back first: nothing is lost, but for a moment there is no
// tree, or no folder.

// replaced is the end of the name of a tree while another one takes its place by renames.
const replaced = "-old"

// cannot reports whether a file system does not know the flags of a rename.
func cannot(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// swap exchanges two trees. If there is no dir yet, next becomes it.
func swap(next, dir string) error {
	err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.ENOENT):
		return os.Rename(next, dir)
	case cannot(err):
		return swapByRenames(next, dir)
	}
	return err
}

func swapByRenames(next, dir string) error {
	old := next + replaced
	switch err := os.Rename(dir, old); {
	case errors.Is(err, fs.ErrNotExist):
		return os.Rename(next, dir)
	case err != nil:
		return err
	}
	if err := os.Rename(next, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return os.Rename(old, next)
}

// undoSwap puts the tree back that a process has moved out of the way which was killed
// before it put the next one there.
func undoSwap(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil // whatever is wrong with it, the next step says
	}
	old, err := filepath.Glob(dir + ".new-*" + replaced)
	if err != nil || len(old) == 0 {
		return err
	}
	return os.Rename(old[0], dir)
}

// exchangeIn exchanges a folder that is in two folders. If the second one has none, the first
// one's is moved there.
func exchangeIn(source, target *os.File, name string) error {
	from, to := int(source.Fd()), int(target.Fd())
	err := unix.Renameat2(from, name, to, name, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.ENOENT):
		return unix.Renameat(from, name, to, name)
	case !cannot(err):
		return err
	}
	aside := asideOf(name)
	switch err := unix.Renameat(to, name, from, aside); {
	case errors.Is(err, unix.ENOENT):
		return unix.Renameat(from, name, to, name)
	case err != nil:
		return err
	}
	if err := unix.Renameat(from, name, to, name); err != nil {
		return errors.Join(err, unix.Renameat(from, aside, to, name))
	}
	return unix.Renameat(from, aside, from, name)
}

// asideOf returns the name that a folder has while another one takes its place. It tells of
// which folder it is, because a process may have been killed after that, too.
func asideOf(name string) string { return temporary + "-" + name }

// undoExchange puts a folder of the present tree back that a process has moved out of the way
// which was killed before it put the one of the old tree there.
func (t *takeover) undoExchange(folder string) error {
	source, err := openFolder(t.old, path.Dir(folder))
	if err != nil {
		return nil // nothing can have been moved
	}
	defer source.Close()
	aside := asideOf(path.Base(folder))
	var stat unix.Stat_t
	if unix.Fstatat(int(source.Fd()), aside, &stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return nil
	}
	target, err := openFolder(t.dir, path.Dir(folder))
	if err != nil {
		return nil
	}
	defer target.Close()
	if err := renameNew(int(source.Fd()), aside, int(target.Fd()), path.Base(folder)); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// renameNew renames what must not take the place of anything. Where the file system cannot
// see to that, nobody else makes such names.
func renameNew(from int, name string, to int, as string) error {
	err := unix.Renameat2(from, name, to, as, unix.RENAME_NOREPLACE)
	if !cannot(err) {
		return err
	}
	var stat unix.Stat_t
	if unix.Fstatat(to, as, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil {
		return unix.EEXIST
	}
	return unix.Renameat(from, name, to, as)
}
