package draft

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/pattern"
)

// Limits of what is taken along with a compose file: more than this is data, and
// no configuration.
const (
	maxFiles = 200     // of one folder
	maxFile  = 1 << 20 // bytes
	maxDepth = 4       // folders below the first in which stacks are looked for
)

// place is where the workspace has its stacks.
var place = kargo.StackPlaces[0]

// FromFiles makes a workspace of compose files. files are those of a folder, which
// is called folder. With only, it takes this one compose file. Otherwise it takes
// each directory with a compose file of a usual name, and each other compose file
// directly in the folder, as a stack of its own.
func FromFiles(files fs.FS, folder, only string) (Draft, error) {
	d := &copying{Draft: newDraft(), files: files}
	if only != "" {
		name := nameOf(strings.TrimSuffix(only, path.Ext(only)))
		if kargo.IsComposeFile(only) {
			name = nameOf(folder)
		}
		d.stack(name, only)
		return *d.Draft, d.err
	}
	found, err := findStacks(files)
	if err != nil {
		return Draft{}, err
	}
	for _, file := range found {
		name := nameOf(path.Base(path.Dir(file)))
		switch {
		case !kargo.IsComposeFile(file[strings.LastIndex(file, "/")+1:]):
			name = nameOf(strings.TrimSuffix(file, path.Ext(file)))
		case path.Dir(file) == ".":
			name = nameOf(folder)
		}
		d.stack(name, file)
	}
	return *d.Draft, d.err
}

var hasServices = pattern.Lazy(`(?m)^services\s*:`)

// findStacks returns the compose files that make a stack, in order.
func findStacks(files fs.FS) ([]string, error) {
	byDirectory := map[string][]string{}
	var found []string
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.Count(name, "/") >= maxDepth):
			return fs.SkipDir
		case !entry.Type().IsRegular():
		case kargo.IsComposeFile(entry.Name()):
			byDirectory[path.Dir(name)] = append(byDirectory[path.Dir(name)], entry.Name())
		case path.Dir(name) == "." && (path.Ext(name) == ".yml" || path.Ext(name) == ".yaml"):
			if data, err := fs.ReadFile(files, name); err == nil && hasServices().Match(data) {
				found = append(found, name)
			}
		}
		return nil
	})
	for directory, names := range byDirectory {
		slices.SortFunc(names, func(a, b string) int { return rank(a) - rank(b) })
		found = append(found, path.Join(directory, names[0]))
	}
	slices.Sort(found)
	return found, err
}

func rank(file string) int {
	return slices.Index(kargo.ComposeNames, strings.TrimSuffix(file, path.Ext(file)))
}

// copying takes compose files and what they refer to along.
type copying struct {
	*Draft
	files fs.FS
	err   error
}

// stack takes one compose file along, as a stack.
func (c *copying) stack(name, file string) {
	data, err := fs.ReadFile(c.files, file)
	if err != nil {
		c.err = errors.Join(c.err, err)
		return
	}
	if slices.Contains(c.Stacks, name) {
		c.lose("%s: another stack is called %s already; copy it by hand under another name", file, name)
		return
	}
	c.Stacks = append(c.Stacks, name)
	base := "compose.yml"
	if kargo.IsComposeFile(path.Base(file)) {
		base = path.Base(file)
	}
	c.Files[path.Join(place, name, base)] = File{Data: data}
	stack := taking{copying: c, name: name, file: file}
	stack.optional(".env")
	var content map[string]any
	if err := yaml.Unmarshal(data, &content); err != nil {
		c.lose("%s: cannot be read as YAML, so files that it refers to were not copied", file)
		return
	}
	stack.references(content)
	stack.others()
}

// taking takes what one compose file refers to along.
type taking struct {
	*copying
	name, file string
}

// references takes the files along that a compose file names.
func (t taking) references(content map[string]any) {
	for _, section := range []string{"configs", "secrets"} {
		for _, name := range slices.Sorted(maps.Keys(mappingOf(content[section]))) {
			t.refer(mappingOf(mappingOf(content[section])[name])["file"], section+"."+name)
		}
	}
	services := mappingOf(content["services"])
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service := mappingOf(services[name])
		for _, file := range listOf(service["env_file"]) {
			if long := mappingOf(file); long != nil {
				file = long["path"]
			}
			t.refer(file, "services."+name+".env_file")
		}
		for _, volume := range listOf(service["volumes"]) {
			source := volume
			if long := mappingOf(volume); long != nil {
				source = long["source"]
			} else if text, ok := volume.(string); ok {
				source, _, _ = strings.Cut(text, ":")
			}
			if text, ok := source.(string); ok && strings.HasPrefix(text, ".") {
				t.refer(source, "services."+name+".volumes")
			}
		}
	}
}

// others says which further compose files lie beside it.
func (t taking) others() {
	entries, err := fs.ReadDir(t.files, path.Dir(t.file))
	if err != nil {
		t.err = errors.Join(t.err, err)
	}
	for _, entry := range entries {
		name := path.Join(path.Dir(t.file), entry.Name())
		if name == t.file || path.Dir(t.file) == "." && !kargo.IsComposeFile(path.Base(t.file)) {
			continue
		}
		if kargo.IsComposeFile(entry.Name()) || strings.Contains(entry.Name(), "compose") && strings.HasPrefix(path.Ext(name), ".y") {
			t.lose("%s: is not read; if it belongs to the stack, copy it to %s/%s and name it in kargo.yml: stacks: {%s: {files: [%s, %s]}}",
				name, place, t.name, t.name, path.Base(t.file), entry.Name())
		}
	}
}

// optional takes a file beside the compose file along, if it exists.
func (t taking) optional(name string) {
	if _, err := fs.Stat(t.files, path.Join(path.Dir(t.file), name)); err == nil {
		t.take(path.Join(path.Dir(t.file), name))
	}
}

// refer takes a file or folder along that a compose file names at a path.
func (t taking) refer(value any, at string) {
	name, ok := value.(string)
	if !ok || name == "" {
		return
	}
	inside := path.Join(path.Dir(t.file), name)
	switch _, err := fs.Stat(t.files, inside); {
	case strings.Contains(name, "$"):
		t.lose("%s: %s: %s depends on a variable and was not copied; put the file beside the compose file", t.file, at, name)
	case path.IsAbs(name):
		if strings.HasSuffix(at, ".volumes") {
			return // a path of the nodes
		}
		t.lose("%s: %s: %s is a file of this machine; put it beside the compose file", t.file, at, name)
	case !fs.ValidPath(inside):
		t.lose("%s: %s: %s lies outside of what is copied; put it beside the compose file", t.file, at, name)
	case err != nil:
		t.lose("%s: %s: there is no file %s", t.file, at, name)
	default:
		t.take(inside)
	}
}

// take copies a file, or a folder of a few small ones.
func (t taking) take(name string) {
	taken := map[string]File{}
	err := fs.WalkDir(t.files, name, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || entry.IsDir():
			return err
		case !entry.Type().IsRegular():
			t.lose("%s: is a link or a device, and was not copied", file)
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxFile || len(taken) >= maxFiles {
			return errTooMuch
		}
		if target := t.target(file); !strings.HasPrefix(target, place+"/") {
			t.lose("%s: %s would lie outside of %s; put it beside the compose file", t.file, file, place)
			return nil
		}
		data, err := fs.ReadFile(t.files, file)
		taken[file] = File{Data: data, Executable: info.Mode()&0o111 != 0}
		return err
	})
	if errors.Is(err, errTooMuch) {
		t.lose("%s: seems to be data and was not copied (more than %d files, or one of more than %d bytes); use a volume, or a path that the nodes have", name, maxFiles, maxFile)
		return
	}
	t.err = errors.Join(t.err, err)
	for file, content := range taken {
		t.Files[t.target(file)] = content
	}
}

var errTooMuch = errors.New("more than a configuration has")

// target is where a file of the folder goes, so that the paths in the compose
// file stay right.
func (t taking) target(file string) string {
	directory, below := path.Dir(t.file), ""
	for directory != "." && !strings.HasPrefix(file, directory+"/") {
		directory, below = path.Dir(directory), below+"../"
	}
	if directory != "." {
		file = strings.TrimPrefix(file, directory+"/")
	}
	return path.Join(place, t.name, below, file)
}

func mappingOf(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

func listOf(value any) []any {
	switch value := value.(type) {
	case []any:
		return value
	case nil:
		return nil
	}
	return []any{value}
}
