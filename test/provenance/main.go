// Command provenance says of what a program was built, as an in-toto statement with the
// predicate of SLSA:
//
//	provenance PROGRAM COMMIT VERSION
//
// It reads the version of Go, the settings of the build and the modules, with their
// hashes, from the program. COMMIT is that of the source. The statement has no time and
// no name of a machine: equal programs of one commit have equal statements. It is not
// signed.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: provenance PROGRAM COMMIT VERSION")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "provenance:", err)
		os.Exit(1)
	}
}

// buildType is how such programs are built: `make build`, in the Makefile of the commit.
const buildType = "urn:kargo:make-build:1"

type digests map[string]string

// statement is an in-toto statement, version 1, with the provenance of SLSA, version 1.
type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     struct {
		BuildDefinition struct {
			BuildType            string            `json:"buildType"`
			ExternalParameters   map[string]string `json:"externalParameters"`
			InternalParameters   map[string]string `json:"internalParameters"`
			ResolvedDependencies []resource        `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder map[string]string `json:"builder"`
		} `json:"runDetails"`
	} `json:"predicate"`
}

// resource is a file, a repository or a module.
type resource struct {
	Name   string  `json:"name,omitempty"`
	URI    string  `json:"uri,omitempty"`
	Digest digests `json:"digest"`
}

var fullCommit = regexp.MustCompile(`^[0-9a-f]{40}$|^[0-9a-f]{64}$`)

func write(out io.Writer, program, commit, version string) error {
	if !fullCommit.MatchString(commit) {
		return fmt.Errorf("%q is not the full hash of a commit", commit)
	}
	file, err := os.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := buildinfo.Read(file)
	if err != nil {
		return fmt.Errorf("read what %s was built of: %w", program, err)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(file, 0, 1<<62)); err != nil {
		return fmt.Errorf("read %s: %w", program, err)
	}
	made := newStatement(filepath.Base(program), fmt.Sprintf("%x", hash.Sum(nil)), commit, version, info)
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(made)
}

func newStatement(name, sum, commit, version string, info *debug.BuildInfo) (s statement) {
	s.Type, s.PredicateType = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
	s.Subject = []resource{{Name: name, Digest: digests{"sha256": sum}}}
	s.Predicate.RunDetails.Builder = map[string]string{"id": buildType}
	definition := &s.Predicate.BuildDefinition
	definition.BuildType = buildType
	definition.ExternalParameters = map[string]string{"version": version}
	definition.InternalParameters = map[string]string{"go": info.GoVersion}
	for _, setting := range info.Settings {
		if !strings.HasPrefix(setting.Key, "vcs") { // the commit is what it was asked for
			definition.InternalParameters[setting.Key] = setting.Value
		}
	}
	definition.ResolvedDependencies = []resource{{Name: "source", Digest: digests{"gitCommit": commit}}}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		if strings.HasPrefix(module.Path, "./") { // a folder of the source
			continue
		}
		definition.ResolvedDependencies = append(definition.ResolvedDependencies,
			resource{URI: "pkg:golang/" + module.Path + "@" + module.Version, Digest: digests{"goModuleH1": strings.TrimPrefix(module.Sum, "h1:")}})
	}
	return s
}
