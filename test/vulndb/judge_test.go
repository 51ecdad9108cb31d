package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const result = `
{"config": {"scan_level": "symbol"}}
{"osv": {"id": "GO-2026-0001", "summary": "A bug"}}
{"osv": {"id": "GO-2026-0002", "summary": "Another bug"}}
{"finding": {"osv": "GO-2026-0001", "trace": [{"module": "example.com/a", "version": "v1.0.0"}]}}
{"finding": {"osv": "GO-2026-0001", "fixed_version": "v1.0.1", "trace": [{"module": "example.com/a", "version": "v1.0.0", "package": "example.com/a/p", "function": "F"}, {"module": "kargo", "package": "kargo/swarm", "function": "G"}]}}
{"finding": {"osv": "GO-2026-0002", "trace": [{"module": "example.com/b", "version": "v2.0.0", "package": "example.com/b"}]}}
`

// Only what is called counts, and only what the table names is accepted.
func TestS48_OnlyNamedVulnerabilitiesAreAccepted(t *testing.T) {
	found, err := read(strings.NewReader(result))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		accepted map[string]string
		others   bool
		want     string
	}{
		{nil, true, "GO-2026-0001 in example.com/a@v1.0.0, fixed in v1.0.1: A bug\n    called: example.com/a/p.F\n    https://pkg.go.dev/vuln/GO-2026-0001\n"},
		{map[string]string{"GO-2026-0001": "is elsewhere"}, false,
			"GO-2026-0001 in example.com/a@v1.0.0 is accepted: it is elsewhere\nno other known vulnerability in what the program calls\n"},
		{map[string]string{"GO-2026-0001": "is elsewhere", "GO-2020-1": "is old"}, false,
			"GO-2026-0001 in example.com/a@v1.0.0 is accepted: it is elsewhere\nGO-2020-1 was not found: remove it from test/vulndb/accepted.go\n" +
				"no other known vulnerability in what the program calls\n"},
	} {
		var out strings.Builder
		if others := report(&out, found, test.accepted); others != test.others || out.String() != test.want {
			t.Errorf("%v: others %t\n%s\nwant\n%s", test.accepted, others, out.String(), test.want)
		}
	}
}

// What is not the result of a whole check is an error, and no clean result.
func TestWhatIsNoResultIsRefused(t *testing.T) {
	for _, text := range []string{"", `{"config": {"scan_level": "module"}}`, `{"config": {"scan_level": "symbol"}`, "no vulnerabilities found"} {
		if found, err := read(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v", text, found)
		}
	}
}

// The image is built with the Go that `make vuln` checks.
func TestS48_TheImageIsBuiltWithTheCheckedGo(t *testing.T) {
	version := func(file, pattern string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		match := regexp.MustCompile(pattern).FindSubmatch(text)
		if match == nil {
			t.Fatalf("%s has no line %s", file, pattern)
		}
		return string(match[1])
	}
	wanted := version("../../go.mod", `(?m)^toolchain go(\S+)$`)
	if image := version("../../Dockerfile", `(?m)^ARG BUILDER=golang:(\S+)$`); image != wanted {
		t.Errorf("the Dockerfile builds with Go %s, and go.mod names %s", image, wanted)
	}
	if said := version("../../docs/running.md", `GOTOOLCHAIN=go(\S+)`); said != wanted {
		t.Errorf("docs/running.md says Go %s, and go.mod names %s", said, wanted)
	}
}
