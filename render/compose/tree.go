package compose

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"kargo"
	"kargo/render/view"
	"kargo/spelling"
)

// Tree is the merged configuration as the files of one stack refer to it. It
// notes which of its files the stack is made of.
type Tree struct {
	ws        view.View
	report    *Report
	directory string          // where relative paths of the stack start
	used      map[string]bool // by path below root
}

func newTree(ws view.View, report *Report) *Tree {
	return &Tree{ws: ws, report: report, directory: path.Join(ws.Root(), "deploy"), used: map[string]bool{}}
}

// startWith makes relative paths start in the folder of the first file, as
// `docker stack deploy` does.
func (t *Tree) startWith(files []*File) {
	if len(files) > 0 {
		t.directory = path.Join(t.ws.Root(), path.Dir(files[0].Path))
	}
}

// Directory returns the absolute path where relative paths of the stack start.
func (t *Tree) Directory() string { return t.directory }

// File finds a file of the merged configuration by its path in a compose file,
// relative or absolute. It returns its path below the root. Where there is no
// such file, or it is not in the merged configuration, File reports that at the
// given place and returns false.
func (t *Tree) File(at kargo.Place, name string) (string, kargo.File, bool) {
	if name == "" {
		t.report.Fail(at, "", "the path of a file is empty")
		return "", kargo.File{}, false
	}
	inside, err := t.pathOf(name)
	if err != nil {
		t.report.Fail(at, "put the file into the workspace", "%s", err)
		return "", kargo.File{}, false
	}
	file, ok := t.ws.File(inside)
	if !ok && len(t.ws.Under(inside)) > 0 {
		t.report.Fail(at, "name a file in it", "%s is a folder, not a file", inside)
		return "", kargo.File{}, false
	}
	if !ok {
		t.report.Fail(at, cmp.Or(spelling.DidYouMean(inside, t.ws.FileNames()), t.hint(name, inside)), "there is no file %s", inside)
		return "", kargo.File{}, false
	}
	t.Use(inside)
	return inside, file, true
}

// hint helps with a file that is not there and resembles none.
func (t *Tree) hint(name, inside string) string {
	_, isDirectory := t.ws.Directory()
	switch {
	case path.Base(inside) == kargo.FileEnv:
		return "variables of .env reach a service by environment: [NAME]"
	case isDirectory || path.IsAbs(name) || !strings.HasPrefix(inside, "deploy/"):
		return ""
	}
	return "paths start in deploy/: put the file into configs/ and write ../configs/" + path.Base(inside)
}

// pathOf turns a path of a compose file into one below the root. Any other path
// would be read on the machine of the controller.
func (t *Tree) pathOf(name string) (string, error) {
	if strings.HasPrefix(name, "~") {
		return "", fmt.Errorf(`%s: "~" would be a home directory of the controller`, name)
	}
	full := name
	if !path.IsAbs(name) {
		full = path.Join(t.directory, name)
	}
	inside, ok := t.Inside(full)
	if !ok || inside == "." {
		return "", fmt.Errorf("%s is not in the merged configuration, and files of the host are not read", name)
	}
	return inside, nil
}

// Inside returns an absolute path as one below the root, "." for the root
// itself, and reports whether it is one.
func (t *Tree) Inside(host string) (string, bool) { return t.ws.Inside(host) }

// Under returns the files at a path below the root, in order: the file itself,
// or all files of the folder. Files in state folders are left out.
func (t *Tree) Under(source string) []string { return t.ws.Under(source) }

// Get returns a file by its path below the root.
func (t *Tree) Get(name string) kargo.File {
	file, _ := t.ws.File(name)
	return file
}

// Use notes that the stack is made of a file.
func (t *Tree) Use(name string) { t.used[name] = true }
