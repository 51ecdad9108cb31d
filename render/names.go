package render

import (
	"maps"
	"path"
	"regexp"
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
func checkNames(ws *view.Workspace, report *compose.Report, exist knownNames) {
	read, known := readVariables(ws, exist)
	check := unread{report: report, exist: exist, read: read, known: known}
	check.variables(ws.Lines)
	for _, directory := range ws.Directories {
		check.variables(directory.Lines)
	}
}

// unread checks variables against what is read.
type unread struct {
	report *compose.Report
	exist  knownNames
	read   map[string]bool
	known  []string
}

func (u unread) variables(assigned map[string]kargo.Place) {
	report, exist := u.report, u.exist
	for _, variable := range slices.Sorted(maps.Keys(assigned)) {
		at := assigned[variable]
		if u.read[variable] || at.File == kargo.FileEnvDefault {
			continue
		}
		if now, former := formerVariables[variable]; former {
			report.Warn(at, now, "nothing reads %s", variable)
		} else if near := spelling.Nearest(variable, u.known, 2); near != "" {
			report.Warn(at, "did you mean "+near+"?", "nothing reads %s", variable)
		} else {
			checkSuffix(report, exist, at, variable)
		}
	}
}

// checkSuffix warns of variables whose end belongs to a stack or service, while
// no such stack or service exists.
func checkSuffix(report *compose.Report, exist knownNames, at kargo.Place, variable string) {
	if strings.HasSuffix(variable, string(kargo.SuffixStack)) {
		warnOrphan(report, at, variable, kargo.SuffixStack, exist.stacks, "lists services of a stack that is not in STACKS")
		return
	}
	for _, known := range kargo.ServiceVariables {
		if strings.HasSuffix(variable, string(known.Suffix)) {
			warnOrphan(report, at, variable, known.Suffix, exist.of(known), known.Orphan)
			return
		}
	}
}

func warnOrphan(report *compose.Report, at kargo.Place, variable string, suffix kargo.Suffix, names []string, what string) {
	var variables []string
	for _, name := range names {
		variables = append(variables, suffix.Of(name))
	}
	hint := ""
	if near := spelling.Nearest(variable, variables, 2); near != "" {
		hint = "did you mean " + near + "?"
	}
	report.Warn(at, hint, "%s %s", variable, what)
}

// mention is what looks like the name of a variable in any file;
// mentionAsVariable is what is one.
var (
	mention           = regexp.MustCompile(`[A-Z_][A-Z0-9_]+`)
	mentionAsVariable = regexp.MustCompile(`(?m)(?:\$\{?|^)([A-Z_][A-Z0-9_]+)(?:\W|$)`)
)

// readVariables returns the variables that Kargo reads or that any file of the
// merged configuration mentions: scripts and programs may read a variable in any
// way. It returns, too, the known ones, which a misspelled name can stand for:
// Kargo's own, and those that a file mentions as a variable.
func readVariables(ws *view.Workspace, exist knownNames) (read map[string]bool, known []string) {
	read = asSet(ownVariables())
	for _, variable := range kargo.StackVariables {
		for _, stack := range exist.stacks {
			read[variable.Suffix.Of(stack)] = true
		}
	}
	for _, variable := range kargo.ServiceVariables {
		for _, service := range exist.of(variable) {
			read[variable.Suffix.Of(service)] = true
		}
	}
	names := maps.Clone(read)
	for name := range ws.Files {
		data := ws.Files[name].Data
		if path.Base(name) == kargo.FileEnv {
			data = withoutAssigned(data)
		}
		for _, found := range mention.FindAll(data, -1) {
			read[string(found)] = true
		}
		for _, found := range mentionAsVariable.FindAllSubmatch(data, -1) {
			names[string(found[1])] = true
		}
	}
	return read, slices.Sorted(maps.Keys(names))
}

// assigned is the name in front of an assignment.
var assigned = regexp.MustCompile(`(?m)^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*=`)

// withoutAssigned returns an environment file without the names that it
// assigns: an assignment does not read a variable.
func withoutAssigned(data []byte) []byte { return assigned.ReplaceAll(data, []byte("=")) }

func asSet(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
