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
	listed := slices.Clone(names)
	for _, directory := range w.Directories {
		if !slices.Contains(listed, directory.Name) {
			names = append(names, directory.Name)
		}
	}
	return names
}

// Directory returns the directory of a stack, if it lies in one.
func (w Workspace) Directory(stack string) (StackDirectory, bool) {
	i := slices.IndexFunc(w.Directories, func(d StackDirectory) bool { return d.Name == stack })
	if i < 0 {
		return StackDirectory{}, false
	}
	return w.Directories[i], true
}

// For returns the workspace as one stack sees it. A stack of STACKS sees all of
// it. A stack directory sees the variables of its own .env, above those of the
// workspace's. It does not see those of the catalogue: they are made for the
// catalogue's services, and ${REDIS_TAG:-7} of a file from elsewhere must mean
// what Docker makes of it. What Kargo itself provides it sees all the same.
func (w Workspace) For(stack string) Workspace {
	directory, isOne := w.Directory(stack)
	if !isOne {
		return w
	}
	env, lines, assignments := Environment{}, map[string]Place{}, map[string][]Place{}
	for name, value := range w.Env {
		if w.IsDefault(name) && !slices.Contains(sharedVariables, name) {
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
	secret := slices.DeleteFunc(slices.Clone(w.SecretNames), func(name string) bool {
		_, covered := directory.Env[name]
		return covered
	})
	w.Env, w.Lines, w.Assignments = env, lines, assignments
	w.SecretNames = append(secret, directory.SecretNames...)
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
