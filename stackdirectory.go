package kargo

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// StackDirectory is a stack that lies in a directory of its own: its compose
// files, its environment file and all that they refer to. Its name is that of
// the directory, and it is its name in Swarm, too.
type StackDirectory struct {
	Name string
	// Path is the directory below Workspace.Root: "stacks/shop".
	Path string
	// Files are the compose files below Workspace.Root, lowest first.
	Files []string
	// Env are the variables of the directory's own .env, Lines the place of
	// each one's last assignment, Assignments the places of all of them.
	Env         Environment
	Lines       map[string]Place
	Assignments map[string][]Place
	// SecretNames are the variables whose values were encrypted in the
	// repository.
	SecretNames []string
}

// StackNames returns the names of all stacks: those of STACKS as it has them, and
// after them the stack directories that STACKS does not name.
func (w Workspace) StackNames() []string {
	names := w.Env.List("STACKS")
	listed := make(map[string]bool, len(names))
	for _, name := range names {
		listed[name] = true
	}
	for _, directory := range w.Directories {
		if !listed[directory.Name] {
			names = append(names, directory.Name)
		}
	}
	return names
}

// Directory returns the directory of a stack, if it lies in one.
func (w Workspace) Directory(stack string) (StackDirectory, bool) {
	at := w.directoryOf(stack)
	if at == nil {
		return StackDirectory{}, false
	}
	return *at, true
}

func (w *Workspace) directoryOf(stack string) *StackDirectory {
	i, isOne := slices.BinarySearchFunc(w.Directories, stack, func(d StackDirectory, name string) int { return strings.Compare(d.Name, name) })
	if !isOne {
		return nil
	}
	return &w.Directories[i]
}

// Scope is a workspace as one stack sees it. A stack of STACKS sees all of it. A
// stack directory sees the variables of its own .env, above those of the
// workspace's. It does not see those of the catalogue: they are made for the
// catalogue's services, and ${REDIS_TAG:-7} of a file from elsewhere must mean
// what Docker makes of it. What Kargo itself provides it sees all the same.
type Scope struct {
	workspace *Workspace
	directory *StackDirectory // nil for a stack of STACKS
}

// Scope returns what a stack sees, without a copy of it.
func (w *Workspace) Scope(stack string) Scope { return Scope{w, w.directoryOf(stack)} }

// Directory returns the directory of the stack, if it lies in one.
func (s Scope) Directory() (StackDirectory, bool) {
	if s.directory == nil {
		return StackDirectory{}, false
	}
	return *s.directory, true
}

// Lookup returns a variable as os.LookupEnv does.
func (s Scope) Lookup(name string) (string, bool) {
	if s.directory != nil {
		if value, set := s.directory.Env[name]; set {
			return value, true
		}
		if s.hides(name) {
			return "", false
		}
	}
	return s.workspace.Env.Lookup(name)
}

// Line returns the place of a variable's last assignment, if there is one.
func (s Scope) Line(name string) (Place, bool) {
	if s.directory != nil {
		if where, assigned := s.directory.Lines[name]; assigned {
			return where, true
		}
		if _, set := s.workspace.Env[name]; !set || s.hides(name) {
			return Place{}, false
		}
	}
	where, assigned := s.workspace.Lines[name]
	return where, assigned
}

// SecretNames are the variables whose values were encrypted in the repository, or
// come from outside of it.
func (s Scope) SecretNames() []string {
	if s.directory == nil {
		return s.workspace.SecretNames
	}
	names := slices.DeleteFunc(slices.Clone(s.workspace.SecretNames), func(name string) bool {
		_, covered := s.directory.Env[name]
		return covered
	})
	return append(names, s.directory.SecretNames...)
}

// hides reports whether the stack directory does not see a variable of the
// workspace.
func (s Scope) hides(name string) bool {
	return s.workspace.IsDefault(name) && !slices.Contains(sharedVariables, name)
}

// For returns the workspace as one stack sees it, as a workspace. Scope tells the
// same without a copy.
func (w Workspace) For(stack string) Workspace {
	scope := w.Scope(stack)
	if scope.directory == nil {
		return w
	}
	directory := scope.directory
	env, lines, assignments := Environment{}, map[string]Place{}, map[string][]Place{}
	for name, value := range w.Env {
		if scope.hides(name) {
			continue
		}
		env[name] = value
		if where, assigned := w.Lines[name]; assigned {
			lines[name], assignments[name] = where, w.Assignments[name]
		}
	}
	maps.Copy(env, directory.Env)
	maps.Copy(lines, directory.Lines)
	for name, places := range directory.Assignments {
		assignments[name] = slices.Concat(assignments[name], places)
	}
	secret := scope.SecretNames()
	w.Env, w.Lines, w.Assignments, w.SecretNames = env, lines, assignments, secret
	return w
}

// sharedVariables are variables of the catalogue's environment that say what
// Kargo itself provides: the networks that stacks share.
var sharedVariables = []string{"DOCKER_FRONT_NETWORK", "DOCKER_BACK_NETWORK", "DOCKER_SOCKET_NETWORK"}

// StackPlaces are the folders in which a layer has stack directories where its
// kargo.yml names none.
var StackPlaces = []string{"stacks"}

// ComposeNames are the names, without ending, of the file that makes a directory
// a stack. Of several, the first counts: a file for Swarm comes before one that
// may be for a developer's machine.
var ComposeNames = []string{"docker-stack", "stack", "compose", "docker-compose"}

// IsComposeFile reports whether a file of this name makes its directory a stack.
func IsComposeFile(name string) bool {
	ending := path.Ext(name)
	return (ending == ".yml" || ending == ".yaml") && slices.Contains(ComposeNames, strings.TrimSuffix(name, ending))
}
