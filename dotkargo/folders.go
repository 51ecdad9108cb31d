package dotkargo

import (
	"bytes"
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

	"kargo"
)

// A container that has a folder of the tree bound still has that folder when another tree
// is in the place of the one that it began with. A service of which no file changed is not
// updated. So its folder must be in each tree: otherwise the folder would be empty for the
// container as soon as the old tree is removed. What the container wrote must stay in it,
// too. So such folders of the old tree get the files of the new one, and are exchanged for
// those there. Whoever reads the new tree sees no difference.
//
// The new tree lists the folders in keepFile before it takes the place of the old one. So a
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

// mayHoldOthers reports whether files that Kargo did not write may be in a folder. It runs
// scripts and builds in the others, and renders from deploy: nothing may be added there.
func mayHoldOthers(folder string) bool {
	first, _, _ := strings.Cut(folder, "/")
	return !slices.Contains([]string{".", "build", "deploy", "scripts"}, first) && !kargo.IsState(folder)
}

// foldersToKeep returns the folders of the present tree that stay: those of which no file
// changed, the state, and those in which others wrote. Where it is not known what was
// written, others may have changed any file.
func (w *Writer) foldersToKeep(before tree[*writtenFile], wanted tree[[]byte], isKnown bool) ([]keptFolder, error) {
	changed := changedFolders(before, wanted)
	folders := map[string]bool{}
	for _, name := range slices.Concat(kargo.StateFolders, unchangedFolders(before, wanted), foldersOfOthers(w.dir, w.ours)) {
		folders[name] = true
	}
	for _, name := range changed {
		if !isKnown && mayHoldOthers(name) {
			folders[name] = true
		}
	}
	changedIn := map[string][]string{} // by the folders that they are, or are in
	for _, name := range changed {
		for at := name; at != "."; at = path.Dir(at) {
			changedIn[at] = append(changedIn[at], name)
		}
	}
	var kept []keptFolder
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		inode := inodeOf(filepath.Join(w.dir, filepath.FromSlash(folder)))
		if inode == 0 || isBelow(path.Dir(folder), folders) {
			continue
		}
		for _, name := range changedIn[folder] {
			if err := mayChange(filepath.Join(w.dir, filepath.FromSlash(name))); err != nil {
				return nil, err
			}
		}
		kept = append(kept, keptFolder{Folder: folder, Inode: inode, Changed: changedIn[folder]})
	}
	return kept, nil
}

// isBelow reports whether a folder is one of some folders, or in one of them.
func isBelow(folder string, folders map[string]bool) bool {
	for ; folder != "."; folder = path.Dir(folder) {
		if folders[folder] {
			return true
		}
	}
	return false
}

// foldersOfOthers returns the folders of a tree in which something is that Kargo did not write.
func foldersOfOthers(dir string, ours *manifest) (folders []string) {
	if ours == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return nil // what cannot be read is asked for again before it is changed
		}
		relative, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		folder := path.Dir(name)
		switch {
		case !mayHoldOthers(name) && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() && ours.hasFolder(name), !entry.IsDir() && (folder == "." || ours.hasFile(folder, path.Base(name))):
			return nil
		case folder == ".":
			folder = name // a tree cannot be exchanged for itself
		}
		folders = append(folders, folder)
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return folders
}

// mayChange returns an error if files of a folder cannot be replaced: a container may have
// given the folder to another user. It is asked before anything is changed.
func mayChange(folder string) error {
	if inodeOf(folder) == 0 {
		return nil // a folder will be there
	}
	err := unix.Faccessat(unix.AT_FDCWD, folder, unix.R_OK|unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "change files in", Path: folder, Err: err}
}

func inodeOf(name string) uint64 {
	var stat unix.Stat_t
	if err := unix.Lstat(name, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return 0
	}
	return stat.Ino
}

// changedFolders returns the folders whose files differ in two trees, in order of name.
func changedFolders(before tree[*writtenFile], wanted tree[[]byte]) []string {
	changed := map[string]bool{}
	for folder, files := range before {
		if !sameFiles(files, wanted[folder]) {
			changed[folder] = true
		}
	}
	for folder := range wanted {
		if before[folder] == nil {
			changed[folder] = true
		}
	}
	return slices.Sorted(maps.Keys(changed))
}

// unchangedFolders returns the uppermost folders that are the same in two trees, with all
// that is in them.
func unchangedFolders(before tree[*writtenFile], wanted tree[[]byte]) []string {
	differs := map[string]bool{".": true} // a tree cannot be exchanged for itself
	for _, folder := range changedFolders(before, wanted) {
		for ; !differs[folder]; folder = path.Dir(folder) {
			differs[folder] = true
		}
	}
	uppermost := map[string]bool{}
	for folder := range wanted {
		if differs[folder] {
			continue
		}
		for !differs[path.Dir(folder)] {
			folder = path.Dir(folder)
		}
		uppermost[folder] = true
	}
	return slices.Sorted(maps.Keys(uppermost))
}

func sameFiles(before map[string]*writtenFile, wanted map[string][]byte) bool {
	if len(before) != len(wanted) {
		return false
	}
	for name, file := range before {
		if data, exists := wanted[name]; !exists || !bytes.Equal(file.data, data) {
			return false
		}
	}
	return true
}

// different stands in a tree for what nobody wants in a folder. It is no name of a file.
const different = "/"

// compared returns what a directory has of a wanted tree, where nothing else is known of
// it. A folder with anything else that Kargo wrote has an entry for that.
func compared(dir string, wanted tree[[]byte], ours *manifest) tree[*writtenFile] {
	found := tree[*writtenFile]{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		if entry.IsDir() {
			if slices.Contains(kargo.StateFolders, name) || mayHoldOthers(name) && !ours.hasFolder(name) {
				return fs.SkipDir
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if inIt, err := os.ReadDir(at); err != nil || len(inIt) == 0 || info.Mode().Perm() != 0o700 && !mayHoldOthers(name) {
				found.set(name, different, &writtenFile{})
			}
			return nil
		}
		folder, base := path.Dir(name), path.Base(name)
		data, exists := wanted[folder][base]
		if !exists && mayHoldOthers(folder) && !ours.hasFile(folder, base) {
			return nil
		}
		if exists {
			opened, err := os.Open(filepath.Dir(at))
			if err != nil {
				return err
			}
			exists = checkFile(opened, base, data) == nil
			_ = opened.Close() // nothing was written
		}
		if !exists {
			base = different
		}
		found.set(folder, base, &writtenFile{data: data})
		return nil
	})
	if err != nil {
		return nil // nothing is known to be the same
	}
	return found
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

// keepFolders takes over the folders that a tree lists, from the tree before it. It may have
// been begun by a process that was killed.
func keepFolders(old, dir string) error {
	list := filepath.Join(dir, keepFile)
	data, err := os.ReadFile(list)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			return nil
		}
		return err
	}
	var kept []keptFolder
	if json.Unmarshal(data, &kept) != nil {
		return nil // somebody else wrote it
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

// exchangeIn exchanges a folder that is in two folders. If the second one has none, the first
// one's is moved there.
func exchangeIn(source, target *os.File, name string) error {
	from, to := int(source.Fd()), int(target.Fd())
	err := unix.Renameat2(from, name, to, name, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.ENOENT):
		err = unix.Renameat(from, name, to, name)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS): // the file system cannot
		err = errors.Join(unix.Renameat(to, name, from, name+".new"), unix.Renameat(from, name, to, name))
	}
	return err
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
		err := unix.Renameat2(int(folder.Fd()), name, int(t.old.Fd()), aside, unix.RENAME_NOREPLACE)
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

// swapBelow exchanges what two trees know of a folder, and of all below it.
func swapBelow(a, b tree[*writtenFile], kept []keptFolder) {
	within := map[string]bool{}
	for _, keep := range kept {
		within[keep.Folder] = true
	}
	for folder := range a {
		for at := folder; at != "."; at = path.Dir(at) {
			if within[at] {
				a[folder], b[folder] = b[folder], a[folder]
				break
			}
		}
	}
}

// renewed makes what is known of a tree right for the folders that were kept and have changed:
// now they hold what is wanted.
func renewed[T any](known tree[T], kept []keptFolder, wanted tree[[]byte], file func(data []byte) T) {
	for _, keep := range kept {
		for _, folder := range keep.Changed {
			delete(known, folder)
			for name, data := range wanted[folder] {
				known.set(folder, name, file(data))
			}
		}
	}
}
