package dotkargo

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// manifestFile lists the files that Kargo wrote into a tree. Everything else in a folder is
// what containers wrote: see mayHoldOthers.
const manifestFile = ".written"

// manifest is such a list. A nil one means that Kargo wrote everything: so it is with a tree
// that is not the present one, and with one that is not there yet.
type manifest struct {
	files   tree[struct{}]
	folders map[string]bool // and those that they are in
}

func (m *manifest) hasFile(folder, name string) bool {
	if m == nil {
		return true
	}
	_, exists := m.files[folder][name]
	return exists
}

func (m *manifest) hasFolder(folder string) bool { return m == nil || m.folders[folder] }

// lists reports whether the manifest has exactly the files of a tree.
func (m *manifest) lists(wanted tree[[]byte]) bool {
	if m == nil || len(m.files) != len(wanted) {
		return false
	}
	for folder, files := range wanted {
		if len(m.files[folder]) != len(files) {
			return false
		}
		for name := range files {
			if !m.hasFile(folder, name) {
				return false
			}
		}
	}
	return true
}

func manifestOf(wanted tree[[]byte]) *manifest {
	m := &manifest{tree[struct{}]{}, map[string]bool{}}
	for folder, files := range wanted {
		for name := range files {
			m.add(folder, name)
		}
	}
	return m
}

func (m *manifest) add(folder, name string) {
	m.files.set(folder, name, struct{}{})
	for at := folder; !m.folders[at]; at = path.Dir(at) {
		m.folders[at] = true
	}
}

// readManifest returns the list of a tree, or nil if it has none.
func readManifest(dir string) *manifest {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return nil
	}
	var names []string
	if json.Unmarshal(data, &names) != nil {
		return nil
	}
	m := &manifest{tree[struct{}]{}, map[string]bool{}}
	for _, name := range names {
		m.add(path.Dir(name), path.Base(name))
	}
	return m
}

// write writes the list into a tree, in one step.
func (m *manifest) write(dir string) error {
	names := []string{}
	for folder, files := range m.files {
		for name := range files {
			names = append(names, path.Join(folder, name))
		}
	}
	slices.Sort(names)
	data, err := json.Marshal(names)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return write(root, manifestFile, data)
}

// isOwnFile reports whether a file at the top of a tree is one of those in which Kargo notes
// what it does.
func isOwnFile(folder, name string) bool {
	return folder == "." && (name == manifestFile || name == temporary || name == keepFile)
}
