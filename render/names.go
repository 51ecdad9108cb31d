package render

import (
	"maps"
	"slices"
	"strings"

	"kargo/render/compose"
	"kargo/render/view"
	"kargo/spelling"

	"kargo"
)

// formerVariables are names that old guides mention and nothing reads. The
// nearest name that is read has another meaning.
var formerVariables = map[string]string{
	"DOCKER_NETWORK":  "DOCKER_FRONT_NETWORK and DOCKER_BACK_NETWORK replaced it",
	"FTP_PROXY":       "no service reads it",
	"GFS_WORLD_DEBUG": "did you mean GFS_WORLD_LOADER_DEBUG?",
	"VIGICRUES_HYDRO": "the service is called vigicrues",
}

// ownVariables returns the variables that Kargo reads beside those of stacks
// and services.
func ownVariables() []string {
	names := []string{"STACKS", "KARGO_SECRETS", catalogueVariable, prefixVariable}
	for _, network := range sharedNetworks {
		names = append(names, network.variable)
	}
	return names
}

// knownNames are the names that variables can begin with.
type knownNames struct {
	stacks   []string
	entries  []string // of <STACK>_STACK
	services []string // of compose files
}

// of returns the names that a variable of services can begin with.
func (k knownNames) of(variable kargo.ServiceVariable) []string {
	if variable.Entry {
		return k.entries
	}
	return k.services
}

// checkNames warns of variables of the workspace that nothing reads and that
// resemble one that is read: a misspelled name would have no effect and no
// message.
func checkNames(ws *view.Workspace, report *compose.Report, exist knownNames, files *mentions) {
	check := unread{report: report, exist: exist, files: files, read: exist.reading()}
	files.update(ws.Files)
	check.variables(ws.Lines)
	for _, directory := range ws.Directories {
		check.variables(directory.Lines)
		check.misplaced(directory)
	}
}

// misplaced warns of variables in the .env of a stack directory that Kargo reads only in
// the environment of the workspace. A file may read each as a variable like others.
func (u *unread) misplaced(directory kargo.StackDirectory) {
	own := kargo.EnvName(directory.Name)
	for _, variable := range slices.Sorted(maps.Keys(directory.Lines)) {
		if u.files.mention(variable) {
			continue
		}
		at := directory.Lines[variable]
		switch stack, isStack := u.read.stackOf(variable); {
		case isStack && stack == own:
			if variable == kargo.SuffixStack.Of(directory.Name) {
				u.report.Warn(at, "the compose files of the directory have its services", "%s has no effect on a stack directory", variable)
			}
		case isStack, workspaceOnly(variable):
			u.report.Warn(at, "set it in the .env of the workspace", "%s has no effect in the .env of a stack directory", variable)
		}
	}
}

// workspaceOnly reports whether Kargo reads a variable for the workspace as a whole.
func workspaceOnly(variable string) bool {
	switch variable {
	case "STACKS", "KARGO_SECRETS", catalogueVariable, prefixVariable:
		return true
	}
	return strings.HasSuffix(variable, string(kargo.SuffixLabels))
}

// unread checks variables against what is read.
type unread struct {
	report *compose.Report
	exist  knownNames
	files  *mentions
	read   reading  // by Kargo itself
	known  []string // what a misspelled name can stand for; nil before it is needed
}

func (u *unread) variables(assigned map[string]kargo.Place) {
	report, exist := u.report, u.exist
	var found []string // few
	for variable, at := range assigned {
		if at.File != kargo.FileEnvDefault && !u.read.has(variable) && !u.files.mention(variable) {
			found = append(found, variable)
		}
	}
	slices.Sort(found)
	for _, variable := range found {
		at := assigned[variable]
		if now, former := formerVariables[variable]; former {
			report.Warn(at, now, "nothing reads %s", variable)
			continue
		}
		if u.known == nil {
			u.known = u.files.known(u.read.all())
		}
		if near := spelling.Nearest(variable, u.known, 2); near != "" {
			report.Warn(at, "did you mean "+near+"?", "nothing reads %s", variable)
		} else if near := u.inCapitals(variable); near != "" {
			report.Warn(at, "did you mean "+near+"?", "nothing reads %s", variable)
		} else {
			checkSuffix(report, exist, at, variable)
		}
	}
}

// inCapitals returns the name that a variable with lower-case letters can stand for. Such
// names are not among the mentions, as they are words like others.
func (u *unread) inCapitals(variable string) string {
	capitals := strings.ToUpper(variable)
	if capitals == variable {
		return ""
	}
	near := spelling.Nearest(capitals, u.known, 2)
	if near == "" || u.files.has(variable) {
		return ""
	}
	return near
}

// checkSuffix warns of variables whose end belongs to a stack or service, while
// no such stack or service exists.
func checkSuffix(report *compose.Report, exist knownNames, at kargo.Place, variable string) {
	if strings.HasSuffix(variable, string(kargo.SuffixStack)) {
		warnOrphan(report, at, variable, kargo.SuffixStack, exist.stacks, "lists services of a stack that is not in STACKS", "add the stack to STACKS to deploy it")
		return
	}
	for _, known := range kargo.ServiceVariables {
		if strings.HasSuffix(variable, string(known.Suffix)) {
			warnOrphan(report, at, variable, known.Suffix, exist.of(known), known.Orphan, "")
			return
		}
	}
}

// warnOrphan warns of a variable whose stack or service does not exist, with the hint of a
// name that is near, or the one given.
func warnOrphan(report *compose.Report, at kargo.Place, variable string, suffix kargo.Suffix, names []string, what, hint string) {
	var variables []string
	for _, name := range names {
		variables = append(variables, suffix.Of(name))
	}
	if near := spelling.Nearest(variable, variables, 2); near != "" {
		hint = "did you mean " + near + "?"
	}
	report.Warn(at, hint, "%s %s", variable, what)
}

// reading tells which variables Kargo itself reads: those of its own, and those that
// begin with a name and end with a suffix. Of the latter it has no list, which would be
// long.
type reading struct {
	own      map[string]bool
	families []family // those of stacks first
}

// family are the variables of stacks or services that have one suffix.
type family struct {
	suffix kargo.Suffix
	names  map[string]bool // what the variables begin with
}

func (k knownNames) reading() reading {
	r := reading{own: asSet(ownVariables())}
	stacks, entries, services := envNames(k.stacks), envNames(k.entries), envNames(k.services)
	for _, variable := range kargo.StackVariables {
		r.families = append(r.families, family{variable.Suffix, stacks})
	}
	for _, variable := range kargo.ServiceVariables {
		names := services
		if variable.Entry {
			names = entries
		}
		r.families = append(r.families, family{variable.Suffix, names})
	}
	return r
}

func envNames(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[kargo.EnvName(name)] = true
	}
	return set
}

// has reports whether Kargo itself reads a variable.
func (r reading) has(variable string) bool {
	return r.own[variable] || slices.ContainsFunc(r.families, func(f family) bool {
		name, ends := strings.CutSuffix(variable, string(f.suffix))
		return ends && f.names[name]
	})
}

// stackOf returns what a variable of a stack begins with: "SHOP" of SHOP_NEEDS.
func (r reading) stackOf(variable string) (string, bool) {
	for _, f := range r.families[:len(kargo.StackVariables)] {
		if name, ends := strings.CutSuffix(variable, string(f.suffix)); ends && f.names[name] {
			return name, true
		}
	}
	return "", false
}

// all returns all variables that Kargo itself reads.
func (r reading) all() map[string]bool {
	all := maps.Clone(r.own)
	for _, f := range r.families {
		for name := range f.names {
			all[name+string(f.suffix)] = true
		}
	}
	return all
}

func asSet(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
