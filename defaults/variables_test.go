package defaults_test

import (
	"bytes"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/joho/godotenv"
)

// reference finds a variable where compose interpolation or a template reads it.
var reference = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// TestVariablesAreTrue holds together what .env.default sets, what the files
// read and what the user guide tells.
func TestVariablesAreTrue(t *testing.T) {
	set, err := godotenv.Parse(bytes.NewReader(readCatalogue(t, ".env.default")))
	if err != nil {
		t.Fatal(err)
	}
	read := variablesRead(t)
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
		if !bytes.Contains(guide, []byte("| `"+name+"` | required |")) {
			t.Errorf("docs/catalogue.md does not say that %s is required", name)
		}
	}
}

// Which stacks run is the user's to say: a default list would be merged into
// every workspace, and could never be taken out of sight.
func TestNoStacksByDefault(t *testing.T) {
	set, err := godotenv.Parse(bytes.NewReader(readCatalogue(t, ".env.default")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if name == "STACKS" || strings.HasSuffix(name, "_STACK") || strings.HasPrefix(name, "AUTH_") {
			t.Errorf(".env.default sets %s", name)
		}
	}
}

// documented is how the guide's tables begin the row of a variable.
func documented(name, value string) string {
	if value == "" {
		return "| `" + name + "` | empty |"
	}
	return "| `" + name + "` | `" + value + "` |"
}

// variablesRead maps each variable to a file that reads it.
func variablesRead(t *testing.T) map[string]string {
	t.Helper()
	// For the applications of a workspace, which look for Redis under this name.
	read := map[string]string{"REDIS_URL": "applications"}
	for _, file := range serviceFiles(t) {
		config, err := load(t, file, environment(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range config.Services {
			// Kargo itself reads one such variable for each compose service.
			name := strings.ToUpper(strings.ReplaceAll(service.Name, "-", "_"))
			read[name+"_CONSTRAINTS"] = file
		}
	}
	for _, file := range cataloguePaths(t) {
		if file == ".env.default" {
			continue
		}
		for _, match := range reference.FindAllStringSubmatch(string(readCatalogue(t, file)), -1) {
			read[match[1]] = file
		}
	}
	return read
}
