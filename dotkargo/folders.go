package dotkargo

import (
	"bytes"
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
// This file decides which folders these are, and takeover.go moves them.

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
