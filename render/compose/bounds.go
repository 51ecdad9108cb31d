package compose

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/docker/cli/cli/compose/template"

	"kargo"
	"kargo/pattern"
)

// Bounds protect the memory of the controller and of Swarm's managers against a
// workspace that was made to exhaust it. They are far above what a sound one
// needs. To read 10,000 typical services takes 620 MB at most.
const (
	MaxServices = 10_000   // of all stacks together
	maxPorts    = 1000     // of one service, ranges written out
	maxMounts   = 1000     // of one service: each is compared with all others
	maxFile     = 1 << 20  // bytes of one compose file
	maxValues   = 20_000   // of one compose file, aliases written out
	maxExpanded = 32 << 20 // bytes of all stacks' files, with variables replaced
)

// Size is what a stack takes of what all stacks may hold together.
type Size struct {
	Services int `json:"services"`
	Bytes    int `json:"bytes"`
}

// budget counts what all stacks hold together.
type budget struct {
	Size
	// exceeded is set where there was too much, which is reported once: nothing
	// more is read.
	exceeded bool
	// explained is how many errors of Docker's loader were explained.
	explained int
}

// take counts a stack whose size is known. It returns false, and counts nothing, if
// the stack does not fit.
func (b *budget) take(size Size) bool {
	if b.Services+size.Services > MaxServices || b.Bytes+size.Bytes > maxExpanded {
		return false
	}
	b.Services, b.Bytes = b.Services+size.Services, b.Bytes+size.Bytes
	return true
}

// servicesFit counts the services of a stack, and refuses them once there are
// too many.
func (b *budget) servicesFit(s *reading, services int) bool {
	if b.Services += services; b.Services <= MaxServices {
		return true
	}
	b.exceeded = true
	s.report.Fail(s.ws.PlaceOf(kargo.SuffixStack.Of(s.stack)), fmt.Sprintf("the limit is %d", MaxServices), "the stacks up to %q have too many services", s.stack)
	return false
}

// bytesFit counts bytes of expanded text, and refuses them once there are too
// many.
func (b *budget) bytesFit(report *Report, at kargo.Place, bytes int) bool {
	if b.Bytes += bytes; b.Bytes <= maxExpanded {
		return true
	}
	b.exceeded = true
	report.Fail(at, fmt.Sprintf("the limit is %d bytes for all files together", maxExpanded), "is too large once its variables are replaced")
	return false
}

// checkBounds refuses what would grow without limit in the loader: values that
// read long variables many times, and ranges of ports.
func checkBounds(s *reading) {
	services := map[string]bool{}
	for _, f := range s.files {
		whole := kargo.Place{File: f.Path}
		for _, name := range f.ServiceNames() {
			services[name] = true
			checkPortCount(s, f, name)
			checkMountCount(s, f, name)
		}
		if countValues(f.dict, 0) > maxValues {
			s.report.Fail(whole, "", "holds more than %d values", maxValues)
			return
		}
		if !s.budget.bytesFit(s.report, whole, expandedSize(f.dict, s.ws.Lookup)) {
			return
		}
	}
	s.budget.servicesFit(s, len(services))
}

// countValues adds the values in a value to a count, and stops above maxValues.
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

// expandedSize returns the size in bytes of a value once its variables are
// replaced. Counting stops above maxExpanded.
func expandedSize(value any, env template.Mapping) int {
	size := 0
	switch value := value.(type) {
	case string:
		size = substitutedSize(value, env)
	case map[string]any:
		for key, entry := range value {
			if size += len(key) + expandedSize(entry, env); size > maxExpanded {
				break
			}
		}
	case []any:
		for _, entry := range value {
			if size += expandedSize(entry, env); size > maxExpanded {
				break
			}
		}
	}
	return size
}

func substitutedSize(text string, env template.Mapping) int {
	size := len(text)
	for _, match := range variableReference().FindAllStringSubmatchIndex(text, -1) {
		for _, group := range []int{4, 6} {
			if match[group] >= 0 {
				value, _ := env(variableName().FindString(text[match[group]:match[group+1]]))
				size += len(value)
			}
		}
	}
	return size
}

// envFileSize returns the size in bytes of what an env_file becomes: a line
// without a value takes that of the variable.
func envFileSize(content []byte, env template.Mapping) int {
	const each = 64 // bytes that a line takes beside its own
	size := len(content)
	for line := range bytes.Lines(content) {
		size += each
		if !bytes.Contains(line, []byte("=")) {
			value, _ := env(string(bytes.TrimSpace(line)))
			size += len(value)
		}
	}
	return size
}

var portRange = pattern.Lazy(`(\d{1,9})-(\d{1,9})`)

// checkPortCount refuses more ports than anybody publishes: each of a range is
// an entry of its own in the spec.
func checkPortCount(s *reading, f *File, service string) {
	for _, section := range []string{"ports", "expose"} {
		entries, _ := f.Service(service)[section].([]any)
		count := 0
		for _, entry := range entries {
			widest := 1
			text, _ := entry.(string)
			for _, match := range portRange().FindAllStringSubmatch(substitute(text, s.ws.Lookup), -1) {
				first, _ := strconv.Atoi(match[1])
				last, _ := strconv.Atoi(match[2])
				widest = max(widest, last-first+1)
			}
			count += widest
		}
		if count > maxPorts {
			s.report.Fail(f.At("services", service, section), "", "services.%s.%s: %d ports; the limit is %d", service, section, count, maxPorts)
			return
		}
	}
}

func checkMountCount(s *reading, f *File, service string) {
	for _, section := range []string{"volumes", "configs", "secrets"} {
		if entries, _ := f.Service(service)[section].([]any); len(entries) > maxMounts {
			s.report.Fail(f.At("services", service, section), "", "services.%s.%s: %d entries; the limit is %d", service, section, len(entries), maxMounts)
		}
	}
}
