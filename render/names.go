package render

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"kargo"
)

// formerServices left the catalogue, or got another name.
var formerServices = map[string]string{
	"mongo": "mongodb", "vigicrues-stations": "vigicrues", "vigicrues-observations": "vigicrues", "vigicrues-sections": "vigicrues",
	"atlas-admin-express": "", "cesiumterrainserver": "", "elasticsearch": "", "geoserver": "", "gravitee": "", "mapproxy": "",
	"mgob": "", "nextcloud": "", "portainer": "", "seafile": "", "seeder": "",
}

// formerVariables are names that old guides told people to set, and nothing
// reads; the nearest name is not what was meant.
var formerVariables = map[string]string{
	"DOCKER_NETWORK":  "DOCKER_FRONT_NETWORK and DOCKER_BACK_NETWORK took its place",
	"FTP_PROXY":       "no service reads it",
	"GFS_WORLD_DEBUG": "did you mean GFS_WORLD_LOADER_DEBUG?",
	"VIGICRUES_HYDRO": "the service is called vigicrues",
}

// ownVariables are the variables that Kargo reads beside those of stacks and
// services.
func ownVariables() []string {
	names := []string{"STACKS", "KARGO_SECRETS", catalogueVariable}
	for _, network := range sharedNetworks {
		names = append(names, network.variable)
	}
	return names
}

// checkNames warns of variables of the workspace that nobody reads and that
// look as if they were meant to be read: a slip of the pen is silent otherwise.
func (r *renderer) checkNames() {
	read, known := r.readVariables()
	for _, variable := range slices.Sorted(maps.Keys(r.ws.Lines)) {
		at := r.variable(variable)
		if read[variable] || r.fromCatalogue(variable) {
			continue
		}
		if now, former := formerVariables[variable]; former {
			r.warn(at, now, "nothing reads %s", variable)
		} else if near := kargo.Nearest(variable, known, 2); near != "" {
			r.warn(at, "did you mean "+near+"?", "nothing reads %s", variable)
		} else {
			r.checkSuffix(at, variable)
		}
	}
}

// checkSuffix warns of variables that can only be meant for a stack or service
// which is not there.
func (r *renderer) checkSuffix(at kargo.Place, variable string) {
	if strings.HasSuffix(variable, string(kargo.SuffixStack)) {
		r.warnOrphan(at, variable, kargo.SuffixStack, r.stacks, "lists services of a stack that is not in STACKS")
		return
	}
	for _, known := range kargo.ServiceVariables {
		if strings.HasSuffix(variable, string(known.Suffix)) {
			r.warnOrphan(at, variable, known.Suffix, r.servicesOf(known), known.Orphan)
			return
		}
	}
}

func (r *renderer) warnOrphan(at kargo.Place, variable string, suffix kargo.Suffix, names []string, what string) {
	var variables []string
	for _, name := range names {
		variables = append(variables, suffix.Of(name))
	}
	hint := ""
	if near := kargo.Nearest(variable, variables, 2); near != "" {
		hint = "did you mean " + near + "?"
	}
	r.warn(at, hint, "%s %s", variable, what)
}

// servicesOf are the services that a variable can be set for.
func (r *renderer) servicesOf(variable kargo.ServiceVariable) []string {
	if variable.Entry {
		return slices.Sorted(maps.Keys(r.files))
	}
	return slices.Sorted(maps.Keys(r.services))
}

// mention is what looks like the name of a variable in any file;
// mentionAsVariable is what is one.
var (
	mention           = regexp.MustCompile(`[A-Z_][A-Z0-9_]+`)
	mentionAsVariable = regexp.MustCompile(`(?m)(?:\$\{?|^)([A-Z_][A-Z0-9_]+)(?:\W|$)`)
)

// readVariables are the variables that Kargo reads, that the catalogue sets, or
// that any file of the merged tree mentions. Mentioning is enough: what scripts
// and programs do with a name is theirs to know. Those that can be meant by
// something similar are known: mentioned as a variable, or Kargo's own.
func (r *renderer) readVariables() (read map[string]bool, known []string) {
	read = asSet(ownVariables())
	for _, variable := range kargo.StackVariables {
		for _, stack := range r.stacks {
			read[variable.Suffix.Of(stack)] = true
		}
	}
	for _, variable := range kargo.ServiceVariables {
		for _, service := range r.servicesOf(variable) {
			read[variable.Suffix.Of(service)] = true
		}
	}
	names := maps.Clone(read)
	for name := range r.ws.Files {
		data := r.ws.Files[name].Data
		if name == kargo.FileEnv {
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

// withoutAssigned is an environment file without the names that it assigns: a
// name that is only assigned is read by nobody.
func withoutAssigned(data []byte) []byte { return assigned.ReplaceAll(data, []byte("=")) }

// unlisted are the variables that look like lists of stacks not in STACKS.
func (r *renderer) unlisted() []string {
	listed := map[string]bool{}
	for _, stack := range r.stacks {
		listed[kargo.SuffixStack.Of(stack)] = true
	}
	var names []string
	for name := range r.ws.Lines {
		if strings.HasSuffix(name, string(kargo.SuffixStack)) && !listed[name] {
			names = append(names, name)
		}
	}
	return names
}

func asSet(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
