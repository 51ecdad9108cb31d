// Command vulndb is the part of `make vuln` that is not govulncheck.
//
//	vulndb convert ENTRIES OUT
//
// makes the database that govulncheck reads from the entries in the module
// golang.org/x/vulndb. So known vulnerabilities can be checked where only the module
// proxy can be reached. ENTRIES is the directory of the module with the entries, OUT the
// directory to make.
//
//	vulndb judge RESULT
//
// reads what `govulncheck -format json` printed. It exits with 0 if the program calls
// nothing that is vulnerable, or only what accepted.go names, with 3 if it calls
// anything else, and with 1 if RESULT is not the result of a whole check.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	args := os.Args[1:]
	switch {
	case len(args) == 3 && args[0] == "convert":
		count, err := convert(args[1], args[2])
		if err != nil {
			fail(err)
		}
		fmt.Printf("%d entries\n", count)
	case len(args) == 2 && args[0] == "judge":
		result, err := os.Open(args[1])
		if err != nil {
			fail(err)
		}
		found, err := read(result)
		if err != nil {
			fail(fmt.Errorf("%s: %w", args[1], err))
		}
		if report(os.Stdout, found, accepted) {
			os.Exit(3)
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: vulndb convert ENTRIES OUT | vulndb judge RESULT")
		os.Exit(2)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "vuln: NOT CHECKED:", err)
	os.Exit(1)
}

// entry is what the indexes need of an entry.
type entry struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Aliases  []string  `json:"aliases,omitempty"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
	} `json:"affected,omitempty"`
}

// module is a module in the index of modules, with its vulnerabilities.
type module struct {
	Path  string  `json:"path"`
	Vulns []known `json:"vulns"`
}

// known is a vulnerability in an index.
type known struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Aliases  []string  `json:"aliases,omitempty"`
}

// convert writes the database, and returns its number of entries. A directory without
// entries is an error: nothing would be found with it.
func convert(from, to string) (count int, err error) {
	files, err := filepath.Glob(filepath.Join(from, "GO-*.json"))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("there are no entries in %s", from)
	}
	modules := map[string]*module{}
	vulns := []known{}
	var newest time.Time
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		var e entry
		if err := json.Unmarshal(data, &e); err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		if e.ID != strings.TrimSuffix(filepath.Base(file), ".json") {
			return 0, fmt.Errorf("%s is the entry of %s", file, e.ID)
		}
		if e.Modified.After(newest) {
			newest = e.Modified
		}
		vulns = append(vulns, known{ID: e.ID, Modified: e.Modified, Aliases: e.Aliases})
		for _, affected := range e.Affected {
			path := affected.Package.Name
			if modules[path] == nil {
				modules[path] = &module{Path: path}
			}
			list := &modules[path].Vulns
			if !slices.ContainsFunc(*list, func(k known) bool { return k.ID == e.ID }) {
				*list = append(*list, known{ID: e.ID, Modified: e.Modified})
			}
		}
		if err := write(filepath.Join(to, "ID", filepath.Base(file)), data); err != nil {
			return 0, err
		}
	}
	sorted := []*module{}
	for _, m := range modules {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	return len(files), errors.Join(
		writeJSON(filepath.Join(to, "index", "db.json"), map[string]time.Time{"modified": newest}),
		writeJSON(filepath.Join(to, "index", "modules.json"), sorted),
		writeJSON(filepath.Join(to, "index", "vulns.json"), vulns))
}

func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return write(path, data)
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
