package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

const commit = "9c1185a5c5e94be1f06ac1d29c1185a5c5e94be1"

// A statement names the program by its hash, the commit, the way of the build and the
// modules that are linked.
func TestS48_Statement(t *testing.T) {
	got := newStatement("kargo", "ab", commit, "1.0", &debug.BuildInfo{
		GoVersion: "go1.26.10", Settings: []debug.BuildSetting{{Key: "-trimpath", Value: "true"}, {Key: "vcs.time", Value: "2026"}},
		Deps: []*debug.Module{
			{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:aa="},
			{Path: "example.com/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/c", Version: "v2.0.0", Sum: "h1:cc="}},
			{Path: "example.com/d", Version: "v1.0.0", Replace: &debug.Module{Path: "./stubs/d", Version: "(devel)"}},
		},
	})
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"kargo","digest":{"sha256":"ab"}}],` +
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"urn:kargo:make-build:1",` +
		`"externalParameters":{"version":"1.0"},"internalParameters":{"-trimpath":"true","go":"go1.26.10"},` +
		`"resolvedDependencies":[{"name":"source","digest":{"gitCommit":"` + commit + `"}},` +
		`{"uri":"pkg:golang/example.com/a@v1.0.0","digest":{"goModuleH1":"aa="}},{"uri":"pkg:golang/example.com/c@v2.0.0","digest":{"goModuleH1":"cc="}}]},` +
		`"runDetails":{"builder":{"id":"urn:kargo:make-build:1"}}}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

// This test is a program, too.
func TestStatementOfAProgram(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := write(&out, program, commit, "1.0"); err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(content)); !strings.Contains(out.String(), sum) {
		t.Errorf("not the hash %s:\n%s", sum, out.String())
	}
	for _, test := range [][2]string{{program, "main"}, {program, commit[:12]}, {"main_test.go", commit}, {"nothing", commit}} {
		if err := write(&out, test[0], test[1], "1.0"); err == nil {
			t.Errorf("%s of %s: no error", test[0], test[1])
		}
	}
}
