// Package golden runs tests that are txtar files. Each file has prose that
// explains the test, the input, and the expected results. `go test -update`
// writes the results.
package golden

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the results of the txtar tests into their files")

// Run runs a test for each file of a pattern. The outcome of a file is compared
// with its sections of these names; one that is empty is left out of the file.
func Run(t *testing.T, pattern string, names []string, outcome func(*testing.T, *txtar.Archive) map[string]string) {
	t.Helper()
	for _, file := range files(t, pattern) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive := parse(t, file)
			got := outcome(t, archive)
			if *update {
				write(t, file, archive, names, got)
				return
			}
			for _, name := range names {
				if want := Section(archive, name); got[name] != want {
					t.Errorf("%s is\n%s\nand should be\n%s", name, got[name], want)
				}
			}
		})
	}
}

// Archives returns the files of a pattern, as seeds for fuzzing.
func Archives(tb testing.TB, pattern string) []*txtar.Archive {
	tb.Helper()
	var archives []*txtar.Archive
	for _, file := range files(tb, pattern) {
		archives = append(archives, parse(tb, file))
	}
	return archives
}

// Section returns the text of a file in an archive, or "" if there is none.
func Section(archive *txtar.Archive, name string) string {
	for _, file := range archive.Files {
		if file.Name == name {
			return string(file.Data)
		}
	}
	return ""
}

// Below returns the files of an archive that are below a folder, by their names
// in it.
func Below(archive *txtar.Archive, folder string) fstest.MapFS {
	below := fstest.MapFS{}
	for _, file := range archive.Files {
		if name, ok := strings.CutPrefix(file.Name, folder+"/"); ok {
			below[name] = &fstest.MapFile{Data: file.Data, Mode: 0o644}
		}
	}
	return below
}

// Lines returns one line for each of the items, as they print.
func Lines[T any](items []T) string {
	var text strings.Builder
	for _, item := range items {
		fmt.Fprintln(&text, item)
	}
	return text.String()
}

// files returns the files of a pattern. It is an error if there are none.
func files(tb testing.TB, pattern string) []string {
	tb.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		tb.Fatalf("there is no %s, %v", pattern, err)
	}
	return names
}

func parse(tb testing.TB, file string) *txtar.Archive {
	tb.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return archive
}

func write(t *testing.T, file string, archive *txtar.Archive, names []string, got map[string]string) {
	t.Helper()
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return slices.Contains(names, f.Name) })
	for _, name := range names {
		if got[name] != "" {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
		}
	}
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
