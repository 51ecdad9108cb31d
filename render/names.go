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

// Variables that Kargo itself reads: alone, for a stack, for a service.
var (
	ownVariables = []string{
		"STACKS", "KARGO_SECRETS", catalogueVariable, "DOCKER_FRONT_NETWORK", "DOCKER_BACK_NETWORK", "DOCKER_SOCKET_NETWORK",
	}
	stackVariables = []string{
		"_STACK", "_NEEDS", "_BEFORE", "_AFTER", "_ADOPT", "_ON_FAILURE", "_DEADLINE", "_STABLE", "_DRIFT", "_IGNORE", "_PROTECT", "_RECREATE",
	}
	serviceVariables = []string{"_CONSTRAINTS", "_BINDS"}
)

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
func (r *renderer) checkSuffix(at place, variable string) {
	for _, suffix := range []struct {
		text, what string
		names      map[string]bool
	}{
		{"_STACK", "lists services of a stack that is not in STACKS", asSet(r.stacks)},
		{"_EXTENSION", "extends a service that no stack lists", r.files},
		{"_CONSTRAINTS", "constrains a service that no stack has", r.services},
		{"_BINDS", "is about a service that no stack has", r.services},
	} {
		if prefix, ok := strings.CutSuffix(variable, suffix.text); ok {
			var names []string
			for name := range suffix.names {
				names = append(names, kargo.EnvName(name))
			}
			hint := ""
			if near := kargo.Nearest(prefix, names, 2); near != "" {
				hint = "did you mean " + near + suffix.text + "?"
			}
			r.warn(at, hint, "%s %s", variable, suffix.what)
			return
		}
	}
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
	read = asSet(ownVariables)
	for _, stack := range r.stacks {
		for _, suffix := range stackVariables {
			read[kargo.EnvName(stack)+suffix] = true
		}
	}
	for service := range r.services {
		for _, suffix := range serviceVariables {
			read[kargo.EnvName(service)+suffix] = true
		}
	}
	for service := range r.files {
		read[kargo.EnvName(service)+"_EXTENSION"] = true
	}
	names := maps.Clone(read)
	for name := range r.ws.Files {
		data := r.ws.Files[name].Data
		if name == ".env" {
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
		listed[kargo.EnvName(stack)+"_STACK"] = true
	}
	var names []string
	for name := range r.ws.Lines {
		if strings.HasSuffix(name, "_STACK") && !listed[name] {
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
