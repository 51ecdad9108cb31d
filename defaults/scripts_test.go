package defaults_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestLibraries sources every library, as scripts of workspaces do, and again,
// as libraries do that need each other.
func TestLibraries(t *testing.T) {
	folder := writeScripts(t)
	for _, file := range cataloguePaths(t) {
		if path.Dir(file) != "scripts" || isScript(t, file) {
			continue
		}
		script := `set -euo pipefail; . "$1"; . "$1"; declare -F`
		out, err := bash(folder, script, filepath.Join(folder, path.Base(file)))
		if err != nil || !strings.Contains(out, "declare -f ") {
			t.Errorf("source %s twice: %v\n%s", file, err, out)
		}
	}
}

// TestSQLIsQuoted keeps names and passwords from becoming SQL.
func TestSQLIsQuoted(t *testing.T) {
	folder := writeScripts(t)
	out, err := bash(folder, `. "$1"; _sql_text "$2"; _sql_name "$3"`, filepath.Join(folder, "mariadb.sh"), `it's\`, "a`b")
	if want := `'it''s\\'` + "`a``b`"; err != nil || out != want {
		t.Errorf("got %s, %v; want %s", out, err, want)
	}
}

// TestClearCacheStaysInTheCache refuses what is no name of a layer.
func TestClearCacheStaysInTheCache(t *testing.T) {
	folder := writeScripts(t)
	cache := t.TempDir()
	tile := filepath.Join(cache, "layer", "GLOBAL_WEBMERCATOR", "0.png")
	if err := os.MkdirAll(filepath.Dir(tile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tile, []byte("tile"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		layer string
		fails bool
	}{{"../layer", true}, {"layer/../layer", true}, {"other", false}, {"layer", false}} {
		if _, err := os.Stat(tile); err != nil {
			t.Fatalf("before %s: %v", test.layer, err)
		}
		out, err := bash(folder, `MAPCACHE_DATA_PATH=$2 bash "$1" "$3"`, filepath.Join(folder, "clear-cache.sh"), cache, test.layer)
		if (err != nil) != test.fails {
			t.Errorf("clear-cache %s: %v\n%s", test.layer, err, out)
		}
	}
	if _, err := os.Stat(tile); !os.IsNotExist(err) {
		t.Errorf("the tile of the layer is still there: %v", err)
	}
}

// bash runs a script with arguments, and with the libraries in place.
func bash(scripts, script string, args ...string) (string, error) {
	command := exec.Command("bash", append([]string{"-c", script, "bash"}, args...)...)
	command.Env = append(os.Environ(), "KARGO_SCRIPTS_PATH="+scripts)
	out, err := command.CombinedOutput()
	return string(out), err
}

// writeScripts writes the scripts of the catalogue to a directory.
func writeScripts(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, file := range cataloguePaths(t) {
		if path.Dir(file) != "scripts" {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, path.Base(file)), readCatalogue(t, file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// isScript reports whether a file is a script, and not a library that is only
// sourced.
func isScript(t *testing.T, file string) bool {
	t.Helper()
	return strings.HasPrefix(string(readCatalogue(t, file)), "#!")
}
