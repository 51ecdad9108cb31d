package hooks

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"kargo"
)

// The variables of the shell that a hook has beside the environment.
const (
	// serviceVariable holds the name of the hook's service.
	serviceVariable = "SERVICE"
	// listVariable holds the compose files of the stack up to those of the hook's
	// service, as arguments of docker: "-c deploy/a.yml -c deploy/b.yml". A before
	// hook may change it.
	listVariable = "SERVICES_TO_DEPLOY"
)

// composeLists are the compose files of stacks, as hooks have changed them.
type composeLists map[string]*composeList

// composeList is the list of one stack. It grows from entry to entry: each hook
// sees the files of the entries before its own.
type composeList struct {
	files   []kargo.ComposeFile
	entries []string // those whose files are in the list, or were
	changed bool     // whether a hook changed it
}

// upTo returns the list that a hook sees: with the files of its own entry at the
// end.
func (l composeLists) upTo(workspace kargo.Workspace, hook hook) []kargo.ComposeFile {
	if l[hook.stack] == nil {
		l[hook.stack] = &composeList{}
	}
	list := l[hook.stack]
	for _, entry := range workspace.Env.List(kargo.SuffixStack.Of(hook.stack)) {
		list.add(workspace, hook.stack, entry)
		if entry == hook.service {
			break
		}
	}
	return list.files
}

// add puts the files of an entry at the end, once.
func (l *composeList) add(workspace kargo.Workspace, stack, entry string) {
	if !slices.Contains(l.entries, entry) {
		l.entries = append(l.entries, entry)
		l.files = append(l.files, kargo.FilesOfEntry(workspace, stack, entry)...)
	}
}

// change takes the list as a hook left it. A file that is new in the list belongs
// to the entry of the hook.
func (l composeLists) change(workspace kargo.Workspace, hook hook, was []kargo.ComposeFile, text string) kargo.Problems {
	if text == listText(was) {
		return nil
	}
	at := kargo.Place{File: hook.path, Line: lineOfList(workspace.Files[hook.path].Data)}
	paths, err := parseList(text, workspace.Root)
	if err != nil {
		return kargo.Problems{{Where: at, Message: listVariable + " " + err.Error(), Hint: `add files of the merged configuration, as in ` + listVariable + `+=" -c deploy/extra.yml"`}}
	}
	var problems kargo.Problems
	var files []kargo.ComposeFile
	for _, name := range paths {
		has := func(file kargo.ComposeFile) bool { return file.Path == name }
		if slices.ContainsFunc(files, has) {
			problems = append(problems, kargo.Problem{Warning: true, Where: at, Message: fmt.Sprintf("%s names %s twice; it is read once", listVariable, name)})
			continue
		}
		if i := slices.IndexFunc(was, has); i >= 0 {
			files = append(files, was[i])
		} else {
			files = append(files, kargo.ComposeFile{Entry: hook.service, Path: name, Named: at})
		}
	}
	if len(files) == 0 {
		return append(problems, kargo.Problem{Where: at, Message: fmt.Sprintf("%s is empty: the hook leaves stack %q no compose file", listVariable, hook.stack),
			Hint: `append to it, as in ` + listVariable + `+=" -c deploy/extra.yml"`})
	}
	l[hook.stack].files, l[hook.stack].changed = files, true
	return problems
}

// of returns the whole lists of the stacks whose list a hook has changed.
func (l composeLists) of(workspace kargo.Workspace) map[string][]kargo.ComposeFile {
	changed := map[string][]kargo.ComposeFile{}
	maps.Copy(changed, workspace.Hooked)
	for stack, list := range l {
		if !list.changed {
			continue
		}
		for _, entry := range workspace.Env.List(kargo.SuffixStack.Of(stack)) {
			list.add(workspace, stack, entry)
		}
		changed[stack] = list.files
	}
	return changed
}

// listText returns a list as the historic tool wrote it.
func listText(files []kargo.ComposeFile) string {
	var text strings.Builder
	for _, file := range files {
		text.WriteString(" -c " + file.Path)
	}
	return text.String()
}

// parseList returns the paths of a list, below the root of the merged
// configuration, where docker would have been started. The error continues a
// sentence about the list.
func parseList(text, root string) (paths []string, err error) {
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		name, isFile := strings.CutPrefix(word, "--compose-file=")
		switch {
		case isFile:
		case (word == "-c" || word == "--compose-file") && i+1 < len(words):
			i++
			name = words[i]
		case slices.Contains(alwaysSo, word):
			continue
		default:
			return nil, fmt.Errorf("has %q, and only compose files can be added (-c FILE)", word)
		}
		full := name
		if !path.IsAbs(name) {
			full = path.Join(root, name)
		}
		inside, ok := strings.CutPrefix(path.Clean(full), root+"/")
		if !ok {
			return nil, fmt.Errorf("has %s, which is not in the merged configuration", name)
		}
		paths = append(paths, inside)
	}
	return paths, nil
}

// alwaysSo are flags of docker that ask for what Kargo does anyway.
var alwaysSo = []string{"--prune", "--with-registry-auth", "--detach", "-d"}

// lineOfList returns the line of a script that first names the list; 0 if none
// does.
func lineOfList(script []byte) int {
	i := bytes.Index(script, []byte(listVariable))
	if i < 0 {
		return 0
	}
	return 1 + bytes.Count(script[:i], []byte("\n"))
}
