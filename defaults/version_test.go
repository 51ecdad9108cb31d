package defaults_test

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"kargo/defaults"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// A changed catalogue under an unchanged version would be deployed as if
// nothing had happened, so the version and what it stands for are recorded
// together.
func TestVersionFollowsContent(t *testing.T) {
	const record = "testdata/version.txt"
	var recordedVersion, recordedDigest string
	text, err := os.ReadFile(record)
	switch {
	case err == nil:
		if _, err := fmt.Sscanf(string(text), "version %s\nsha256 %s\n", &recordedVersion, &recordedDigest); err != nil {
			t.Fatalf("read %s: %v", record, err)
		}
	case !errors.Is(err, fs.ErrNotExist) || !*update:
		t.Fatal(err)
	}

	digest := catalogueDigest(t)
	if digest != recordedDigest && defaults.Version == recordedVersion {
		t.Fatalf("the catalogue changed, its version did not: raise Version in defaults.go (it is %q), then run: go test ./defaults -update",
			defaults.Version)
	}
	if *update {
		writeGolden(t, record, fmt.Sprintf("version %s\nsha256 %s\n", defaults.Version, digest))
		return
	}
	if digest != recordedDigest || defaults.Version != recordedVersion {
		t.Fatalf("%s records version %s, the catalogue is version %s: run: go test ./defaults -update",
			record, recordedVersion, defaults.Version)
	}
}

// catalogueDigest covers every path and every byte of the catalogue.
func catalogueDigest(t *testing.T) string {
	t.Helper()
	sum := sha256.New()
	for _, path := range cataloguePaths(t) {
		data := readCatalogue(t, path)
		fmt.Fprintf(sum, "%q %d\n", path, len(data))
		sum.Write(data)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// cataloguePaths lists the files of the catalogue, sorted.
func cataloguePaths(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := fs.WalkDir(defaults.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func readCatalogue(t *testing.T, path string) []byte {
	t.Helper()
	data, err := fs.ReadFile(defaults.FS(), path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeGolden(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
