package render

import (
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/pkg/kvfile"

	"kargo"
)

// inlineEnvFiles puts the contents of env_file under the environment of the
// same file, and env_file away: the loader would open files of the machine.
func (w *work) inlineEnvFiles() {
	for _, l := range w.layers {
		for _, name := range l.serviceNames() {
			if dict := l.serviceDict(name); dict["env_file"] != nil {
				w.inlineEnvFile(l, name, dict)
			}
		}
	}
}

func (w *work) inlineEnvFile(l *layer, service string, dict map[string]any) {
	var entries []any
	switch value := dict["env_file"].(type) {
	case string:
		entries = []any{value}
	case []any:
		entries = value
	default:
		return // the schema has a word for it
	}
	var lines []string
	for i, entry := range entries {
		text, ok := entry.(string)
		if !ok {
			return
		}
		at := l.at("services", service, "env_file", strconv.Itoa(i))
		read, ok := w.readEnvFile(at, text)
		if !ok {
			return
		}
		lines = append(lines, read...)
	}
	delete(dict, "env_file")
	dict["environment"] = above(lines, dict["environment"])
}

// readEnvFile reads one file as `docker run --env-file` does.
func (w *work) readEnvFile(at kargo.Place, entry string) ([]string, bool) {
	name, err := template.Substitute(entry, w.ws.Env.Lookup)
	if err != nil {
		w.fail(at, "", "%s", err)
		return nil, false
	}
	file, content, ok := w.treeFile(at, name)
	if !ok {
		return nil, false
	}
	if w.expands(kargo.Place{File: file}, w.envFileSize(content)) {
		return nil, false
	}
	lines, err := kvfile.ParseFromReader(bytes.NewReader(content), w.ws.Env.Lookup)
	if err != nil {
		w.fail(kargo.Place{File: file}, "", "%s", err)
		return nil, false
	}
	return lines, true
}

// above lays the environment of a compose file over lines of NAME=value.
func above(lines []string, environment any) any {
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
		return environment // the schema has a word for it
	}
	for name, value := range dict {
		merged[name] = value
	}
	return merged
}

// directory is where relative paths of the stack start: with its first file,
// as docker does it.
func (w *work) directory() string {
	if len(w.layers) == 0 {
		return path.Join(w.ws.Root, "deploy")
	}
	return path.Join(w.ws.Root, path.Dir(w.layers[0].path))
}

// treePath turns a path of a compose file into one of the merged tree. Any
// other path would be read on the machine of the controller.
func (w *work) treePath(name string) (string, error) {
	if strings.HasPrefix(name, "~") {
		return "", fmt.Errorf(`%s: "~" would be a home directory of the controller`, name)
	}
	full := name
	if !path.IsAbs(name) {
		full = path.Join(w.directory(), name)
	}
	inside, ok := strings.CutPrefix(path.Clean(full), path.Clean(w.ws.Root)+"/")
	if !ok {
		return "", fmt.Errorf("%s is not in the merged configuration, and files of the host are not read", name)
	}
	return inside, nil
}

// treeFile is a file of the merged tree by its path in a compose file.
func (w *work) treeFile(at kargo.Place, name string) (string, []byte, bool) {
	inside, err := w.treePath(name)
	if err != nil {
		w.fail(at, "put the file into the workspace", "%s", err)
		return "", nil, false
	}
	file, ok := w.ws.Files[inside]
	if !ok {
		w.fail(at, kargo.DidYouMean(inside, w.treeNames()), "there is no file %s", inside)
		return "", nil, false
	}
	w.filesRead[inside] = true
	return inside, file.Data, true
}
