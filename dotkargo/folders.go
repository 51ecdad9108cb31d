package dotkargo

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"kargo"
)

// A container that has a folder of the tree bound still has that folder when another tree
// is in the place of the one that it began with. A service of which no file changed is not
// updated. So its folder must be in each tree: otherwise the folder would be empty for the
// container as soon as the old tree is removed.

// unchangedFolders returns the uppermost folders that are the same in two trees, with all
// that is in them.
func unchangedFolders(before tree[*writtenFile], wanted tree[[]byte]) []string {
	differs := map[string]bool{".": true} // a tree cannot be exchanged for itself
	mark := func(folder string) {
		for ; !differs[folder]; folder = path.Dir(folder) {
			differs[folder] = true
		}
	}
	for folder, files := range before {
		if !sameFiles(files, wanted[folder]) {
			mark(folder)
		}
	}
	uppermost := map[string]bool{}
	for folder := range wanted {
		if before[folder] == nil {
			mark(folder)
		}
	}
	for folder := range wanted {
		if differs[folder] {
			continue
		}
		for !differs[path.Dir(folder)] {
			folder = path.Dir(folder)
		}
		uppermost[folder] = true
	}
	folders := make([]string, 0, len(uppermost))
	for folder := range uppermost {
		folders = append(folders, folder)
	}
	slices.Sort(folders)
	return folders
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
// it. A folder with anything else has an entry for that.
func compared(dir string, wanted tree[[]byte]) tree[*writtenFile] {
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
			if slices.Contains(kargo.StateFolders, name) {
				return fs.SkipDir
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if inIt, err := os.ReadDir(at); err != nil || len(inIt) == 0 || info.Mode().Perm() != 0o700 {
				found.set(name, different, &writtenFile{})
			}
			return nil
		}
		folder, base := path.Dir(name), path.Base(name)
		data, exists := wanted[folder][base]
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

// keepFolders exchanges folders that are the same in two trees, and returns those that it
// has exchanged. Whoever reads them sees no difference. It leaves out what the file system
// cannot exchange.
func keepFolders(old, dir string, folders []string) (kept []string) {
	from, err := os.OpenRoot(old)
	if err != nil {
		return nil
	}
	defer from.Close()
	to, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer to.Close()
	for parent, names := range byParent(folders) {
		kept = append(kept, exchangeIn(from, to, parent, names)...)
	}
	return kept
}

// byParent returns the names of folders by the folder that they are in.
func byParent(folders []string) map[string][]string {
	all := map[string][]string{}
	for _, folder := range folders {
		all[path.Dir(folder)] = append(all[path.Dir(folder)], path.Base(folder))
	}
	return all
}

// exchangeIn exchanges folders that are in one folder of two trees.
func exchangeIn(from, to *os.Root, parent string, names []string) (exchanged []string) {
	source, err := from.Open(filepath.FromSlash(parent))
	if err != nil {
		return nil
	}
	defer source.Close()
	target, err := to.Open(filepath.FromSlash(parent))
	if err != nil {
		return nil
	}
	defer target.Close()
	for _, name := range names {
		if unix.Renameat2(int(source.Fd()), name, int(target.Fd()), name, unix.RENAME_EXCHANGE) == nil {
			exchanged = append(exchanged, path.Join(parent, name))
		}
	}
	return exchanged
}

// swapBelow exchanges what two trees know of a folder, and of all below it.
func swapBelow(a, b tree[*writtenFile], kept []string) {
	within := map[string]bool{}
	for _, folder := range kept {
		within[folder] = true
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
