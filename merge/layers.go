package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"kargo"
	"kargo/pattern"
)

// layer is one tree of the merged configuration.
type layer struct {
	name  string
	files kargo.Files
	// top are the files of the layer's top: their paths in the layer, and in the
	// merged configuration.
	top map[string]string
	// env is the path of its environment file in the merged configuration.
	env string
}

// layers returns all layers, the lowest first.
func (in Input) layers() []layer {
	all := []layer{{
		name: kargo.OriginDefault, files: kargo.Files{FS: in.Defaults}, env: envDefault, top: map[string]string{envDefault: envDefault},
	}}
	for _, shared := range in.Shared {
		landed := envUser + "." + shared.Name
		all = append(all, layer{name: shared.Name, files: shared.Files, env: landed, top: map[string]string{envUser: landed, settingsFile: settingsFile}})
	}
	return append(all, layer{
		name: kargo.OriginUser, files: in.User, env: envUser, top: map[string]string{envUser: envUser, settingsFile: settingsFile, kargo.FileAcme: "acme/acme.json"},
	})
}

// layerName is short enough for messages and safe in the name of a file.
var layerName = pattern.Lazy(`^[a-z][a-z0-9-]{0,31}$`)

// CheckLayerName returns what is wrong with the name of a shared layer, or nil.
// The name becomes part of a file's name, ".env.NAME", and must differ from
// Kargo's own origins.
func CheckLayerName(name string) error {
	switch {
	case !layerName().MatchString(name):
		return fmt.Errorf("%q cannot be the name of a layer: small letters, digits and dashes, 32 at most", name)
	case slices.Contains([]string{kargo.OriginDefault, kargo.OriginUser, kargo.OriginRendered, kargo.OriginHook}, name):
		return fmt.Errorf("%q cannot be the name of a layer: it is one of Kargo's own", name)
	}
	return nil
}

// mergeLayers merges the trees file by file: of several files with one path, that
// of the highest layer counts.
//
// It returns, too, the folders in which any layer has stack directories.
func mergeLayers(layers []layer) (files map[string]kargo.File, places []string, problems kargo.Problems, err error) {
	files = map[string]kargo.File{}
	for _, l := range layers {
		if l.files.FS == nil {
			continue
		}
		own, found := placesOf(l)
		places = append(places, own...)
		more, err := readLayer(l, own, files)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("read the %s configuration: %w", l.name, err)
		}
		problems = append(problems, l.named(append(found, more...))...)
	}
	for _, l := range layers {
		if l.files.FS != nil && l.top[settingsFile] != "" && files[settingsFile].Origin != l.name {
			problems = append(problems, l.named(checkCoveredLayout(l))...)
		}
	}
	slices.Sort(places)
	return files, slices.Compact(places), problems, nil
}

// named puts the name of a shared layer before the paths of its problems: the
// user configuration may have files of the same paths.
func (l layer) named(problems kargo.Problems) kargo.Problems {
	for i := range problems {
		problems[i].Where.File = l.prefix() + problems[i].Where.File
	}
	return problems
}

func (l layer) prefix() string {
	if l.name == kargo.OriginDefault || l.name == kargo.OriginUser {
		return ""
	}
	return l.name + ":"
}

// rank returns the position of a layer, the lowest first.
func rank(layers []layer, name string) int {
	return slices.IndexFunc(layers, func(l layer) bool { return l.name == name })
}

// readLayer adds the files of one layer to files. Places are the folders of its
// stack directories.
func readLayer(l layer, places []string, files map[string]kargo.File) (kargo.Problems, error) {
	var problems kargo.Problems
	add := func(source, target string, stat func() (fs.FileInfo, error)) error {
		data, err := fs.ReadFile(l.files.FS, source)
		if err != nil {
			return err
		}
		info, err := stat()
		if err != nil {
			return err
		}
		file := kargo.File{Data: data, Origin: l.name, Source: source, Executable: info.Mode()&0o111 != 0}
		if opened, secret := l.files.OpenedFrom(source); secret {
			file.Opened, file.Secret = &opened, true
		}
		if below, ok := files[target]; ok {
			file.Over = append(slices.Clone(below.Over), below.Origin)
		}
		files[target] = file
		return nil
	}
	visit := func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			problems = append(problems, kargo.Problem{
				Where:   kargo.Place{File: name},
				Message: "is not a plain file",
				Hint:    "links and devices are not followed; replace it by a copy",
			})
			return nil
		default:
			if found := checkPath(name); len(found) > 0 {
				problems = append(problems, found...)
				return nil
			}
			err = add(name, name, entry.Info)
		}
		problem, err := blame(name, err)
		problems = append(problems, problem...)
		return err
	}
	for source, target := range l.top {
		stat := func() (fs.FileInfo, error) { return fs.Stat(l.files.FS, source) }
		if err := add(source, target, stat); !errors.Is(err, fs.ErrNotExist) {
			problem, err := blame(source, err)
			if err != nil {
				return nil, err
			}
			problems = append(problems, problem...)
		}
	}
	for _, folder := range kargo.LayerFolders {
		if _, err := fs.Stat(l.files.FS, folder); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := fs.WalkDir(l.files.FS, folder, visit); err != nil {
			return nil, err
		}
	}
	return problems, walkPlaces(l.files.FS, places, visit)
}

// blame turns an error that is the workspace's own fault (for example a file that
// cannot be decrypted) into a problem. It returns all other errors.
func blame(name string, err error) (kargo.Problems, error) {
	var fault *kargo.Error
	if !errors.As(err, &fault) || fault.Fault != kargo.Invalid {
		return nil, err
	}
	problem := kargo.Problem{Where: kargo.Place{File: name}, Message: fault.Err.Error(), Hint: kargo.HintOf(fault)}
	if !fault.Where.IsZero() {
		problem.Where = fault.Where
	}
	return kargo.Problems{problem}, nil
}

// Limits of paths: those of file systems. A revision with a path that cannot be
// written could never be applied.
const (
	maxName = 255  // bytes of a file's or folder's name
	maxPath = 1024 // bytes of a path
)

// checkPath refuses a path that cannot be written.
func checkPath(name string) kargo.Problems {
	message := ""
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxName {
			message = fmt.Sprintf("the name of a file or folder has more than %d bytes", maxName)
		}
	}
	if len(name) > maxPath {
		message = fmt.Sprintf("the path has more than %d bytes", maxPath)
	}
	if message == "" {
		return nil
	}
	return kargo.Problems{{Where: kargo.Place{File: name}, Message: message}}
}

// checkFolders finds paths that are a file in one layer and a folder in the
// other: such a tree cannot be written.
func checkFolders(files map[string]kargo.File, paths []string) kargo.Problems {
	var problems kargo.Problems
	for _, name := range paths {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if other, ok := files[dir]; ok {
				problems = append(problems, kargo.Problem{
					Where: kargo.Place{File: dir},
					Message: fmt.Sprintf("is a file of the %s configuration and a folder of the %s one",
						other.Origin, files[name].Origin),
				})
			}
		}
	}
	return problems
}
