// Package hooks runs the scripts of a workspace: deploy/<service>_before.sh and
// _after.sh before and after a deployment, environment files that need a real
// shell, and the scripts of the commands exec and build.
//
// They are the only code of a workspace that runs where Kargo runs, so hooks run
// only if the operator allows them ([Runner]). Otherwise a stack that has hooks is
// refused ([Refuse]): without what its hooks prepare it would be wrong.
//
// A script runs in bash, a child process, with the environment that the workspace
// declares and nothing of Kargo's own, in a scratch copy of the merged
// configuration, and for a limited time. Every process that it leaves is killed.
// Only [Script], which a person starts, runs in the person's own terminal and
// environment.
package hooks

import (
	"context"
	"path"
	"slices"
	"strings"

	"kargo"
)

// The ends of the file names of hooks.
const (
	before = "_before.sh"
	after  = "_after.sh"
)

// Refuse reports the hooks of services that one of the stacks lists; no stacks
// means all. Scripts that no stack lists are ignored. It has the signature of
// [Runner.Before].
func Refuse(_ context.Context, workspace kargo.Workspace, stacks ...string) (kargo.Workspace, kargo.Problems, error) {
	var problems kargo.Problems
	for _, suffix := range []string{before, after} {
		for _, hook := range hooksOf(workspace, suffix, stacks...) {
			problems = append(problems, kargo.Problem{
				Where: kargo.Place{File: hook.path, Line: 1}, Message: "service " + hook.service + " has a hook, and hooks are not allowed to run",
				Hint: "commit what it prepares, or allow hooks with --allow-hooks",
			})
		}
	}
	return workspace, problems.Sort(), nil
}

// hook is one script to run for a stack.
type hook struct {
	stack, service, path string
}

// hooksOf returns the hooks of one kind, in the order of the stacks and of their
// services. If no stack is named, the order is that of STACKS.
func hooksOf(workspace kargo.Workspace, suffix string, stacks ...string) []hook {
	if len(stacks) == 0 || slices.Contains(stacks, kargo.AllStacks) {
		stacks = workspace.StackNames()
	}
	var found []hook
	for _, stack := range stacks {
		for _, service := range workspace.Env.List(kargo.SuffixStack.Of(stack)) {
			name := path.Join("deploy", service+suffix)
			if _, exists := workspace.Files[name]; exists {
				found = append(found, hook{stack, service, name})
			}
		}
	}
	return found
}

// refused reports the hooks that cannot run.
func refused(workspace kargo.Workspace, hooks []hook) kargo.Problems {
	var problems kargo.Problems
	for _, hook := range hooks {
		if workspace.Files[hook.path].Secret {
			problems = append(problems, kargo.Problem{
				Where: kargo.Place{File: hook.path, Line: 1}, Message: "a hook cannot be encrypted: bash reads it from a disk, and no decrypted file is written to one",
				Hint: "keep the script unencrypted, and encrypt the variables that it reads",
			})
		}
	}
	return problems
}

// lastLines returns the last lines of an output, in one line.
func lastLines(output string, count int) string {
	lines := strings.FieldsFunc(output, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines[max(0, len(lines)-count):], " / ")
}
