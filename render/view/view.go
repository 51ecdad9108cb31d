// Package view shows a workspace as one stack sees it (kargo.Workspace.For), and
// records what was read of it. A stack whose reads have the same answers in another
// workspace is rendered to the same there.
//
// What is here is all that package render may read while it renders one stack. A
// new way to read is a new method, which records its answer.
package view

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"kargo"
)

// Workspace is a workspace with what its views share. It does not change.
type Workspace struct {
	kargo.Workspace
	names []string // of files, sorted
}

// New prepares a workspace for the views of its stacks.
func New(ws kargo.Workspace) *Workspace {
	return &Workspace{Workspace: ws, names: slices.Sorted(maps.Keys(ws.Files))}
}

// secretsVariable holds the patterns of the names of secret variables.
const secretsVariable = "KARGO_SECRETS"

// View is a workspace as one stack sees it.
type View struct {
	ws    *Workspace
	scope kargo.Scope
	reads *recording // nil if nothing is recorded
}

// For returns a stack's view, which records nothing. Several goroutines may use it.
func (w *Workspace) For(stack string) View { return View{ws: w, scope: w.Scope(stack)} }

// Recorded returns the same view. It records what is read, so only one goroutine may
// use it.
func (v View) Recorded() View {
	v.reads = &recording{
		variables: map[string]variable{}, files: map[string]file{}, folders: map[string][]string{},
		lists: map[string][]kargo.ComposeFile{}, places: map[string]kargo.Place{}, hidden: map[string]bool{},
	}
	return v
}

// Unrecorded returns the same view, which records nothing more.
func (v View) Unrecorded() View {
	v.reads = nil
	return v
}

// variable is what can be read of a variable, apart from its place.
type variable struct {
	value         string
	set           bool // it has a value, which may be empty
	assigned      bool // a file assigns it
	fromCatalogue bool // the catalogue made the last assignment
}

func (v View) variable(name string) variable {
	read := v.peek(name)
	if v.reads != nil {
		v.reads.variables[name] = read
	}
	return read
}

// peek reads a variable and records nothing.
func (v View) peek(name string) (read variable) {
	read.value, read.set = v.scope.Lookup(name)
	at, assigned := v.scope.Line(name)
	read.assigned, read.fromCatalogue = assigned, at.File == kargo.FileEnvDefault
	return read
}

// Lookup returns a variable as os.LookupEnv does, for interpolation.
func (v View) Lookup(name string) (string, bool) {
	read := v.variable(name)
	return read.value, read.set
}

// Value returns the value of a variable, "" if it is not set.
func (v View) Value(name string) string { return v.variable(name).value }

// List splits a variable at blanks, such as <STACK>_STACK.
func (v View) List(name string) []string { return strings.Fields(v.Value(name)) }

// IsDefault reports whether the catalogue made a variable's last assignment.
func (v View) IsDefault(name string) bool { return v.variable(name).fromCatalogue }

// IsAssigned reports whether a file assigns a variable.
func (v View) IsAssigned(name string) bool { return v.variable(name).assigned }

// IsOwn reports whether another layer than the catalogue made a variable's last
// assignment.
func (v View) IsOwn(name string) bool {
	read := v.variable(name)
	return read.assigned && !read.fromCatalogue
}

// PlaceOf returns the place of a variable's last assignment; for one that was never
// assigned, the environment file of the user configuration, where it can be. It is
// for problems and for provenance: no part of a rendering may depend on it.
func (v View) PlaceOf(name string) kargo.Place {
	place := v.placeOf(name)
	if v.reads != nil {
		v.reads.places[name] = place
	}
	return place
}

func (v View) placeOf(name string) kargo.Place {
	if at, assigned := v.scope.Line(name); assigned {
		return at
	}
	return kargo.Place{File: kargo.FileEnv}
}

// Hides reports whether the name of a variable is that of a secret. It is for
// problems: no part of a rendering may depend on it.
func (v View) Hides(name string) bool {
	hidden := v.hides(name)
	if v.reads != nil {
		v.reads.hidden[name] = hidden
	}
	return hidden
}

func (v View) hides(name string) bool {
	patterns, _ := v.scope.Lookup(secretsVariable)
	const probe = "probe"
	return kargo.NewMask(nil, nil, strings.Fields(patterns)...).WithSecrets(nil, v.scope.SecretNames(), nil).Value(name, probe) != probe
}

// Root returns the absolute directory against which relative paths resolve.
func (v View) Root() string { return v.ws.Root } // is the same in all workspaces of a cache

// Directory is a stack directory.
type Directory struct {
	// Path is the directory below the root, Files are its compose files below the
	// root, lowest first.
	Path  string
	Files []string
}

// Directory returns the directory of the stack, if it lies in one.
func (v View) Directory() (Directory, bool) {
	directory, isOne := v.scope.Directory()
	return Directory{Path: directory.Path, Files: directory.Files}, isOne // is compared in any case
}

// ComposeFiles returns the compose files of the stack, which is one of STACKS: see
// kargo.Workspace.ComposeFiles.
func (v View) ComposeFiles(stack string) []kargo.ComposeFile {
	files := v.hooked(stack)
	if v.reads != nil {
		v.reads.lists[stack] = files
	}
	if files != nil {
		return files
	}
	return kargo.FilesOfEntries(v, stack)
}

// hooked returns the list of compose files if hooks have changed it, else nil.
func (v View) hooked(stack string) []kargo.ComposeFile { return v.ws.Hooked[stack] }

// file is what can be read of a file.
type file struct {
	kargo.File
	exists bool
	layer  string
}

func (v View) file(name string) file {
	read := v.peekFile(name)
	if v.reads != nil {
		v.reads.files[name] = read
	}
	return read
}

func (v View) peekFile(name string) (read file) {
	read.File, read.exists = v.ws.Files[name]
	read.layer = v.ws.LayerOf(read.File)
	return read
}

// same reports whether two answers about a file are the same.
func (f file) same(other file) bool {
	return f.exists == other.exists && f.layer == other.layer && f.Origin == other.Origin && f.Source == other.Source &&
		f.Executable == other.Executable && f.Secret == other.Secret && bytes.Equal(f.Data, other.Data)
}

// File returns a file by its path below the root.
func (v View) File(name string) (kargo.File, bool) {
	read := v.file(name)
	return read.File, read.exists
}

// Layer returns the name of the layer that a file came from.
func (v View) Layer(name string) string { return v.file(name).layer }

// Under returns the files at a path below the root, in order: the file itself, or
// all files of the folder, "." for all there are. Files in state folders are left
// out.
func (v View) Under(source string) []string {
	found := v.under(source)
	if v.reads != nil {
		v.reads.folders[source] = found
	}
	return found
}

func (v View) under(source string) []string {
	var found []string
	if _, isFile := v.ws.Files[source]; isFile && !kargo.IsState(source) {
		found = append(found, source)
	}
	folder := source + "/"
	if source == "." {
		folder = ""
	}
	first, _ := slices.BinarySearch(v.ws.names, folder)
	for _, name := range v.ws.names[first:] {
		if !strings.HasPrefix(name, folder) {
			break
		}
		if !kargo.IsState(name) {
			found = append(found, name)
		}
	}
	return found
}

// FileNames returns the paths of all files, in order, for a hint of an error. What
// reads them is never taken over, as each new file is another answer.
func (v View) FileNames() []string {
	if v.reads != nil {
		v.reads.unbounded = true
	}
	return v.ws.names
}

// Inside returns an absolute path as one below the root, "." for the root itself,
// and reports whether it is one.
func (v View) Inside(host string) (string, bool) {
	host, root := path.Clean(host), path.Clean(v.ws.Root)
	if host == root {
		return ".", true
	}
	return strings.CutPrefix(host, root+"/")
}
