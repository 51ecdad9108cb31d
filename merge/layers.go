package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"kargo"
)

// folders are taken whole from both layers; everything else at the top of a
// layer, but for the files of topFiles, is none of Kargo's business.
var folders = []string{"build", "configs", "deploy", "scripts"}

// topFiles are the single files that a layer gives, and where they land.
var topFiles = map[string]map[string]string{
	kargo.OriginDefault: {envDefault: envDefault},
	kargo.OriginUser:    {envUser: envUser, "acme.json": "acme/acme.json"},
}

// layers merges the two trees file by file: of two files with one path the
// user's counts, all others stay.
func layers(defaults, user fs.FS) (map[string]kargo.File, kargo.Problems, error) {
	files := map[string]kargo.File{}
	var problems kargo.Problems
	for _, layer := range []struct {
		fsys   fs.FS
		origin string
	}{{defaults, kargo.OriginDefault}, {user, kargo.OriginUser}} {
		if layer.fsys == nil {
			continue
		}
		found, err := readLayer(layer.fsys, layer.origin, files)
		if err != nil {
			return nil, nil, fmt.Errorf("read the %s configuration: %w", layer.origin, err)
		}
		problems = append(problems, found...)
	}
	return files, append(problems, checkFolders(files)...), nil
}

// readLayer adds the files of one layer to files.
func readLayer(fsys fs.FS, origin string, files map[string]kargo.File) (kargo.Problems, error) {
	var problems kargo.Problems
	add := func(source, target string) error {
		data, err := fs.ReadFile(fsys, source)
		if err != nil {
			return err
		}
		info, err := fs.Stat(fsys, source)
		if err != nil {
			return err
		}
		files[target] = kargo.File{Data: data, Origin: origin, Source: source, Executable: info.Mode()&0o111 != 0}
		return nil
	}
	visit := func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			problems = append(problems, kargo.Problem{
				Path:    name,
				Message: "is not a plain file",
				Hint:    "links and devices are not followed: put a copy in their place",
			})
			return nil
		default:
			err = add(name, name)
		}
		problem, err := blame(name, err)
		problems = append(problems, problem...)
		return err
	}
	for source, target := range topFiles[origin] {
		if err := add(source, target); !errors.Is(err, fs.ErrNotExist) {
			problem, err := blame(source, err)
			if err != nil {
				return nil, err
			}
			problems = append(problems, problem...)
		}
	}
	for _, folder := range folders {
		if _, err := fs.Stat(fsys, folder); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := fs.WalkDir(fsys, folder, visit); err != nil {
			return nil, err
		}
	}
	return problems, nil
}

// blame turns an error that is the workspace's own fault (a file that cannot
// be decrypted, say) into a problem and passes on all others.
func blame(name string, err error) (kargo.Problems, error) {
	var fault *kargo.Error
	if !errors.As(err, &fault) || fault.Fault != kargo.Invalid {
		return nil, err
	}
	problem := kargo.Problem{Path: name, Message: fault.Err.Error(), Hint: fault.Hint}
	if fault.Where != "" {
		problem.Path, problem.Line = splitPlace(fault.Where)
	}
	return kargo.Problems{problem}, nil
}

// splitPlace takes "file:line" apart; the line is 0 where there is none.
func splitPlace(where string) (string, int) {
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		if line, err := strconv.Atoi(where[i+1:]); err == nil {
			return where[:i], line
		}
	}
	return where, 0
}

// checkFolders finds paths that are a file in one layer and a folder in the
// other: such a tree cannot be written.
func checkFolders(files map[string]kargo.File) kargo.Problems {
	var problems kargo.Problems
	for _, name := range sortedPaths(files) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if other, ok := files[dir]; ok {
				problems = append(problems, kargo.Problem{
					Path: dir,
					Message: fmt.Sprintf("is a file of the %s configuration and a folder of the %s one",
						other.Origin, files[name].Origin),
				})
			}
		}
	}
	return problems
}
