package compose

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/pkg/kvfile"

	"kargo"
)

// inlineEnvFiles puts the contents of env_file below the environment of the
// same file and removes env_file: the loader would open files of the machine.
func inlineEnvFiles(s *reading) {
	for _, f := range s.files {
		for _, name := range f.ServiceNames() {
			if dict := f.Service(name); dict["env_file"] != nil {
				inlineEnvFile(s, f, name, dict)
			}
		}
	}
}

func inlineEnvFile(s *reading, f *File, service string, dict map[string]any) {
	var entries []any
	switch value := dict["env_file"].(type) {
	case string:
		entries = []any{value}
	case []any:
		entries = value
	default:
		return // the schema reports it
	}
	var lines []string
	for i, entry := range entries {
		text, ok := entry.(string)
		if !ok {
			return
		}
		read, ok := readEnvFile(s, f.At("services", service, "env_file", strconv.Itoa(i)), text)
		if !ok {
			return
		}
		lines = append(lines, read...)
	}
	delete(dict, "env_file")
	dict["environment"] = mergedEnvironment(lines, dict["environment"])
}

// readEnvFile reads one file as `docker run --env-file` does. It returns lines
// of NAME=value.
func readEnvFile(s *reading, at kargo.Place, entry string) ([]string, bool) {
	name, err := template.Substitute(entry, s.ws.Lookup)
	if err != nil {
		s.report.Fail(at, "", "%s", err)
		return nil, false
	}
	path, file, ok := s.tree.File(at, name)
	if !ok {
		return nil, false
	}
	whole := kargo.Place{File: path}
	if !s.budget.bytesFit(s.report, whole, envFileSize(file.Data, s.ws.Lookup)) {
		return nil, false
	}
	lines, err := kvfile.ParseFromReader(bytes.NewReader(file.Data), s.ws.Lookup)
	if err != nil {
		s.report.Fail(whole, "", "%s", err)
		return nil, false
	}
	return lines, true
}

// mergedEnvironment lays the environment of a compose file over lines of
// NAME=value.
func mergedEnvironment(lines []string, environment any) any {
	if list, ok := environment.([]any); ok {
		return append(escapeList(lines), list...)
	}
	merged := map[string]any{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		merged[name] = escape(value)
	}
	dict, ok := environment.(map[string]any)
	if !ok && environment != nil {
		return environment // the schema reports it
	}
	for name, value := range dict {
		merged[name] = value
	}
	return merged
}
