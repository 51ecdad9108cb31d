package render

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"

	"kargo"
)

// Bounds stand between a workspace that was made to harm and the memory of the
// controller and of Swarm's managers. They are far above what a sound one needs.
const (
	maxServices    = 1000     // of all stacks together
	maxReplicas    = 10_000   // of one service
	maxPorts       = 1000     // of one service, ranges written out
	maxComposeFile = 1 << 20  // bytes of one compose file
	maxValues      = 20_000   // of one compose file, aliases written out
	maxExpanded    = 32 << 20 // bytes of all stacks' files, with variables replaced
	maxProblems    = 1000     // that are said of a workspace
)

// tooMany refuses more services than there may be, before any file is read.
func (r *renderer) tooMany() bool {
	listed := 0
	for _, stack := range r.ws.Env.List("STACKS") {
		listed += 1 + len(r.ws.Env.List(kargo.SuffixStack.Of(stack)))
	}
	if listed <= 2*maxServices {
		return false
	}
	r.fail(r.variable("STACKS"), fmt.Sprintf("there may be %d", maxServices), "names too many stacks and services")
	return true
}

// fewServices counts the services of the files, and refuses them once there
// are too many.
func (w *work) fewServices(more int) bool {
	if w.counted += more; w.counted <= maxServices {
		return true
	}
	w.fail(w.variable(kargo.SuffixStack.Of(w.name)), fmt.Sprintf("there may be %d", maxServices), "the stacks up to %q have too many services", w.name)
	return false
}

// withinBounds refuses what would grow beyond all measure when the loader takes
// it: values that read long variables many times, and ranges of ports.
func (w *work) withinBounds() bool {
	services := map[string]bool{}
	within := true
	for _, l := range w.layers {
		for _, name := range l.serviceNames() {
			services[name] = true
			within = w.fewPorts(l, name) && within
		}
		if countValues(l.dict, 0) > maxValues {
			w.fail(kargo.Place{File: l.path}, "", "holds more than %d values", maxValues)
			return false
		}
		if w.expands(kargo.Place{File: l.path}, w.expandedSize(l.dict)) {
			return false
		}
	}
	return w.fewServices(len(services)) && within
}

// countValues adds the values in a value to a count, as far as it matters.
func countValues(value any, count int) int {
	count++
	switch value := value.(type) {
	case map[string]any:
		for _, entry := range value {
			if count = countValues(entry, count); count > maxValues {
				break
			}
		}
	case []any:
		for _, entry := range value {
			if count = countValues(entry, count); count > maxValues {
				break
			}
		}
	}
	return count
}

// expands counts bytes of expanded text, and refuses them once they are too
// many.
func (w *work) expands(at kargo.Place, bytes int) bool {
	w.expanded += bytes
	if w.expanded <= maxExpanded {
		return false
	}
	w.fail(at, fmt.Sprintf("all files may have %d bytes together", maxExpanded), "is too large once its variables are replaced")
	return true
}

// expandedSize is how many bytes a value has once its variables are replaced.
// What is above the bound anyhow is not counted to its end.
func (w *work) expandedSize(value any) int {
	size := 0
	switch value := value.(type) {
	case string:
		size = w.substitutedSize(value)
	case map[string]any:
		for key, entry := range value {
			if size += len(key) + w.expandedSize(entry); size > maxExpanded {
				break
			}
		}
	case []any:
		for _, entry := range value {
			if size += w.expandedSize(entry); size > maxExpanded {
				break
			}
		}
	}
	return size
}

func (w *work) substitutedSize(text string) int {
	size := len(text)
	for _, match := range variableReference.FindAllStringSubmatchIndex(text, -1) {
		for _, group := range []int{4, 6} {
			if match[group] >= 0 {
				size += len(w.ws.Env[variableName.FindString(text[match[group]:match[group+1]])])
			}
		}
	}
	return size
}

// envFileSize is how many bytes an env_file comes to: a line without a value
// takes that of the variable.
func (w *work) envFileSize(content []byte) int {
	const each = 64 // bytes that a line takes beside its own
	size := len(content)
	for line := range bytes.Lines(content) {
		size += each
		if !bytes.Contains(line, []byte("=")) {
			size += len(w.ws.Env[string(bytes.TrimSpace(line))])
		}
	}
	return size
}

var portRange = regexp.MustCompile(`(\d{1,9})-(\d{1,9})`)

// fewPorts refuses more ports than anybody publishes: each of a range is an
// entry of its own in the spec.
func (w *work) fewPorts(l *layer, service string) bool {
	for _, section := range []string{"ports", "expose"} {
		entries, _ := l.serviceDict(service)[section].([]any)
		count := 0
		for _, entry := range entries {
			widest := 1
			text, _ := entry.(string)
			for _, match := range portRange.FindAllStringSubmatch(w.substituted(text), -1) {
				first, _ := strconv.Atoi(match[1])
				last, _ := strconv.Atoi(match[2])
				widest = max(widest, last-first+1)
			}
			count += widest
		}
		if count > maxPorts {
			w.fail(l.at("services", service, section), "", "services.%s.%s: %d ports; there may be %d", service, section, count, maxPorts)
			return false
		}
	}
	return true
}

// checkReplicas refuses more tasks than any Swarm could take: it would try.
func (w *work) checkReplicas(service types.ServiceConfig, mode swarm.ServiceMode) {
	var replicas uint64
	switch {
	case mode.Replicated != nil && mode.Replicated.Replicas != nil:
		replicas = *mode.Replicated.Replicas
	case mode.ReplicatedJob != nil && mode.ReplicatedJob.TotalCompletions != nil:
		replicas = *mode.ReplicatedJob.TotalCompletions
	}
	if replicas > maxReplicas {
		w.fail(w.place("services", service.Name, "deploy", "replicas"), "",
			"services.%s.deploy.replicas: %d; there may be %d", service.Name, replicas, maxReplicas)
	}
}
