package compose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Traefik has two families of labels that name a network: traefik.docker.*,
// which every version reads, and traefik.swarm.*, which only version 3 reads.
// Version 3 skips a service that has labels of both.
const (
	dockerFamily = "traefik.docker."
	swarmFamily  = "traefik.swarm."
)

// joinFamilies leaves every service labels of one family. If any file of the
// service has traefik.docker.*, the labels traefik.swarm.* of all its files are
// renamed to that: so a later file overrides an earlier one whichever family
// each uses, and any version of Traefik reads the result.
func joinFamilies(s *reading) {
	for service, files := range byKey(s.files, "services") {
		hasSwarm := func(f *File) bool { return len(familyLabels(s, f, service, swarmFamily)) > 0 }
		wroteSwarm := func(f *File) bool {
			return slices.ContainsFunc(familyLabels(s, f, service, swarmFamily), func(label string) bool { return isWritten(f, service, label) })
		}
		hasDocker := false
		for _, f := range files {
			for _, label := range familyLabels(s, f, service, dockerFamily) {
				hasDocker = true
				warnOfFamily(s, f, service, label, slices.ContainsFunc(files, wroteSwarm))
			}
		}
		if hasDocker && slices.ContainsFunc(files, hasSwarm) {
			for _, f := range files {
				renameFamily(s, f, service)
			}
		}
	}
}

// isWritten reports whether a file was written with a label, rather than given
// it by the translation of an old one.
func isWritten(f *File, service, label string) bool {
	return f.node("services", service, "deploy", "labels", label) != nil
}

func warnOfFamily(s *reading, f *File, service, label string, mixed bool) {
	at := f.At("services", service, "deploy", "labels", label)
	swarm := swarmFamily + label[len(dockerFamily):]
	if mixed {
		s.report.Warn(at, "use one of the two kinds in all files of the service",
			"services.%s: Traefik 3 ignores a service that has both %s* and %s*, so %s counts as %s", service, dockerFamily, swarmFamily, swarm, label)
		return
	}
	s.report.Warn(at, "write "+swarm+", unless an older Traefik reads it",
		"services.%s: %s is deprecated in Traefik 3", service, label)
}

// familyLabels returns the labels of one family under deploy in a file, in
// order. Traefik ignores the case of labels.
func familyLabels(s *reading, f *File, service, family string) []string {
	labels := slices.Sorted(maps.Keys(deployLabels(f, service, s.ws.Lookup)))
	return slices.DeleteFunc(labels, func(label string) bool { return !hasFamily(label, family) })
}

func hasFamily(label, family string) bool {
	return len(label) > len(family) && strings.EqualFold(label[:len(family)], family)
}

// renameFamily gives the labels of both families in a file the names of
// traefik.docker.*. Where the file has both, the value of traefik.swarm.* counts.
func renameFamily(s *reading, f *File, service string) {
	deploy, _ := f.Service(service)["deploy"].(map[string]any)
	switch declared := deploy["labels"].(type) {
	case map[string]any:
		for _, family := range []string{dockerFamily, swarmFamily} {
			for _, label := range slices.Sorted(maps.Keys(declared)) {
				if hasFamily(label, family) {
					value := declared[label]
					delete(declared, label)
					declared[dockerName(label, family)] = value
				}
			}
		}
	case []any:
		renamed := map[string]any{}
		var names []string
		for _, family := range []string{dockerFamily, swarmFamily} {
			for _, entry := range declared {
				label, value, _ := strings.Cut(substitute(fmt.Sprint(entry), s.ws.Lookup), "=")
				if hasFamily(label, family) {
					name := dockerName(label, family)
					if _, taken := renamed[name]; !taken {
						names = append(names, name)
					}
					renamed[name] = escape(name + "=" + value)
				}
			}
		}
		kept := slices.DeleteFunc(slices.Clone(declared), func(entry any) bool {
			label, _, _ := strings.Cut(substitute(fmt.Sprint(entry), s.ws.Lookup), "=")
			return hasFamily(label, dockerFamily) || hasFamily(label, swarmFamily)
		})
		for _, name := range names {
			kept = append(kept, renamed[name])
		}
		deploy["labels"] = kept
	}
}

// dockerName returns the label of a family as a label of traefik.docker.*.
func dockerName(label, family string) string {
	return dockerFamily + strings.ToLower(label[len(family):])
}
