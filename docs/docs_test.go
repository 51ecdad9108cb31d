// Package docs_test keeps what people copy from the documentation sound.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kargo"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/types"

	"kargo/permit"
)

// needed are the variables that running.md has people set.
var needed = map[string]string{
	"IMAGE":        "registry.example.com/kargo:1.0",
	"REPO":         "https://git.example.com/ops/platform.git",
	"DOCKER_GROUP": "998",
}

// TestStackFile reads kargo.yml as `docker stack deploy` does. That it works,
// too, is shown by TestImage in test/e2e.
func TestStackFile(t *testing.T) {
	config, err := load(needed)
	if err != nil {
		t.Fatal(err)
	}
	kargo := config.Services[0]
	var mounts []string
	for _, volume := range kargo.Volumes {
		mounts = append(mounts, volume.Type+" "+volume.Source+" "+volume.Target)
	}
	got := strings.Join(append([]string{kargo.Image, kargo.User, *kargo.Environment["KARGO_REPO"]}, mounts...), "\n")
	want := strings.TrimSpace(`
registry.example.com/kargo:1.0
65532:998
https://git.example.com/ops/platform.git
bind /var/run/docker.sock /var/run/docker.sock
volume data /var/lib/kargo
`)
	if got != want {
		t.Errorf("the stack file says\n%s\nwant\n%s", got, want)
	}
}

// TestStackFileAsksForWhatItNeeds: what is forgotten is named, and nothing is
// taken for a value. (A dash in the message would make the rest of it one.)
func TestStackFileAsksForWhatItNeeds(t *testing.T) {
	for forgotten := range needed {
		t.Run(forgotten, func(t *testing.T) {
			env := map[string]string{}
			for name, value := range needed {
				if name != forgotten {
					env[name] = value
				}
			}
			if _, err := load(env); err == nil || !strings.Contains(err.Error(), forgotten) {
				t.Errorf("without %s: %v", forgotten, err)
			}
		})
	}
}

// TestGuideSetsWhatTheStackFileNeeds keeps the two together.
func TestGuideSetsWhatTheStackFileNeeds(t *testing.T) {
	guide, err := os.ReadFile("running.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(guide), "\n")
	for name := range needed {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "export "+name+"=") }) {
			t.Errorf("running.md does not set %s", name)
		}
	}
}

func load(env map[string]string) (*types.Config, error) {
	data, err := os.ReadFile("kargo.yml")
	if err != nil {
		return nil, err
	}
	parsed, err := loader.ParseYAML(data)
	if err != nil {
		return nil, err
	}
	return loader.Load(types.ConfigDetails{
		ConfigFiles: []types.ConfigFile{{Filename: "kargo.yml", Config: parsed}}, Environment: env,
	})
}

// TestPolicyRules holds the table of policy.md to the rules that there are.
func TestPolicyRules(t *testing.T) {
	data, err := os.ReadFile("policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, line := range strings.Split(string(data), "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 7 && strings.HasPrefix(cells[1], " `") {
			documented = append(documented, strings.Trim(cells[1], " `"))
		}
	}
	if known := permit.Rules(); !slices.Equal(documented, known) {
		t.Errorf("documented are\n%v\nand there are\n%v", documented, known)
	}
}

// TestVariablesOfStacksAndServices holds the table and the list of keys in
// workspace.md to the variables that there are.
func TestVariablesOfStacksAndServices(t *testing.T) {
	data, err := os.ReadFile("workspace.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, known, keys []string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "| `<STACK>_") || strings.HasPrefix(line, "| `<SERVICE>_") || strings.HasPrefix(line, "| `<COMPOSE_SERVICE>_") {
			documented = append(documented, strings.TrimSpace(line))
		}
	}
	for _, variable := range kargo.StackVariables {
		known = append(known, fmt.Sprintf("| `<STACK>%s` | %s |", variable.Suffix, variable.Meaning))
		if variable.Key != "" {
			keys = append(keys, "`"+variable.Key+"`")
		}
	}
	for _, variable := range kargo.ServiceVariables {
		of := "COMPOSE_SERVICE"
		if variable.Entry {
			of = "SERVICE"
		}
		known = append(known, fmt.Sprintf("| `<%s>%s` | %s |", of, variable.Suffix, variable.Meaning))
	}
	if !slices.Equal(documented, known) {
		t.Errorf("documented are\n%s\n\nand there are\n%s", strings.Join(documented, "\n"), strings.Join(known, "\n"))
	}
	if text := strings.Join(strings.Fields(string(data)), " "); !strings.Contains(text, strings.Join(keys, ", ")+".") {
		t.Errorf("workspace.md does not list the keys of kargo.yml: %s", strings.Join(keys, ", "))
	}
}

// TestThreats holds threats.md to the tests that exist, and to every number.
func TestThreats(t *testing.T) {
	page, err := os.ReadFile("threats.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
			exist[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(page), -1) {
		if !exist[name[1]] {
			t.Errorf("there is no test %s", name[1])
		}
	}
	for number := 1; number <= 48; number++ {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^\|[^|]*\bS-%d\b`, number)).Match(page) {
			t.Errorf("no line is about S-%d", number)
		}
	}
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| S-") && !strings.Contains(line, "`Test") {
			t.Errorf("no test is named in: %s", line)
		}
	}
}
