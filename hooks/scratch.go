package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"kargo"
)

// Limits of what hooks may leave, the same as for a repository.
const (
	maxFiles = 20_000
	maxBytes = 64 << 20
)

// scratch is a private directory that scripts work in.
type scratch struct {
	dir  string // its absolute path
	tree string // the merged configuration in it
}

func newScratch() (*scratch, error) {
	dir, err := os.MkdirTemp("", "kargo-hooks-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make a scratch directory: %w", err)
	}
	s := &scratch{dir: dir, tree: filepath.Join(dir, ".kargo")}
	for _, name := range []string{s.tree, filepath.Join(dir, "home"), filepath.Join(dir, "tmp")} {
		if err := os.Mkdir(name, 0o700); err != nil {
			return nil, errors.Join(err, s.remove())
		}
	}
	return s, nil
}

// User is a user of the machine by number, with its group.
type User struct{ UID, GID uint32 }

// give makes a user the owner of the scratch directory and everything in it.
func (s *scratch) give(user *User) error {
	if user == nil {
		return nil
	}
	err := filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(user.UID), int(user.GID))
	})
	if err != nil {
		return fmt.Errorf("give the scratch directory to user %d: %w", user.UID, err)
	}
	return nil
}

func (s *scratch) remove() error { return os.RemoveAll(s.dir) }

// fill writes the merged configuration. Files that were encrypted in the repository
// are left out: no secret is written to a disk.
func (s *scratch) fill(files map[string]kargo.File) error {
	root, err := os.OpenRoot(s.tree)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, state := range kargo.StateFolders {
		if err := root.MkdirAll(state, 0o700); err != nil {
			return err
		}
	}
	for name, file := range files {
		if file.Secret {
			continue
		}
		mode := fs.FileMode(0o600)
		if file.Executable {
			mode = 0o700
		}
		if err := writeFile(root, name, file.Data, mode); err != nil {
			return fmt.Errorf("copy the merged configuration: %w", err)
		}
	}
	return nil
}

func writeFile(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	local := filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		return err
	}
	return root.WriteFile(local, data, mode)
}

// variables returns the variables that a script sees: the declared ones, with the
// scratch tree in place of the merged configuration, and those that every program
// needs.
func (s *scratch) variables(declared kargo.Environment, root string) kargo.Environment {
	env := kargo.Environment{
		"PATH": standardPath, "HOME": filepath.Join(s.dir, "home"), "TMPDIR": filepath.Join(s.dir, "tmp"), "LANG": "C.UTF-8",
	}
	for name, value := range declared {
		env[name] = strings.ReplaceAll(value, root, s.tree)
	}
	return env
}

// back replaces paths of the scratch tree by those of the merged configuration.
func (s *scratch) back(text, root string) string { return strings.ReplaceAll(text, s.tree, root) }

// collect returns the files as scripts left them. Problems say what is wrong with
// them.
func (s *scratch) collect(was map[string]kargo.File, root string) (map[string]kargo.File, kargo.Problems, error) {
	files := map[string]kargo.File{}
	for name, file := range was {
		if file.Secret {
			files[name] = file
		}
	}
	var problems kargo.Problems
	total := 0
	// A link that something puts in the place of a file meanwhile does not lead out.
	inside, err := os.OpenRoot(s.tree)
	if err != nil {
		return nil, nil, err
	}
	defer inside.Close()
	tree := inside.FS()
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			problems = append(problems, kargo.Problem{Where: kargo.Place{File: name}, Message: "a hook left this, and it is not a plain file"})
			return nil
		}
		file, err := s.readFile(tree, name, was[name], root, maxBytes-total)
		files[name] = file
		total += len(file.Data)
		if tooLarge := errors.Is(err, errTooLarge); tooLarge || err == nil && len(files) > maxFiles {
			problems = append(problems, kargo.Problem{Where: kargo.Place{File: name}, Message: fmt.Sprintf(
				"hooks left more than %d files or %d bytes", maxFiles, maxBytes)})
			return fs.SkipAll
		}
		return err
	})
	return files, problems, err
}

// errTooLarge is the error of files that are larger than all may be together.
var errTooLarge = errors.New("too large")

// readFile reads a file that a script left, of at most limit bytes. It returns the
// original if the script did not change the file.
func (s *scratch) readFile(tree fs.FS, name string, was kargo.File, root string, limit int) (kargo.File, error) {
	file, err := tree.Open(name)
	if err != nil {
		return was, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return was, err
	}
	data, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return was, err
	}
	if len(data) > limit {
		return was, errTooLarge
	}
	executable := info.Mode()&0o111 != 0
	if was.Origin != "" && bytes.Equal(data, was.Data) && executable == was.Executable {
		return was, nil
	}
	data = bytes.ReplaceAll(data, []byte(s.tree), []byte(root))
	return kargo.File{Data: data, Origin: kargo.OriginHook, Source: name, Executable: executable}, nil
}

// exported returns the environment with what a script exported: each variable that
// is new or was changed. Variables of the shell itself are left out.
func (s *scratch) exported(declared, given, reported kargo.Environment, root string) (next kargo.Environment, changed []string) {
	next = maps.Clone(declared)
	for name, value := range reported {
		if before, known := given[name]; own[name] || known && before == value {
			continue
		}
		next[name] = s.back(value, root)
		changed = append(changed, name)
	}
	for name := range declared {
		if _, kept := reported[name]; !kept {
			delete(next, name)
		}
	}
	return next, changed
}

// own are the variables that bash itself sets.
var own = map[string]bool{"PWD": true, "OLDPWD": true, "SHLVL": true, "_": true, "PATH": true, "HOME": true, "TMPDIR": true, "LANG": true}
