// Package examples_test keeps the examples sound: people copy them.
package examples_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kargo"
	"kargo/compile"
	"kargo/defaults"
	"kargo/hooks"
	"kargo/plan"
	"kargo/secrets"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata")

// TestExamples plans each example for a Swarm on which nothing runs, and
// compares with testdata: what a reader of the example gets.
func TestExamples(t *testing.T) {
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			got := planOf(read(t, name))
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the plan is\n%s\nand should be\n%s", got, want)
			}
		})
	}
}

// digest ends the name of a config: it changes with every word of a file.
var digest = regexp.MustCompile(`-[0-9a-f]{12}: `)

// planOf is the plan of everything, as if no stack waited for another.
func planOf(desired compile.Desired) string {
	for i := range desired.Stacks {
		desired.Stacks[i].Needs = nil
	}
	next := plan.Make(desired.Stacks, kargo.Cluster{}, plan.Options{
		Instance: "default", Mask: desired.Workspace.Mask(nil),
	})
	return digest.ReplaceAllString(next.String(), ": ")
}

// TestReadme holds the list of examples to those there are.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t) {
		if !strings.Contains(string(readme), "["+name+"]("+name+")") {
			t.Errorf("README.md does not list %s", name)
		}
		if _, err := os.Stat(filepath.Join(name, "README.md")); err != nil {
			t.Error(err)
		}
	}
}

func names(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*/.env")
	if err != nil || len(files) != 5 {
		t.Fatalf("found %q, %v", files, err)
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Dir(file))
	}
	return names
}

// read renders an example, in which nothing may be wrong or odd. What the
// catalogue's own mounts would need under a stricter policy is not odd.
func read(t *testing.T, name string) compile.Desired {
	t.Helper()
	compiler := compile.Compiler{
		Defaults: defaults.FS(), Catalogue: defaults.Version, Root: "/var/lib/kargo/.kargo", Workspace: "/var/lib/kargo/workspace",
		Secrets: secrets.Options{}.Open, Hooks: hooks.Refuse,
	}
	desired, err := compiler.Compile(t.Context(), kargo.Tree{User: kargo.Files{FS: os.DirFS(name)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range desired.Problems {
		if !strings.Contains(problem.String(), "a stricter policy refuses it") {
			t.Error(problem)
		}
	}
	return desired
}
