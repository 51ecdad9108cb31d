// Package hooks stands between the merge and the rendering: it gives the
// scripts that a workspace brings along (deploy/<service>_before.sh and
// _after.sh) their say, where they are allowed one.
//
// This version allows none: a stack that has hooks is refused with a clear
// message rather than deployed without them, because what a hook would have
// prepared would be missing.
package hooks

import (
	"maps"
	"path"
	"slices"
	"strings"

	"kargo"
)

// Refuse reports the hooks of services that one of the stacks lists; no stacks
// means all. Scripts nobody lists do no harm and are left alone.
func Refuse(workspace kargo.Workspace, stacks ...string) (kargo.Workspace, kargo.Problems) {
	if len(stacks) == 0 {
		stacks = workspace.Env.List("STACKS")
	}
	listed := map[string]bool{}
	for _, stack := range stacks {
		for _, service := range workspace.Env.List(kargo.EnvName(stack) + "_STACK") {
			listed[service] = true
		}
	}
	var problems kargo.Problems
	for _, name := range slices.Sorted(maps.Keys(workspace.Files)) {
		service, isHook := hookOf(name)
		if isHook && listed[service] {
			problems = append(problems, kargo.Problem{
				Path: name, Line: 1, Message: "hooks are not run by this version of Kargo, and service " + service + " has one",
				Hint: "put what it prepares into the workspace itself, then remove it",
			})
		}
	}
	return workspace, problems
}

// hookOf is the service that a file is a hook of.
func hookOf(name string) (service string, isHook bool) {
	if path.Dir(name) != "deploy" {
		return "", false
	}
	for _, suffix := range []string{"_before.sh", "_after.sh"} {
		if service, isHook := strings.CutSuffix(path.Base(name), suffix); isHook {
			return service, true
		}
	}
	return "", false
}
