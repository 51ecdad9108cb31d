package dotkargo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A new tree lists the folders that stay before it takes the place of the old one. So a
// process that is killed leaves the list where the next one finds it.

// keepFile lists the folders that a tree still has to take over from the tree before.
const keepFile = ".keep"

// keptFolder is a folder that stays.
type keptFolder struct {
	Folder string `json:"folder"`
	// Inode tells the folder from the one that the new tree brought.
	Inode uint64 `json:"inode"`
	// Changed are the folders in it, or itself, whose files are not the same in the new tree.
	Changed []string `json:"changed,omitempty"`
}

// writeKept notes in a tree what it has to take over.
func writeKept(next string, kept []keptFolder) error {
	if len(kept) == 0 {
		return removeKept(next)
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(next, keepFile), data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", keepFile, cause(err))
	}
	return nil
}

// removeKept removes the list of what was to be taken over.
func removeKept(dir string) error {
	list := filepath.Join(dir, keepFile)
	if _, err := os.Lstat(list); err != nil { // most often; the disk may be read-only
		return nil
	}
	return os.Remove(list)
}

// readKept returns what a tree still has to take over.
func readKept(dir string) (kept []keptFolder, err error) {
	data, err := os.ReadFile(filepath.Join(dir, keepFile))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			return nil, nil
		}
		return nil, err
	}
	if json.Unmarshal(data, &kept) != nil {
		return nil, nil // somebody else wrote it
	}
	return kept, nil
}

// noteLate adds to what a tree has to take over the folders of the tree before in which
// others wrote while the new one was made. It reports whether there are any.
func noteLate(old, dir string) (late bool, err error) {
	before, now := readManifest(old), readManifest(dir)
	folders := foldersOfOthers(old, before)
	if len(folders) == 0 {
		return false, nil
	}
	kept, err := readKept(dir)
	if err != nil {
		return false, err
	}
	stays := map[string]bool{}
	for _, keep := range kept {
		stays[keep.Folder] = true
	}
	slices.Sort(folders)
	for _, folder := range folders {
		if isBelow(folder, stays) {
			continue
		}
		late, stays[folder] = true, true
		inode := inodeOf(filepath.Join(old, filepath.FromSlash(folder)))
		kept = append(kept, keptFolder{Folder: folder, Inode: inode, Changed: foldersBelow(folder, before, now)})
	}
	if !late {
		return false, nil
	}
	// A folder that is in another one is part of it then.
	slices.SortFunc(kept, func(a, b keptFolder) int { return strings.Compare(a.Folder, b.Folder) })
	data, err := json.Marshal(kept)
	if err != nil {
		return true, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return true, err
	}
	defer root.Close()
	return true, write(root, keepFile, data)
}

// foldersBelow returns a folder and those in it in which trees have files, in order of name.
func foldersBelow(folder string, trees ...*manifest) []string {
	found := map[string]bool{}
	for _, tree := range trees {
		if tree == nil {
			continue
		}
		for name := range tree.files {
			if name == folder || strings.HasPrefix(name, folder+"/") {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// keepFolders takes over the folders that a tree lists, from the tree before it. It may have
// been begun by a process that was killed.
func keepFolders(old, dir string) error {
	kept, err := readKept(dir)
	if err != nil || len(kept) == 0 {
		return err
	}
	move, err := openTrees(old, dir)
	if err != nil {
		return err
	}
	defer move.close()
	for _, keep := range kept {
		local := filepath.FromSlash(keep.Folder)
		if inodeOf(filepath.Join(old, local)) != keep.Inode {
			continue // it was taken over already
		}
		if err := move.keep(keep); err != nil {
			return fmt.Errorf("keep %s: %w", filepath.Join(dir, local), err)
		}
	}
	return nil
}

// takeover moves folders from the tree before to the present one.
type takeover struct {
	old, dir *os.File
	before   *manifest // what Kargo wrote in the tree before
	aside    int       // how many entries were put out of the way
}

func openTrees(old, dir string) (*takeover, error) {
	from, err := os.Open(old)
	if err != nil {
		return nil, err
	}
	to, err := os.Open(dir)
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	return &takeover{old: from, dir: to, before: readManifest(old)}, nil
}

func (t *takeover) close() {
	_ = t.old.Close() // nothing was written to either
	_ = t.dir.Close()
}

// keep makes a folder of the old tree hold the files of the present one, and exchanges it
// for the one there.
func (t *takeover) keep(keep keptFolder) error {
	if err := t.undoExchange(keep.Folder); err != nil {
		return err
	}
	for _, folder := range keep.Changed {
		if err := t.renew(folder); err != nil {
			return err
		}
	}
	for _, folder := range slices.Backward(keep.Changed) {
		if err := t.removeEmpty(folder, keep.Folder); err != nil {
			return err
		}
	}
	return t.exchange(keep.Folder)
}

// exchange exchanges a folder of the old tree for the one in the present tree. If that has
// none, the folder is moved there, unless it is gone, or a file is in its place.
func (t *takeover) exchange(folder string) error {
	source, err := openFolder(t.old, path.Dir(folder))
	if err != nil {
		return err
	}
	defer source.Close()
	name := path.Base(folder)
	var stat unix.Stat_t
	if unix.Fstatat(int(source.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return nil
	}
	target, err := walkFolder(t.dir, path.Dir(folder), func(parent *os.File, name string) error {
		if err := unix.Mkdirat(int(parent.Fd()), name, 0o700); !errors.Is(err, unix.EEXIST) {
			return err
		}
		return nil
	})
	if errors.Is(err, unix.ENOTDIR) {
		return nil // the workspace has a file there now
	}
	if err != nil {
		return err
	}
	defer target.Close()
	if unix.Fstatat(int(target.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return exchangeIn(source, target, name)
}

// renew makes a folder of the old tree hold the files that it has in the present one. Of what
// else is in it, only what Kargo wrote goes.
func (t *takeover) renew(folder string) error {
	from, err := openFolder(t.dir, folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	var into *os.File
	if from != nil {
		defer from.Close()
		into, err = t.makeFolder(folder)
	} else {
		into, err = openFolder(t.old, folder)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return nil
	case err != nil:
		return err
	}
	defer into.Close()
	wanted, err := t.replaceFiles(from, into)
	if err != nil {
		return err
	}
	entries, err := into.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() || wanted[entry.Name()] || !t.before.hasFile(folder, entry.Name()) {
			continue
		}
		if err := unix.Unlinkat(int(into.Fd()), entry.Name(), 0); err != nil {
			return err
		}
	}
	return nil
}

// replaceFiles links the files of one folder into another one, and returns their names.
func (t *takeover) replaceFiles(from, into *os.File) (names map[string]bool, err error) {
	if from == nil {
		return nil, nil
	}
	entries, err := from.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	names = map[string]bool{}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		names[entry.Name()] = true
		if err := t.replaceFile(from, into, entry.Name()); err != nil {
			return nil, fmt.Errorf("write %s: %w", entry.Name(), err)
		}
	}
	return names, nil
}

// temporary is the name of a file that is about to take the place of another one.
const temporary = ".kargo.new"

func (t *takeover) replaceFile(from, into *os.File, name string) error {
	source, target := int(from.Fd()), int(into.Fd())
	var is, was unix.Stat_t
	if err := unix.Fstatat(source, name, &is, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	exists := unix.Fstatat(target, name, &was, unix.AT_SYMLINK_NOFOLLOW) == nil
	if exists && is.Ino == was.Ino {
		return nil
	}
	if err := unix.Unlinkat(target, temporary, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	if unix.Linkat(source, name, target, temporary, 0) != nil {
		if err := copyFile(from, into, name); err != nil {
			return err
		}
	}
	if exists && was.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := t.putAside(into, name); err != nil {
			return err
		}
	}
	return unix.Renameat(target, temporary, target, name)
}

// copyFile copies a file to the temporary name in another folder, where the file system has
// no links.
func copyFile(from, into *os.File, name string) error {
	source, err := openIn(from, name, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := openIn(into, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// putAside moves what is in the way to the top of the old tree, which is removed.
func (t *takeover) putAside(folder *os.File, name string) error {
	for {
		t.aside++
		aside := fmt.Sprintf(".aside-%d", t.aside)
		err := renameNew(int(folder.Fd()), name, int(t.old.Fd()), aside)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
}

// removeEmpty removes a folder, and those that it is in, as long as they are empty and the
// present tree has none of them.
func (t *takeover) removeEmpty(folder, uppermost string) error {
	for at := folder; ; at = path.Dir(at) {
		if present, err := openFolder(t.dir, at); err == nil {
			return present.Close()
		}
		parent, err := openFolder(t.old, path.Dir(at))
		if err != nil {
			return nil // it is gone
		}
		err = unix.Unlinkat(int(parent.Fd()), path.Base(at), unix.AT_REMOVEDIR)
		_ = parent.Close() // nothing was written
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.ENOTDIR) {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		if at == uppermost {
			return nil
		}
	}
}

// openFolder opens a folder of a tree. No symbolic link leads to another one: containers may
// write to the folders.
func openFolder(root *os.File, folder string) (*os.File, error) {
	return walkFolder(root, folder, func(*os.File, string) error { return nil })
}

// makeFolder opens a folder of the old tree, and makes it before if there is none. What
// somebody put in the place of a folder goes.
func (t *takeover) makeFolder(folder string) (*os.File, error) {
	return walkFolder(t.old, folder, func(parent *os.File, name string) error {
		var stat unix.Stat_t
		err := unix.Fstatat(int(parent.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			return nil
		}
		if err == nil {
			if err := t.putAside(parent, name); err != nil {
				return err
			}
		}
		return unix.Mkdirat(int(parent.Fd()), name, 0o700)
	})
}

// walkFolder opens a folder step by step, and calls before for each step.
func walkFolder(root *os.File, folder string, before func(parent *os.File, name string) error) (*os.File, error) {
	at, err := openIn(root, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil || folder == "." {
		return at, err
	}
	for name := range strings.SplitSeq(folder, "/") {
		next := (*os.File)(nil)
		if err = before(at, name); err == nil {
			next, err = openIn(at, name, unix.O_RDONLY|unix.O_DIRECTORY)
		}
		_ = at.Close() // nothing was written
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}
