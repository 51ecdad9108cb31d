package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kargo"
	"kargo/pattern"
	"kargo/render/compose"
	"kargo/render/view"
	"kargo/spelling"
)

// tooMany refuses more services than there may be, before any file is read.
func tooMany(ws *view.Workspace, report *compose.Report) bool {
	listed := 0
	for _, stack := range ws.StackNames() {
		listed += 1 + len(ws.Env.List(kargo.SuffixStack.Of(stack)))
	}
	if listed <= 2*compose.MaxServices {
		return false
	}
	report.Fail(ws.PlaceOf("STACKS"), fmt.Sprintf("the limit is %d", compose.MaxServices), "names too many stacks and services")
	return true
}

// whoLists begins a message about a stack that does not exist.
func whoLists(ws *view.Workspace) string {
	if len(ws.Directories) > 0 {
		return "the workspace has"
	}
	return "STACKS has"
}

// notListed ends a message about a stack that does not exist.
func notListed(ws *view.Workspace) string {
	if len(ws.Directories) > 0 {
		return "neither in STACKS nor a stack directory"
	}
	return "not in STACKS"
}

// prefixVariable is what stands before the names in Swarm of the stacks of
// STACKS. Without it, kargo.StackPrefix does.
const prefixVariable = "KARGO_STACK_PREFIX"

var stackPrefix = pattern.Lazy(`^([a-zA-Z0-9][a-zA-Z0-9_-]*)?$`)

// checkPrefix refuses a prefix that no name in Swarm can have.
func checkPrefix(ws *view.Workspace, report *compose.Report) {
	if prefix := ws.Env[prefixVariable]; !stackPrefix().MatchString(prefix) {
		report.Fail(ws.PlaceOf(prefixVariable), "letters, digits, - and _, as in team-; or nothing",
			"%s is %q, which no name in Swarm can begin with", prefixVariable, prefix)
	}
}

// swarmName returns the name of a stack in Swarm, or "" if it is the usual one.
// It is <STACK>_NAME, or the name of the directory, or the stack's with the
// prefix.
func swarmName(own view.View, stack string) string {
	variable := kargo.SuffixName.Of(stack)
	if name := own.Value(variable); kargo.IsSwarmName(name) && !own.IsDefault(variable) && variable != replicaSets {
		return name
	}
	if _, isDirectory := own.Directory(); isDirectory {
		return stack
	}
	if prefix, set := own.Lookup(prefixVariable); set && stackPrefix().MatchString(prefix) {
		return prefix + stack
	}
	return ""
}

// replicaSets is a variable of the catalogue that has the form of a stack's name.
// Historic workspaces have a stack mongors, and give its replica set a name.
const replicaSets = "MONGORS_NAME"

// stackNames returns the entries of STACKS in order, without repetitions, and
// the stack directories that STACKS does not name.
func stackNames(ws *view.Workspace, report *compose.Report) []string {
	at := ws.PlaceOf("STACKS")
	var names []string
	byVariable, inSwarm, known := map[string]string{}, map[string]string{}, map[string]bool{}
	for _, name := range ws.StackNames() {
		variable := kargo.SuffixStack.Of(name)
		other, taken := byVariable[variable]
		switch {
		case name == kargo.AllStacks:
			report.Fail(at, "", "%q means every stack and cannot be the name of one", kargo.AllStacks)
			continue
		case known[name]:
			report.Fail(at, "", "STACKS names %q twice", name)
			continue
		case kargo.ListHint("STACKS", name) != "":
			report.Fail(at, kargo.ListHint("STACKS", ws.Env["STACKS"]), "STACKS: %q cannot be the name of a stack", name)
			continue
		case taken:
			report.Warn(at, "rename one of them", "stacks %q and %q share the variable %s", other, name, variable)
		}
		byVariable[variable] = name
		full := kargo.Stack{Name: name, SwarmName: swarmName(ws.For(name), name)}.Namespace()
		if other, taken := inSwarm[full]; taken {
			report.Fail(placeOf(ws, name), "rename one of them", "stacks %q and %q have the same name in Swarm: %s", other, name, full)
			continue
		}
		inSwarm[full], known[name] = name, true
		names = append(names, name)
	}
	return names
}

// placeOf returns the place that makes a stack one: its directory, or STACKS.
func placeOf(ws *view.Workspace, stack string) kargo.Place {
	if directory, isOne := ws.Directory(stack); isOne {
		return kargo.Place{File: directory.Path}
	}
	return ws.PlaceOf("STACKS")
}

// stackEntries returns the entries of <STACK>_STACK in order, without
// repetitions.
func stackEntries(ws *view.Workspace, own view.View, report *compose.Report, stack string) []string {
	variable := kargo.SuffixStack.Of(stack)
	at := own.PlaceOf(variable)
	var entries []string
	for _, entry := range own.List(variable) {
		if slices.Contains(entries, entry) {
			report.Fail(at, "", "%s names %q twice", variable, entry)
			continue
		}
		entries = append(entries, entry)
	}
	if len(entries) == 0 {
		if at.Line == 0 {
			at = ws.PlaceOf("STACKS")
		}
		hint := "list its services, as in " + variable + `="redis mongodb"`
		if near := spelling.NearestAnyCase(variable, unlisted(ws), 2); near != "" {
			hint = "did you mean " + near + "?"
			if !strings.HasSuffix(near, string(kargo.SuffixStack)) {
				hint = fmt.Sprintf("write %s in the place of %s: %s", variable, near, ws.Lines[near])
			}
		}
		report.Fail(at, hint, "stack %q has no services: %s is empty or not set", stack, variable)
	}
	return entries
}

// unlisted returns the variables that resemble <STACK>_STACK, but not those of stacks
// that are in STACKS.
func unlisted(ws *view.Workspace) []string {
	listed := map[string]bool{}
	for _, stack := range ws.StackNames() {
		listed[kargo.SuffixStack.Of(stack)] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(ws.Lines)), func(name string) bool {
		return !strings.Contains(strings.ToUpper(name), "STACK") || name == "STACKS" || listed[name]
	})
}
