package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConvert(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"GO-2024-0001.json": `{"id":"GO-2024-0001","modified":"2024-02-01T00:00:00Z","aliases":["CVE-2024-1"],"affected":[{"package":{"name":"b"}},{"package":{"name":"a"}},{"package":{"name":"b"}}]}`,
		"GO-2024-0002.json": `{"id":"GO-2024-0002","modified":"2024-03-01T00:00:00Z","affected":[{"package":{"name":"a"}}]}`,
		"README":            "not an entry",
	} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if count, err := convert(from, to); err != nil || count != 2 {
		t.Fatalf("%d entries, %v", count, err)
	}
	for name, want := range map[string]string{
		"index/db.json": `{"modified":"2024-03-01T00:00:00Z"}`,
		"index/modules.json": `[{"path":"a","vulns":[{"id":"GO-2024-0001","modified":"2024-02-01T00:00:00Z"},{"id":"GO-2024-0002","modified":"2024-03-01T00:00:00Z"}]},` +
			`{"path":"b","vulns":[{"id":"GO-2024-0001","modified":"2024-02-01T00:00:00Z"}]}]`,
		"index/vulns.json": `[{"id":"GO-2024-0001","modified":"2024-02-01T00:00:00Z","aliases":["CVE-2024-1"]},{"id":"GO-2024-0002","modified":"2024-03-01T00:00:00Z"}]`,
	} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "ID", "GO-2024-0001.json")); err != nil {
		t.Error(err)
	}
}

// A database in which nothing could be found is an error, and no clean result.
func TestConvertRefusesWhatIsNoDatabase(t *testing.T) {
	if _, err := convert(t.TempDir(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "there are no entries") {
		t.Errorf("an empty directory: %v", err)
	}
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "GO-1.json"), []byte(`{"id":"GO-2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := convert(from, t.TempDir()); err == nil || !strings.Contains(err.Error(), "is the entry of GO-2") {
		t.Errorf("a wrong name: %v", err)
	}
}
