package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// vulnerability is one that the program calls.
type vulnerability struct {
	summary string
	module  string // with its version
	fixed   string // the first version without it, or ""
	called  string // the vulnerable function, or the first one of them
}

// message is one of those that govulncheck prints; one of its fields is set.
type message struct {
	Config *struct {
		ScanLevel string `json:"scan_level"`
	} `json:"config"`
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *finding `json:"finding"`
}

// finding is a vulnerability of a module, of a package, or, if the first frame names a
// function, in what is called.
type finding struct {
	OSV   string `json:"osv"`
	Fixed string `json:"fixed_version"`
	Trace []struct {
		Module, Version, Package, Function, Receiver string
	} `json:"trace"`
}

// read returns the vulnerabilities in what is called, by their IDs. The result of a check
// that did not look at functions is an error.
func read(result io.Reader) (map[string]vulnerability, error) {
	found := map[string]vulnerability{}
	summaries := map[string]string{}
	whole := false
	for decoder := json.NewDecoder(result); ; {
		var m message
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the result of govulncheck: %w", err)
		}
		switch {
		case m.Config != nil:
			whole = m.Config.ScanLevel == "symbol"
		case m.OSV != nil:
			summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil && len(m.Finding.Trace) > 0 && m.Finding.Trace[0].Function != "":
			at := m.Finding.Trace[0]
			if _, known := found[m.Finding.OSV]; !known {
				found[m.Finding.OSV] = vulnerability{module: at.Module + "@" + at.Version, fixed: m.Finding.Fixed, called: at.Package + "." + at.Function}
			}
		}
	}
	if !whole {
		return nil, errors.New("govulncheck did not look at functions")
	}
	for id, v := range found {
		v.summary = summaries[id]
		found[id] = v
	}
	return found, nil
}

// report prints what was found, and the accepted ones with the reason. It reports whether
// anything was found that is not accepted.
func report(out io.Writer, found map[string]vulnerability, accepted map[string]string) (others bool) {
	for _, id := range slices.Sorted(maps.Keys(found)) {
		v := found[id]
		if why, ok := accepted[id]; ok {
			fmt.Fprintf(out, "%s in %s is accepted: it %s\n", id, v.module, why)
			continue
		}
		others = true
		fixed := "no fixed version"
		if v.fixed != "" {
			fixed = "fixed in " + v.fixed
		}
		fmt.Fprintf(out, "%s in %s, %s: %s\n    called: %s\n    https://pkg.go.dev/vuln/%s\n", id, v.module, fixed, v.summary, v.called, id)
	}
	for _, id := range slices.Sorted(maps.Keys(accepted)) {
		if _, still := found[id]; !still {
			fmt.Fprintf(out, "%s was not found: remove it from test/vulndb/accepted.go\n", id)
		}
	}
	if !others {
		fmt.Fprintln(out, "no other known vulnerability in what the program calls")
	}
	return others
}
