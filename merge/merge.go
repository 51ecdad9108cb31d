// Package merge lays the user configuration over shared layers, if there are
// any, and these over the defaults, and reads the environment: file trees in,
// one kargo.Workspace out.
//
// [Merge] is the whole of it. [Reads] returns which files of a layer it reads.
// [Rewrite] and [Reassign] change the one line of an environment file that
// assigns a variable. [CheckLayerName] checks the name of a shared layer.
//
// The package is pure. It reads only the fs.FS values of its [Input], never the
// environment of the process. It runs no program, although environment files are
// written in bash's grammar. What is wrong with a workspace is returned as
// kargo.Problems, each with its file and line; an error means that a tree could
// not be read.
package merge

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"kargo"
	"kargo/spelling"
)

// Names of the environment files, at the top of their layer.
const (
	envDefault = kargo.FileEnvDefault
	envUser    = kargo.FileEnv
)

// Input is what a workspace is made from.
type Input struct {
	// Defaults and User are the lowest layer and the highest, each with its
	// environment file, deploy/, configs/, build/ and scripts/ at its top. A
	// nil layer is empty.
	Defaults fs.FS
	User     kargo.Files
	// Shared are the layers between the two, lowest first.
	Shared   []kargo.Layer
	Revision kargo.Revision
	// Root is the absolute path where the merged configuration is written,
	// ".kargo" included. Variables call it KARGO_BUILD_PATH.
	Root string
	// WorkspacePath is where the user configuration lies: WORKSPACE.
	WorkspacePath string
	// UserID and GroupID are KARGO_USER_ID and KARGO_GROUP_ID.
	UserID, GroupID int
	// Shell evaluates environment files that run programs; nil where they may
	// not. It is the only effect, and the caller's.
	Shell kargo.Shell
}

// Merge makes the workspace. The problems are sorted; if one of them is not a
// warning, the workspace is invalid and incomplete. The error is for what is not
// the workspace's fault: a layer that cannot be read. Its fault is that of the
// layer's own kargo.Error.
func Merge(ctx context.Context, in Input) (kargo.Workspace, kargo.Problems, error) {
	ws := kargo.Workspace{Revision: in.Revision, Root: in.Root}

	files, places, problems, err := mergeLayers(in.layers())
	if err != nil {
		return ws, nil, err
	}
	ws.Files = files
	paths := sortedPaths(files)
	problems = append(problems, checkFolders(files, paths)...)
	if _, ok := files[envUser]; !ok && (problems.Err() != nil || !hasDirectories(ws, places, paths)) {
		return ws, append(problems, missingEnv(in.User.FS, problems)...).Sort(), nil
	}

	env, err := readEnv(ctx, in, files)
	if err != nil {
		return ws, nil, err
	}
	ws.Env, ws.Lines, ws.Assignments, ws.Reader = env.values, env.lines, env.assignments, env.reader
	keepSecrets(&ws, env)
	problems = append(problems, env.problems...)
	if env.problems.Err() == nil {
		// Without an environment these would only repeat that it is wrong.
		problems = append(problems, readDirectories(&ws, places, paths)...)
		problems = append(problems, checkStacks(ws)...)
		problems = append(problems, checkPrometheus(ws)...)
		problems = append(problems, readSettings(&ws, in.User.FS)...)
		problems = append(problems, checkSecrets(ws)...)
		problems = append(problems, checkStackReferences(ws)...)
		problems = append(problems, renderTemplates(ws, in.layers(), paths)...)
		problems = append(problems, renderComposeTemplates(ws)...)
	}
	return ws, problems.Sort(), nil
}

// base returns the variables that exist before any file is read.
func (in Input) base() []variable {
	return []variable{
		{workspaceVariable, in.WorkspacePath},
		{"KARGO_USER_ID", strconv.Itoa(in.UserID)},
		{"KARGO_GROUP_ID", strconv.Itoa(in.GroupID)},
		{"KARGO_BUILD_PATH", in.Root},
		{"KARGO_SCRIPTS_PATH", path.Join(in.Root, "scripts")},
	}
}

type variable struct{ name, value string }

// workspaceVariable holds the path of the user configuration.
const workspaceVariable = "WORKSPACE"

// missingEnv returns the problem of a workspace without an environment, unless
// another problem already says why the environment cannot be read.
func missingEnv(user fs.FS, problems kargo.Problems) kargo.Problems {
	if slices.ContainsFunc(problems, func(p kargo.Problem) bool { return p.Where.File == envUser }) {
		return nil
	}
	problem := kargo.Problem{
		Where:   kargo.Place{File: envUser},
		Message: "is missing",
		Hint:    "a workspace needs one, which names the stacks, or stacks in directories of their own: stacks/NAME/compose.yml",
	}
	if user == nil {
		return kargo.Problems{problem}
	}
	entries, _ := fs.ReadDir(user, ".") // an error leaves the usual hint
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == envUser:
			problem.Message = "is no plain file"
			problem.Hint = "links, devices and folders are not read; replace it by a copy"
			return kargo.Problems{problem}
		case strings.EqualFold(strings.TrimPrefix(name, "."), "env") && !entry.IsDir():
			problem.Hint = "rename " + name + " to " + envUser
		case kargo.IsComposeFile(name) && !entry.IsDir():
			problem.Hint = fmt.Sprintf("to deploy %s, move it to stacks/NAME/, or make a workspace of it with `kargo init DIR --from %s`", name, name)
		}
	}
	return kargo.Problems{problem}
}

// checkStacks refuses a workspace without stacks: an empty list must never mean
// "remove everything".
func checkStacks(ws kargo.Workspace) kargo.Problems {
	if len(ws.StackNames()) > 0 {
		return nil
	}
	problem := kargo.Problem{
		Where:   kargo.Place{File: envUser},
		Message: "STACKS names no stack",
		Hint:    `list the stacks to deploy, as in STACKS="base apps"`,
	}
	if where, assigned := ws.Lines["STACKS"]; assigned {
		problem.Where = where
	} else if near := spelling.NearestAnyCase("STACKS", slices.Collect(maps.Keys(ws.Lines)), 1); near != "" {
		problem.Where, problem.Hint = ws.Lines[near], "write STACKS in the place of "+near
	}
	return kargo.Problems{problem}
}

// checkPrometheus warns of a file that was only ever the output of a hook: its
// source has another name (workspace contract, section 16, item 15).
func checkPrometheus(ws kargo.Workspace) kargo.Problems {
	const output = "configs/prometheus/prometheus.yml"
	if _, exists := ws.Files[output]; !exists || ws.Layer("deploy/prometheus.yml") != kargo.OriginDefault {
		return nil
	}
	return kargo.Problems{{
		Where: kargo.Place{File: output}, Warning: true, Message: "has no effect",
		Hint: "what Prometheus reads is configs/prometheus/prometheus.config, or its template",
	}}
}

// sortedPaths returns the paths of the merged tree in order, so that messages
// and results do not depend on the order of a map.
func sortedPaths(files map[string]kargo.File) []string {
	paths := make([]string, 0, len(files))
	for name := range files {
		paths = append(paths, name)
	}
	slices.Sort(paths)
	return paths
}
