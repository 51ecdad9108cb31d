package merge

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"kargo"
)

// Reads returns the paths of what Merge may read from one layer, in order: the
// files of kargo.LayerFolders, those of kargo.LayerFiles, those of the places
// that kargo.yml names, the environment files beside .env, and the files that
// these source. Links and devices are among
// them, since Merge reports those. Where an environment file decides only when
// it runs what it sources, every file of the layer is returned, except those
// of .git and of Kargo's own folders. Two layers with equal files at these
// paths merge to the same.
func Reads(layer fs.FS) ([]string, error) {
	r := reads{layer: layer, found: map[string]bool{}}
	for _, part := range slices.Concat(kargo.LayerFiles, kargo.LayerFolders) {
		if err := r.walk(part); err != nil {
			return nil, err
		}
	}
	if err := r.stackPlaces(); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(layer, ".")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if name := entry.Name(); name == envUser || name == envDefault || !entry.IsDir() && path.Ext(name) == ".env" {
			if err := r.environment(name); err != nil {
				return nil, err
			}
		}
	}
	return r.sorted(), nil
}

type reads struct {
	layer fs.FS
	found map[string]bool
}

func (r *reads) sorted() []string {
	var paths []string
	for name := range r.found {
		paths = append(paths, name)
	}
	slices.Sort(paths)
	return paths
}

// walk adds a file, or all files below a folder; nothing where there is
// neither.
func (r *reads) walk(part string) error {
	return fs.WalkDir(r.layer, part, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case name == part && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !entry.IsDir():
			r.found[name] = true
		case name == ".git" || strings.HasPrefix(name, ".kargo"):
			return fs.SkipDir
		}
		return nil
	})
}

// stackPlaces adds the files of stack directories at places that kargo.yml names.
func (r *reads) stackPlaces() error {
	own := layer{files: kargo.Files{FS: r.layer}, top: map[string]string{settingsFile: settingsFile}}
	places, _ := placesOf(own) // Merge reports the problems
	return walkPlaces(r.layer, places, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			r.found[name] = true
		}
		return err
	})
}

// environment adds an environment file and what it sources.
func (r *reads) environment(name string) error {
	r.found[name] = true
	data, err := fs.ReadFile(r.layer, name)
	if errors.Is(err, fs.ErrNotExist) {
		delete(r.found, name)
		return nil
	}
	if err != nil {
		return nil // Merge reports it
	}
	sourced, certain := sourcedBy(name, data)
	if !certain {
		return r.walk(".")
	}
	for _, further := range sourced {
		if !r.found[further] && fs.ValidPath(further) {
			if err := r.environment(further); err != nil {
				return err
			}
		}
	}
	return nil
}

// sourcedBy returns the files that an environment file sources, certain unless
// only running it shows which. What cannot be parsed may be encrypted.
func sourcedBy(name string, data []byte) (files []string, certain bool) {
	src, problems := parse(name, data)
	if problems.Err() != nil || assignedNames(src.file)[workspaceVariable] {
		return nil, false
	}
	certain = true
	syntax.Walk(src.file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) < 2 || call.Args[0].Lit() != "source" && call.Args[0].Lit() != "." {
			return true
		}
		file, plain := src.sourcedFile(call.Args[1])
		files, certain = append(files, file), certain && plain
		return true
	})
	return files, certain
}

// sourcedFile returns the path that a word names, plain unless it is computed
// from other variables than WORKSPACE.
func (src source) sourcedFile(word *syntax.Word) (name string, plain bool) {
	text := wordText(word)
	inside, ofVariable := strings.CutPrefix(text, "$/")
	variable := ""
	syntax.Walk(word, func(node syntax.Node) bool {
		if node, ok := node.(*syntax.ParamExp); ok {
			variable = strings.Trim(src.text[node.Pos().Offset():node.End().Offset()], "${}")
		}
		return true
	})
	return path.Clean(inside), !strings.Contains(inside, "$") && (!ofVariable || variable == workspaceVariable)
}
