package defaults_test

import (
	"bytes"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kargo"
)

var (
	// reference finds a variable where compose interpolation or a template reads it.
	reference = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	// assignment is a line of .env.default.
	assignment = regexp.MustCompile(`(?m)^([A-Z0-9_]+)=(?:"(.*)"|(.*))$`)
	// header is the comment that a compose file begins with, readList the last
	// sentence of it, and entry a name, or the beginning of names, in that.
	header   = regexp.MustCompile(`(?m)\A(?:#.*\n)+`)
	readList = regexp.MustCompile(`(?s)Reads (.*)\.\s*$`)
	entry    = regexp.MustCompile(`[A-Z0-9_]+\*?`)
)

// TestVariablesAreTrue compares the variables that .env.default sets, that the
// files read and that the user guide describes.
func TestVariablesAreTrue(t *testing.T) {
	set := assignments(t)
	read := variablesRead(t, set)
	guide, err := os.ReadFile("../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}

	for name := range read {
		_, isSet := set[name]
		_, isRequired := required[name]
		if !isSet && !isRequired {
			t.Errorf("%s is read by %s, but .env.default does not set it", name, read[name])
		}
	}
	for name, value := range set {
		if read[name] == "" {
			t.Errorf(".env.default sets %s, which nothing reads", name)
		}
		if want := documented(name, value); !bytes.Contains(guide, []byte(want)) {
			t.Errorf("docs/catalogue.md has no row that begins %q", want)
		}
	}
	for name := range required {
		if want := documented(name, ""); !bytes.Contains(guide, []byte(want)) {
			t.Errorf("docs/catalogue.md has no row that begins %q", want)
		}
		if set[name] != "" {
			t.Errorf("%s is required, and has the default %q", name, set[name])
		}
	}
}

// TestHeadersNameVariables holds the first comment of each compose file to what
// the file, and the templates that it mounts, read.
func TestHeadersNameVariables(t *testing.T) {
	for _, file := range serviceFiles(t) {
		data := readCatalogue(t, file)
		list := readList.FindSubmatch(bytes.ReplaceAll(header.Find(data), []byte("\n#"), nil))
		if list == nil {
			t.Errorf("%s: its header does not end in a sentence that begins with Reads", file)
			continue
		}
		named := entry.FindAllString(string(list[1]), -1)
		for _, name := range referencesIn(t, file) {
			if !slices.ContainsFunc(named, func(entry string) bool { return covers(entry, name) }) {
				t.Errorf("%s: its header does not say that it reads %s", file, name)
			}
		}
	}
}

// covers reports whether an entry is the name of the variable, or the beginning
// of its name and a star.
func covers(entry, variable string) bool {
	if prefix, ok := strings.CutSuffix(entry, "*"); ok {
		return strings.HasPrefix(variable, prefix)
	}
	return entry == variable
}

// Which stacks run is the user's to say: a default list would be merged into
// every workspace, and could never be taken out of sight. Likewise who passes
// basic authentication.
func TestNoStacksByDefault(t *testing.T) {
	for name := range assignments(t) {
		if name == "STACKS" || strings.HasSuffix(name, "_STACK") || strings.HasPrefix(name, "AUTH_") {
			t.Errorf(".env.default sets %s", name)
		}
	}
}

// TestGuideNamesEveryService holds the user guide to the list of services.
func TestGuideNamesEveryService(t *testing.T) {
	guide, err := os.ReadFile("../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range serviceNames(t) {
		if !bytes.Contains(guide, []byte("\n### "+name+"\n")) {
			t.Errorf("docs/catalogue.md has no section on %s", name)
		}
	}
}

// assignments are the variables of .env.default, their values as written there
// but for quotes.
func assignments(t *testing.T) map[string]string {
	t.Helper()
	set := map[string]string{}
	for _, match := range assignment.FindAllSubmatch(readCatalogue(t, ".env.default"), -1) {
		name := string(match[1])
		if _, twice := set[name]; twice {
			t.Errorf(".env.default sets %s twice", name)
		}
		set[name] = string(match[2]) + string(match[3])
	}
	if len(set) == 0 {
		t.Fatal(".env.default sets nothing")
	}
	return set
}

// documented is how the guide's tables begin the row of a variable.
func documented(name, value string) string {
	if _, isRequired := required[name]; isRequired {
		return "| `" + name + "` | required |"
	}
	if value == "" {
		return "| `" + name + "` | empty |"
	}
	return "| `" + name + "` | `" + value + "` |"
}

// variablesRead maps each variable to a file that reads it.
func variablesRead(t *testing.T, set map[string]string) map[string]string {
	t.Helper()
	read := map[string]string{}
	for _, file := range cataloguePaths(t) {
		switch {
		case path.Dir(file) == "deploy":
			for _, name := range constraintVariables(t, file) {
				read[name] = file
			}
			fallthrough
		case strings.HasPrefix(file, "configs/") && path.Ext(file) == ".tpl":
			for _, name := range references(readCatalogue(t, file)) {
				read[name] = file
			}
		case path.Dir(file) == "scripts", file == ".env.default":
			// They have variables of their own, too.
			for _, name := range references(readCatalogue(t, file)) {
				if _, isSet := set[name]; isSet {
					read[name] = file
				}
			}
		}
	}
	return read
}

// constraintVariables are the variables that Kargo itself reads for the
// compose services of a file.
func constraintVariables(t *testing.T, file string) []string {
	t.Helper()
	if path.Ext(file) == ".tpl" {
		return nil // their names are the workspace's, and so the variables'
	}
	config, err := load(t, file, environment(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, service := range config.Services {
		names = append(names, kargo.EnvName(service.Name)+"_CONSTRAINTS")
	}
	return names
}

// referencesIn are the variables that a compose file and the templates it
// mounts read.
func referencesIn(t *testing.T, file string) []string {
	t.Helper()
	names := references(readCatalogue(t, file))
	config, err := load(t, file, environment(t))
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, object := range config.Configs {
		sources = append(sources, object.File)
	}
	for _, object := range config.Secrets {
		sources = append(sources, object.File)
	}
	for _, source := range sources {
		template := strings.TrimPrefix(path.Clean(source), "/merged/") + ".tpl"
		if slices.Contains(cataloguePaths(t), template) {
			names = append(names, references(readCatalogue(t, template))...)
		}
	}
	return names
}

// references are the variables that a text reads; $$ is a dollar.
func references(text []byte) []string {
	var names []string
	for _, match := range reference.FindAllSubmatch(bytes.ReplaceAll(text, []byte("$$"), nil), -1) {
		names = append(names, string(match[1]))
	}
	return names
}
