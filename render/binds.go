package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// labelFiles marks a container with a digest of the files of the merged tree
// that it binds all the same (see bindconfigs.go). A bind shows a new content to nobody who does not look; the
// label makes a new content roll the service.
func (w *work) labelFiles(service string, spec *swarm.ServiceSpec) {
	container := spec.TaskTemplate.ContainerSpec
	hash := sha256.New()
	bound := 0
	for _, m := range container.Mounts {
		source, ok := w.inTree(m.Source)
		if m.Type != mount.TypeBind || !ok || kargo.IsState(source) {
			continue
		}
		files := w.filesAt(source)
		if len(files) == 0 {
			w.warn(w.volumePlace(service, []string{"services", service, "volumes", m.Target}),
				"put it into the workspace, or make the path absolute",
				"services.%s binds %s, which is not in the merged configuration", service, source)
		}
		for _, file := range files {
			bound++
			if w.ws.Files[file].Secret {
				w.fail(w.volumePlace(service, []string{"services", service, "volumes", m.Target}),
					"hand it over with secrets:, or let the bind be read-only: then it becomes a Swarm secret",
					"services.%s binds %s, which holds what is encrypted in the repository and is not written to a disk", service, file)
			}
			fmt.Fprintf(hash, "%s\x00%d\x00", file, len(w.ws.Files[file].Data))
			hash.Write(w.ws.Files[file].Data)
		}
	}
	if bound > 0 {
		container.Labels[kargo.LabelFiles] = hex.EncodeToString(hash.Sum(nil))[:12]
	}
}

// filesAt are the files of the merged tree at a path: the file itself, or all
// below the folder, state apart.
func (w *work) filesAt(source string) []string {
	return slices.DeleteFunc(w.treeNames(), func(name string) bool {
		return kargo.IsState(name) || source != "." && name != source && !strings.HasPrefix(name, source+"/")
	})
}

// volumePlace is where a service mentions a volume, by its target or source,
// the last part of the path; or its volumes as a whole.
func (w *work) volumePlace(service string, path []string) kargo.Place {
	name := path[len(path)-1]
	for _, l := range slices.Backward(w.layers) {
		volumes, _ := l.serviceDict(service)["volumes"].([]any)
		for i, volume := range volumes {
			if w.mentions(volume, name) {
				return l.at("services", service, "volumes", strconv.Itoa(i))
			}
		}
	}
	return w.place("services", service, "volumes")
}

// mentions tells whether a volume entry has a part, variables replaced.
func (w *work) mentions(volume any, part string) bool {
	if long, ok := volume.(map[string]any); ok {
		return w.mentions(long["target"], part) || w.mentions(long["source"], part)
	}
	text, _ := volume.(string)
	return slices.Contains(strings.Split(w.substituted(text), ":"), part)
}

// substituted is a text of a compose file with its variables replaced; as it
// is where the loader would refuse it.
func (w *work) substituted(text string) string { return substitute(text, w.ws.Env) }

func substitute(text string, env kargo.Environment) string {
	if substituted, err := template.Substitute(text, env.Lookup); err == nil {
		return substituted
	}
	return text
}
