package render_test

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"gopkg.in/yaml.v3"

	"kargo"
	"kargo/render"
)

//go:embed testdata/compose-spec-keys.txt
var specificationKeys string

// Docker refuses many keys of the Compose Specification in a file for Swarm. Of each, the
// message says what to do. It does not take the key for a slip.
func TestKeysOfTheSpecificationAreExplained(t *testing.T) {
	archive, keys, names, lists := &txtar.Archive{}, map[string]string{}, []string{}, strings.Builder{}
	for line := range strings.Lines(specificationKeys) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		path := strings.Split(line, ".")
		data, err := yaml.Marshal(withKey(path))
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("s%d", len(names))
		file := "deploy/" + name + ".yml"
		names, keys[file] = append(names, name), line
		fmt.Fprintf(&lists, "%s=%s\n", kargo.SuffixStack.Of(name), name) // an error in one hides none of another
		archive.Files = append(archive.Files, txtar.File{Name: file, Data: data})
	}
	env := "STACKS=" + strings.Join(names, " ") + "\n" + lists.String()
	archive.Files = append(archive.Files, txtar.File{Name: ".env", Data: []byte(env)})
	_, problems := render.Render(workspace(archive))
	refused := 0
	for _, problem := range problems {
		if !strings.Contains(problem.Message, "is not a property") && !strings.HasSuffix(problem.Message, " is not allowed") {
			continue
		}
		refused++
		if problem.Hint == "" || strings.HasPrefix(problem.Hint, "did you mean") {
			t.Errorf("%s: %s", keys[problem.Where.File], problem)
		}
	}
	if refused < 50 {
		t.Errorf("only %d keys are refused; are the messages others?", refused)
	}
}

// withKey is a compose file that has a key of the specification.
func withKey(path []string) any {
	file := nested(path).(map[string]any)
	services, _ := file["services"].(map[string]any)
	if services == nil {
		services = map[string]any{}
		if path[0] != "services" {
			file["services"] = services
		}
	}
	service, _ := services["x"].(map[string]any)
	if service == nil {
		service = map[string]any{}
		services["x"] = service
	}
	service["image"] = "x"
	return file
}

// nested returns mappings and lists that lead to a key, whose value is a text.
func nested(path []string) any {
	switch {
	case len(path) == 0:
		return "x"
	case path[0] == "[]":
		return []any{nested(path[1:])}
	case path[0] == "*":
		return map[string]any{"x": nested(path[1:])}
	}
	return map[string]any{path[0]: nested(path[1:])}
}
