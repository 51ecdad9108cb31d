// Package recipe turns build/<name>/build.yml of a workspace into an image to
// build. It is pure: the build context comes from the merged configuration,
// values from the workspace's environment.
//
// A recipe:
//
//	image: ${MAPSERVER_IMAGE}:${MAPSERVER_TAG}   # or a list of them
//	dockerfile: Dockerfile                       # the default
//	args: {VERSION: "${MAPSERVER_TAG}"}
//	include: {config: configs/mapserver}         # more of the merged configuration
//	push: true                                   # the default
//	pull: true                                   # ask for newer base images, the default
//	cache: true                                  # the default
package recipe

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/spelling"
)

// Names returns the names of a workspace's recipes, sorted.
func Names(workspace kargo.Workspace) []string {
	var names []string
	for _, file := range slices.Sorted(maps.Keys(workspace.Files)) {
		if name, isRecipe := strings.CutPrefix(file, "build/"); isRecipe && path.Base(name) == "build.yml" && strings.Count(name, "/") == 1 {
			names = append(names, path.Dir(name))
		}
	}
	return names
}

// Read reads one recipe by its name, and returns what is wrong with it. A recipe
// that does not exist is an Invalid error.
func Read(workspace kargo.Workspace, name string) (kargo.Build, kargo.Problems, error) {
	file := path.Join("build", name, "build.yml")
	source, exists := workspace.Files[file]
	if !exists {
		return kargo.Build{}, nil, &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no recipe %s", file),
			Hint: spelling.DidYouMean(name, Names(workspace))}
	}
	r := &reader{workspace: workspace, file: file, build: kargo.Build{
		Name: name, Dockerfile: "Dockerfile", Files: map[string]kargo.File{}, Args: map[string]string{}, Push: true, Pull: true, Cache: true,
	}}
	r.include("", path.Join("build", name), 0)
	delete(r.build.Files, "build.yml")
	r.read(source.Data)
	if r.problems.Err() == nil {
		r.check()
	}
	return r.build, r.problems.Sort(), nil
}

type reader struct {
	workspace kargo.Workspace
	file      string
	build     kargo.Build
	problems  kargo.Problems
}

func (r *reader) fail(line int, hint, format string, args ...any) {
	r.problems = append(r.problems, kargo.Problem{Where: kargo.Place{File: r.file, Line: line}, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// include adds a folder, or a file, of the merged configuration to the context.
func (r *reader) include(target, source string, line int) {
	found := false
	for name, file := range r.workspace.Files {
		inside, ok := strings.CutPrefix(name+"/", path.Clean(source)+"/")
		if !ok {
			continue
		}
		found = true
		if file.Secret {
			r.fail(line, "an image shows all of its files to whoever can pull it", "%s was encrypted, and would be in the image's context", name)
			continue
		}
		r.build.Files[path.Join(target, inside)] = file
	}
	if !found {
		r.fail(line, "", "the merged configuration has no %s", source)
	}
}

var keys = []string{"image", "dockerfile", "args", "include", "push", "pull", "cache"}

func (r *reader) read(data []byte) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		r.fail(0, "", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		r.fail(1, "", "a recipe is a mapping with the keys %s", strings.Join(keys, ", "))
		return
	}
	r.pairs(document.Content[0], func(key, value *yaml.Node) {
		switch key.Value {
		case "image":
			r.images(value)
		case "dockerfile":
			r.build.Dockerfile = path.Clean(r.text(value))
		case "args":
			r.pairs(value, func(name, value *yaml.Node) { r.build.Args[name.Value] = r.text(value) })
		case "include":
			r.pairs(value, func(target, folder *yaml.Node) { r.include(target.Value, r.text(folder), folder.Line) })
		case "push":
			r.build.Push = r.yes(value)
		case "pull":
			r.build.Pull = r.yes(value)
		case "cache":
			r.build.Cache = r.yes(value)
		default:
			r.fail(key.Line, spelling.DidYouMean(key.Value, keys), "a recipe has no key %q", key.Value)
		}
	})
}

func (r *reader) pairs(node *yaml.Node, do func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		r.fail(node.Line, "", "this must be a mapping")
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		do(node.Content[i], node.Content[i+1])
	}
}

// images reads the names of the image, with their tags.
func (r *reader) images(node *yaml.Node) {
	nodes := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		nodes = node.Content
	}
	for _, one := range nodes {
		tag := r.text(one)
		if tag != "" {
			r.build.Tags = append(r.build.Tags, tag)
		}
	}
}

func (r *reader) yes(node *yaml.Node) bool {
	switch r.text(node) {
	case "true":
		return true
	case "false":
		return false
	}
	r.fail(node.Line, "", "this must be true or false")
	return false
}

// text returns a value with its variables replaced.
func (r *reader) text(node *yaml.Node) string {
	if node.Kind != yaml.ScalarNode {
		r.fail(node.Line, "", "this must be a single value")
		return ""
	}
	return r.expand(node)
}

func (r *reader) check() {
	if len(r.build.Tags) == 0 {
		r.fail(1, `name it as its service does: image: ${NAME_IMAGE}:${NAME_TAG}`, "the image has no name")
	}
	if _, exists := r.build.Files[r.build.Dockerfile]; !exists {
		r.fail(1, "", "the context has no %s", r.build.Dockerfile)
	}
}
