package compose

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/pkg/kvfile"

	"kargo"
	"kargo/pattern"
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
	if !s.budget.bytesFit(s.report, kargo.Place{File: path}, envFileSize(file.Data, s.ws.Lookup)) {
		return nil, false
	}
	lines, err := kvfile.ParseFromReader(bytes.NewReader(file.Data), s.ws.Lookup)
	first := !s.envFiles[path]
	s.envFiles[path] = true
	switch {
	case err != nil && first:
		failLines(s, at, path, file.Data)
	case first && s.ws.Layer(path) != kargo.OriginDefault:
		warnOfLines(s, path, file.Data)
	}
	return lines, err == nil
}

// failLines reports each line of a file that Docker cannot read, with the place of the
// env_file that names it. Docker's own messages have no line, but parts of values.
func failLines(s *reading, named kargo.Place, path string, data []byte) {
	before := s.report.Errors()
	for i, line := range bytes.Split(data, []byte("\n")) {
		if _, err := kvfile.ParseFromReader(bytes.NewReader(line), nil); err != nil {
			message, hint := lineProblem(line, err)
			s.report.Fail(kargo.Place{File: path, Line: i + 1}, hint, "%s; env_file names the file in %s", message, named)
		}
	}
	if s.report.Errors() == before {
		s.report.Fail(kargo.Place{File: path}, "", "cannot be read as env_file, which names the file in %s", named)
	}
}

// lineProblem says what is wrong with a line of an env_file, and nothing of its value.
func lineProblem(line []byte, err error) (message, hint string) {
	name, _, assigns := strings.Cut(strings.TrimSpace(string(line)), "=")
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Sprintf("the line is longer than %d bytes", bufio.MaxScanTokenSize), ""
	case !utf8.Valid(line):
		return "the line is not UTF-8 text", "save the file as UTF-8"
	case !assigns:
		return "the line is no assignment of a variable", "write NAME=value; a comment begins with #"
	case name == "":
		return `there is no name in front of the "="`, "write NAME=value"
	case strings.HasPrefix(name, "export "):
		return "the name of a variable has a blank", "leave out export: an env_file is no script"
	}
	return "the name of a variable has a blank", `write NAME=value, without blanks around the "="`
}

// quotedValue is a value in quotes, and commented one with a comment behind it.
var (
	quotedValue = pattern.Lazy(`^\s*[^#=\s]+=(?:".*"|'.*')\s*$`)
	commented   = pattern.Lazy(`^\s*[^#=\s]+=[^\s"'#]+\s+#\s`)
)

// warnOfLines warns of what is no more than text in an env_file for Swarm, and something
// else to bash and to Docker Compose.
func warnOfLines(s *reading, path string, data []byte) {
	for i, line := range strings.Split(string(data), "\n") {
		at := kargo.Place{File: path, Line: i + 1}
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case quotedValue().MatchString(line):
			s.report.Warn(at, "leave out the quotes", "the quotes around the value of %s are a part of it in an env_file", name)
		case commented().MatchString(line):
			s.report.Warn(at, "write the comment on a line of its own", "what follows # is a part of the value of %s in an env_file", name)
		case !strings.HasPrefix(name, "#"):
			warnOfReference(s, at, name, value)
		}
	}
}

// warnOfReference warns of a variable of the workspace that an env_file seems to read.
// Other references may be meant for the program in the container.
func warnOfReference(s *reading, at kargo.Place, name, value string) {
	for _, match := range bracedName().FindAllStringSubmatch(value, -1) {
		if s.ws.IsAssigned(match[1]) {
			s.report.Warn(at, "set "+name+" in environment: of the compose file", "${%s} is not replaced in an env_file", match[1])
			return
		}
	}
}

var bracedName = pattern.Lazy(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

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
