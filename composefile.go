package kargo

import (
	"slices"
	"strings"
)

// ComposeFile is one of the compose files that a stack of STACKS is read from.
type ComposeFile struct {
	// Entry is the entry of <STACK>_STACK that the file belongs to.
	Entry string
	// Path is the path of the file below Workspace.Root: "deploy/redis.yml".
	Path string
	// Named is the place that names the file.
	Named Place
}

// ComposeFiles returns the compose files of a stack of STACKS, in the order in
// which they are merged. They are as hooks left the list, or else those of each
// entry of <STACK>_STACK. An entry that is listed twice counts once.
func (w Workspace) ComposeFiles(stack string) []ComposeFile {
	if files, changed := w.Hooked[stack]; changed {
		return files
	}
	return FilesOfEntries(w, stack)
}

// EnvironmentWithPlaces is an environment that knows where each variable is
// assigned.
type EnvironmentWithPlaces interface {
	Lookup(variable string) (value string, set bool)
	PlaceOf(variable string) Place
}

// FilesOfEntries returns the compose files of all entries of <STACK>_STACK.
func FilesOfEntries(env EnvironmentWithPlaces, stack string) []ComposeFile {
	list, _ := env.Lookup(SuffixStack.Of(stack))
	var files []ComposeFile
	var seen []string
	for _, entry := range strings.Fields(list) {
		if !slices.Contains(seen, entry) {
			seen = append(seen, entry)
			files = append(files, FilesOfEntry(env, stack, entry)...)
		}
	}
	return files
}

// FilesOfEntry returns the compose files of one entry of <STACK>_STACK, lowest
// first: its own, and its extension if it has one.
func FilesOfEntry(env EnvironmentWithPlaces, stack, entry string) []ComposeFile {
	files := []ComposeFile{{entry, "deploy/" + entry + ".yml", env.PlaceOf(SuffixStack.Of(stack))}}
	variable := SuffixExtension.Of(entry)
	extension, _ := env.Lookup(variable)
	if extension = strings.TrimSpace(extension); extension != "" {
		files = append(files, ComposeFile{entry, "deploy/" + extension + ".yml", env.PlaceOf(variable)})
	}
	return files
}

// Lookup returns a variable of the workspace as os.LookupEnv does.
func (w Workspace) Lookup(variable string) (string, bool) { return w.Env.Lookup(variable) }
