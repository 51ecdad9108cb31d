package merge

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
	"kargo/spelling"
)

// A stack may lie in a directory of its own, stacks/NAME, with its compose file
// and all that this refers to. kargo.yml may name other places than stacks/,
// further compose files, and directories that are no stacks.

// Keys of kargo.yml about stack directories.
const (
	keyDirectories = "directories" // at the top: where stack directories lie
	keyNotStacks   = "not-stacks"  // at the top: directories that are no stacks
	keyFiles       = "files"       // of a stack: its compose files, lowest first
)

// layout is what the kargo.yml of one layer says of stack directories.
type layout struct {
	places    []located // nil where it names none
	notStacks []located
	files     map[string][]located // by the name of the stack
}

// located is a word of kargo.yml and its line.
type located struct {
	word string
	line int
}

func (l located) at() kargo.Place { return kargo.Place{File: settingsFile, Line: l.line} }

// readLayout reads the keys about stack directories. It accepts all that
// readSettings refuses, but for what is no YAML: then it is not known where the
// stacks lie, and readLayout returns false.
func readLayout(data []byte) (layout, bool) {
	l := layout{files: map[string][]located{}}
	var document yaml.Node
	if len(data) > maxFile || yaml.NewDecoder(bytes.NewReader(data)).Decode(&document) != nil {
		return l, len(data) == 0
	}
	for key, value := range pairs(document.Content[0]) {
		switch key {
		case keyDirectories:
			l.places = locatedWords(value)
		case keyNotStacks:
			l.notStacks = locatedWords(value)
		case "stacks":
			for stack, settings := range pairs(value) {
				for key, value := range pairs(settings) {
					if key == keyFiles {
						l.files[stack] = locatedWords(value)
					}
				}
			}
		}
	}
	return l, true
}

// pairs calls yield for the keys and values of a mapping, in order.
func pairs(node *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if !yield(node.Content[i].Value, node.Content[i+1]) {
				return
			}
		}
	}
}

// locatedWords returns the words of a scalar or of a list of scalars.
func locatedWords(node *yaml.Node) []located {
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	words := []located{}
	for _, item := range items {
		if item.Kind == yaml.ScalarNode && item.Value != "" {
			words = append(words, located{item.Value, item.Line})
		}
	}
	return words
}

// placesOf returns the folders of a layer that have stack directories, checked.
func placesOf(l layer) ([]string, kargo.Problems) {
	data, err := fs.ReadFile(l.files.FS, settingsFile)
	if l.top[settingsFile] == "" || err != nil {
		return kargo.StackPlaces, nil // the reader of the layer reports an error
	}
	read, _ := readLayout(data)
	if read.places == nil {
		return kargo.StackPlaces, nil
	}
	var places []string
	var problems kargo.Problems
	for _, place := range read.places {
		clean := path.Clean(place.word)
		message, hint := "", ""
		switch info, err := fs.Stat(l.files.FS, clean); {
		case !fs.ValidPath(clean):
			message, hint = "leads out of the workspace", "name a folder of the workspace, or . for its top"
		case clean != "." && isReserved(clean):
			message, hint = "is a folder with another meaning for Kargo", "put the stacks into a folder of another name"
		case err != nil || !info.IsDir():
			message, hint = "is no folder of the workspace", "stacks that lay there would be removed; correct the name, or take it out of the list"
		default:
			places = append(places, clean)
			continue
		}
		problems = append(problems, kargo.Problem{Where: place.at(), Message: fmt.Sprintf("%s: %q %s", keyDirectories, place.word, message), Hint: hint})
	}
	return places, problems
}

// isReserved reports whether a path has another meaning than that of a place of
// stack directories.
func isReserved(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return strings.HasPrefix(first, ".") || slices.Contains(kargo.StateFolders, first) ||
		slices.Contains(kargo.LayerFolders, first) && !slices.Contains(kargo.StackPlaces, first)
}

// walkPlaces visits the files of a layer's stack directories that lie outside
// of kargo.LayerFolders, which are visited anyway.
func walkPlaces(files fs.FS, places []string, visit fs.WalkDirFunc) error {
	for _, place := range places {
		var err error
		switch {
		case place == ".":
			err = walkTop(files, places, visit)
		case !kargo.IsLayerPart(place):
			err = fs.WalkDir(files, place, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walkTop visits the plain files at the top of a layer and the directories there
// that look like stacks. A repository holds much else there.
func walkTop(files fs.FS, places []string, visit fs.WalkDirFunc) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil && len(entries) == 0 { // else one of the entries is refused, which the loop says where it matters
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case strings.HasPrefix(name, "."), kargo.IsLayerPart(name), slices.Contains(places, name):
		case entry.Type().IsRegular():
			err = visit(name, entry, nil)
		case entry.IsDir() && looksLikeStack(files, name), !entry.IsDir() && path.Ext(name) == "":
			err = fs.WalkDir(files, name, visit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// looksLikeStack reports whether a directory has a file that makes it a stack, or
// one that may be meant to.
func looksLikeStack(files fs.FS, directory string) bool {
	entries, err := fs.ReadDir(files, directory)
	if err != nil {
		return true // the walk reports it
	}
	return slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
		if kargo.IsComposeFile(entry.Name()) {
			return true
		}
		data, err := fs.ReadFile(files, path.Join(directory, entry.Name()))
		return err == nil && isYAML(entry.Name()) && hasServices().Match(data)
	})
}

// hasServices finds the section that every compose file has.
var hasServices = pattern.Lazy(`(?m)^services\s*:`)

func isYAML(name string) bool { return path.Ext(name) == ".yml" || path.Ext(name) == ".yaml" }

// directoryName is what the name of a stack directory may be: it is the start of
// names in Swarm.
var directoryName = pattern.Lazy(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// directories finds the stack directories of a merged configuration.
type directories struct {
	ws       *kargo.Workspace
	places   []string
	layout   layout
	found    map[string]kargo.StackDirectory
	problems kargo.Problems
}

// readDirectories adds the stack directories to a workspace. A directory that
// does not say which its compose files are is a problem: to leave it out would
// remove what runs.
func readDirectories(ws *kargo.Workspace, places, paths []string) kargo.Problems {
	read, _ := readLayout(ws.Files[settingsFile].Data)
	d := directories{ws: ws, places: places, layout: read, found: map[string]kargo.StackDirectory{}}
	top := map[string][]string{} // files directly in each directory
	for _, name := range paths {
		if directory := d.directoryOf(name); directory != "" {
			inside := strings.TrimPrefix(name, directory+"/")
			top[directory] = append(top[directory], inside)
		}
	}
	d.warnOfFiles(paths)
	for _, directory := range slices.Sorted(maps.Keys(top)) {
		d.add(directory, top[directory])
	}
	for _, name := range slices.Sorted(maps.Keys(d.found)) {
		ws.Directories = append(ws.Directories, d.found[name])
	}
	return d.problems
}

// directoryOf returns the stack directory that a file lies in, "" where it lies
// in none. Of nested places the innermost counts.
func (d *directories) directoryOf(file string) string {
	found := ""
	for _, place := range d.places {
		inside, below := strings.CutPrefix(file, place+"/")
		if place == "." {
			inside, below = file, !kargo.IsLayerPart(file)
		}
		name, _, nested := strings.Cut(inside, "/")
		directory := path.Join(place, name)
		if !below || !nested || len(directory) < len(found) || strings.HasPrefix(name, ".") || d.isPlace(directory) || d.isNoStack(directory) {
			continue
		}
		found = directory
	}
	return found
}

// warnOfFiles warns of compose files that lie beside the directories of stacks.
func (d *directories) warnOfFiles(paths []string) {
	for _, name := range paths {
		place, file := path.Dir(name), path.Base(name)
		if place == "." || !slices.Contains(d.places, place) || !isYAML(file) || !hasServices().Match(d.ws.Files[name].Data) {
			continue
		}
		d.problems = append(d.problems, kargo.Problem{Where: kargo.Place{File: name}, Warning: true, Message: "is not read: a stack has a directory of its own",
			Hint: fmt.Sprintf("move it to %s/compose.yml", strings.TrimSuffix(name, path.Ext(name)))})
	}
}

// isPlace reports whether a directory is a place of stack directories, or on the
// way to one.
func (d *directories) isPlace(directory string) bool {
	return slices.ContainsFunc(d.places, func(place string) bool { return strings.HasPrefix(place+"/", directory+"/") })
}

func (d *directories) isNoStack(directory string) bool {
	return slices.ContainsFunc(d.layout.notStacks, func(l located) bool {
		return l.word == path.Base(directory) || path.Clean(l.word) == directory
	})
}

func (d *directories) fail(at kargo.Place, hint, format string, args ...any) {
	d.problems = append(d.problems, kargo.Problem{Where: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// add adds one directory with the paths of its files below it.
func (d *directories) add(directory string, files []string) {
	stack := kargo.StackDirectory{Name: path.Base(directory), Path: directory}
	at := kargo.Place{File: directory}
	variable := kargo.SuffixStack.Of(stack.Name)
	other, taken := d.found[stack.Name]
	switch where, listed := d.ws.Lines[variable]; {
	case kargo.IsState(directory):
		d.fail(at, "rename the directory", "is a folder that services write to, and cannot be a stack")
		return
	case stack.Name == kargo.AllStacks:
		d.fail(at, "rename the directory", "%q means every stack and cannot be the name of one", stack.Name)
		return
	case !directoryName().MatchString(stack.Name):
		d.fail(at, "rename the directory", "%q cannot be the name of a stack: letters, digits, -, _ and dots", stack.Name)
		return
	case taken:
		d.fail(at, "rename one of them", "%s is a stack of the same name", other.Path)
		return
	case listed && where.File != envDefault:
		d.fail(where, "rename one of the two", "%s lists the services of stack %q, which has a directory, too: %s", variable, stack.Name, directory)
	}
	for _, file := range d.composeFiles(stack, files) {
		stack.Files = append(stack.Files, path.Join(directory, file))
	}
	d.problems = append(d.problems, readStackEnv(*d.ws, &stack)...)
	d.found[stack.Name] = stack
}

// composeFiles returns the compose files of a directory: those that kargo.yml
// names, or the first that has one of the usual names.
func (d *directories) composeFiles(stack kargo.StackDirectory, files []string) []string {
	at := kargo.Place{File: stack.Path}
	if named := d.layout.files[stack.Name]; len(named) > 0 {
		var existing []string
		for _, file := range named {
			if !slices.Contains(files, path.Clean(file.word)) {
				d.fail(file.at(), spelling.DidYouMean(file.word, files), "stacks.%s.%s: there is no file %s/%s", stack.Name, keyFiles, stack.Path, file.word)
				continue
			}
			existing = append(existing, path.Clean(file.word))
		}
		return existing
	}
	var usual, alike []string
	for _, name := range kargo.ComposeNames {
		for _, ending := range []string{".yml", ".yaml"} {
			if slices.Contains(files, name+ending) {
				usual = append(usual, name+ending)
			}
		}
	}
	for _, file := range files {
		if isYAML(file) && !strings.Contains(file, "/") && hasServices().Match(d.ws.Files[path.Join(stack.Path, file)].Data) {
			alike = append(alike, file)
		}
	}
	switch {
	case len(usual) == 0 && len(alike) > 0:
		d.fail(at, fmt.Sprintf("rename %s to compose.yml, or write into kargo.yml: stacks: {%s: {files: [%s]}}", alike[0], stack.Name, strings.Join(alike, ", ")),
			"has no compose file of a usual name")
	case len(usual) == 0:
		d.fail(at, fmt.Sprintf("add compose.yml; if it is no stack, write into kargo.yml: not-stacks: [%s]", stack.Name),
			"has no compose file: compose.yml, docker-compose.yml, docker-stack.yml or stack.yml")
	case len(usual) > 1:
		for _, other := range usual[1:] {
			d.problems = append(d.problems, kargo.Problem{Where: kargo.Place{File: path.Join(stack.Path, other)}, Warning: true,
				Message: "is not read: " + usual[0] + " counts",
				Hint:    fmt.Sprintf("remove one, or write into kargo.yml which count: stacks: {%s: {files: [%s]}}", stack.Name, strings.Join(usual, ", "))})
		}
		return usual[:1]
	}
	return usual
}

// checkCoveredLayout reports a kargo.yml that another layer's covers and that is
// no YAML: it is not known where the stacks of its layer lie.
func checkCoveredLayout(l layer) kargo.Problems {
	data, err := fs.ReadFile(l.files.FS, settingsFile)
	if err != nil {
		return nil // there is none, or the reader of the layer reported it
	}
	if _, ok := readLayout(data); ok {
		return nil
	}
	return kargo.Problems{{Where: kargo.Place{File: settingsFile}, Message: "is no YAML, so it is not known where the layer's stacks lie"}}
}

// hasDirectories reports whether a merged configuration has any stack
// directory, sound or not.
func hasDirectories(ws kargo.Workspace, places, paths []string) bool {
	ws.Env = kargo.Environment{}
	problems := readDirectories(&ws, places, paths)
	return len(ws.Directories)+len(problems) > 0
}
