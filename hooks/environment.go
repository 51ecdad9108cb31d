package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kargo"
)

// evaluating sources environment files, each in the directory of its layer, which
// is WORKSPACE at that time. It exports what they assign and reports failed
// commands.
const evaluating = `
set -o allexport -o errtrace
trap 'kargo_code=$?; printf "failed\t%s\t%s\t%s\0" "${BASH_SOURCE[0]}" "$LINENO" "$kargo_code" >&3' ERR
while [ $# -gt 0 ]; do
	WORKSPACE=$1; builtin cd "$1"; kargo_file=$2; shift 2
	. "$kargo_file"
done
trap - ERR
set +o allexport
unset kargo_code kargo_file
kargo_report
`

// Environment is a [kargo.Shell] that runs bash in a child. The child sees only the
// variables of base and the files, and works on a scratch copy of the layers. A
// failed command is a problem with its line: a password that could not be read must
// not become an empty one.
func (r *Runner) Environment(ctx context.Context, base kargo.Environment, files []kargo.EnvFile) (env kargo.Environment, problems kargo.Problems, err error) {
	s, err := newScratch()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	layers, err := s.layers(files)
	if err = errors.Join(err, s.give(r.User)); err != nil {
		return nil, nil, err
	}
	workspace := base["WORKSPACE"]
	given := s.variables(base, base["KARGO_BUILD_PATH"])
	given["WORKSPACE"] = layers[len(layers)-1]
	c := child{dir: s.tree, program: evaluating, args: []string{"environment"}, env: given, timeout: r.timeout(), user: r.User}
	for i, layer := range layers {
		c.args = append(c.args, layer, envPath(i))
		c.files = append(c.files, files[i].Data)
	}
	result, err := c.run(ctx)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("evaluate the environment: %w", err)
	case result.ended != "":
		return nil, nil, &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("evaluate the environment: it %s%s", result.ended, inWords(result.output)), Hint: hintLonger}
	}
	output := named(result.output, files, layers)
	for _, failed := range result.failures {
		// A failure is reported again for each command around it.
		problem := blame(failed, files, layers, output)
		if failed.file != "" && !slices.Contains(problems, problem) {
			problems = append(problems, problem)
		}
	}
	if result.variables == nil && len(problems) == 0 {
		problems = append(problems, kargo.Problem{Where: kargo.Place{File: files[len(files)-1].Name},
			Message: fmt.Sprintf("ended with exit code %d%s", result.code, inWords(output)),
			Hint:    "an environment file is sourced: it must not call exit"})
	}
	env, _ = s.exported(base, given, result.variables, base["KARGO_BUILD_PATH"])
	env["WORKSPACE"] = workspace
	for name, value := range env {
		for _, layer := range layers {
			value = strings.ReplaceAll(value, layer, workspace)
		}
		env[name] = value
	}
	return env, problems, nil
}

// envPath returns the path at which the child reads an environment file.
func envPath(i int) string { return "/proc/self/fd/" + strconv.Itoa(firstFile+i) }

// layers writes the trees that the files may source from, and returns their
// directories.
func (s *scratch) layers(files []kargo.EnvFile) ([]string, error) {
	dirs := make([]string, len(files))
	for i := len(files) - 1; i >= 0; i-- {
		if files[i].Files.FS == nil && i+1 < len(files) {
			dirs[i] = dirs[i+1] // the defaults source from the workspace
			continue
		}
		dir := filepath.Join(s.dir, "layer-"+strconv.Itoa(i))
		if err := copyTree(dir, files[i].Files); err != nil {
			return nil, fmt.Errorf("copy a layer: %w", err)
		}
		dirs[i] = dir
	}
	return dirs, nil
}

// copyTree copies plain files, up to the limits. Other files cannot be sourced.
func copyTree(dir string, files kargo.Files) error {
	tree := files.FS
	if err := os.Mkdir(dir, 0o700); err != nil || tree == nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	count, total := 0, int64(0)
	return fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if count++; count > maxFiles || total+info.Size() > maxBytes {
			return fs.SkipAll
		}
		total += info.Size()
		data, err := fs.ReadFile(tree, name)
		var fault *kargo.Error
		if errors.As(err, &fault) && fault.Fault == kargo.Invalid {
			return nil // a file that cannot be opened cannot be sourced
		}
		if err != nil {
			return err
		}
		if _, secret := files.OpenedFrom(name); secret {
			return nil // a decrypted file must not be written to a disk
		}
		return writeFile(root, name, data, 0o600|info.Mode()&0o100)
	})
}

// named returns the output of bash with the names of files as people know them.
func named(output string, files []kargo.EnvFile, layers []string) string {
	for i, file := range files {
		output = strings.ReplaceAll(output, envPath(i), file.Name)
		output = strings.ReplaceAll(output, layers[i]+"/", "")
	}
	return output
}

// blame returns the problem of a failed command.
func blame(failed failure, files []kargo.EnvFile, layers []string, output string) kargo.Problem {
	problem := kargo.Problem{Where: kargo.Place{File: failed.file}, Message: "a command failed with exit code " + failed.code + inWords(output)}
	problem.Where.Line, _ = strconv.Atoi(failed.line) // 0 is none
	for i := range files {
		if failed.file == envPath(i) {
			problem.Where.File = files[i].Name
		} else if inside, ok := strings.CutPrefix(failed.file, layers[i]+"/"); ok {
			problem.Where.File = inside
		}
	}
	return problem
}
