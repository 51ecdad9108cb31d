package permit_test

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

	"kargo"
	"kargo/merge"
	"kargo/permit"
	"kargo/render"
)

var update = flag.Bool("update", false, "write the results of the txtar tests into their files")

// TestS36_S38_PolicyGate runs testdata/*.txtar. Each file shows one kind of
// privilege: prose, the layers under defaults/ and user/, perhaps single rules
// ("rules": RULE=VALUE, or SERVICE: RULE, a line each), then what each of the
// three policies says. An empty answer is left out.
func TestS36_S38_PolicyGate(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests found", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := rendered(t, archive)
			got := map[string]string{}
			for _, name := range policies {
				got[name] = problemText(permit.Check(policy(t, name, section(archive, "rules")), in))
			}
			if *update {
				write(t, file, archive, got)
				return
			}
			for _, name := range policies {
				if want := section(archive, name); got[name] != want {
					t.Errorf("%s says\n%s\nand should say\n%s", name, got[name], want)
				}
			}
		})
	}
}

var policies = []string{permit.Open, permit.Baseline, permit.Restricted}

// policy is one of the three with single rules on top.
func policy(t testing.TB, name, rules string) permit.Policy {
	t.Helper()
	p, err := permit.New(name)
	for _, line := range strings.Split(strings.TrimSpace(rules), "\n") {
		if rule, value, ok := strings.Cut(line, "="); ok && err == nil {
			p, err = p.Set(rule, value)
		} else if service, rule, ok := strings.Cut(line, ": "); ok && err == nil {
			p, err = p.Except(service, rule)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rendered is what the layers of an archive come to.
func rendered(t *testing.T, archive *txtar.Archive) permit.Input {
	t.Helper()
	defaults, user := fstest.MapFS{}, fstest.MapFS{}
	for _, file := range archive.Files {
		if name, ok := strings.CutPrefix(file.Name, "defaults/"); ok {
			defaults[name] = &fstest.MapFile{Data: file.Data}
		}
		if name, ok := strings.CutPrefix(file.Name, "user/"); ok {
			user[name] = &fstest.MapFile{Data: file.Data}
		}
	}
	const root = "/srv/.kargo"
	ws, problems, err := merge.Merge(merge.Input{Defaults: defaults, User: user, Root: root, WorkspacePath: "/srv/workspace"})
	if err != nil || problems.Err() != nil {
		t.Fatal(err, problems)
	}
	stacks, provenance, problems := render.Trace(ws)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	return permit.Input{Stacks: stacks, Origins: provenance, Root: root, SocketNetwork: render.SocketNetwork(ws.Env)}
}

func problemText(problems kargo.Problems) string {
	var text strings.Builder
	for _, problem := range problems {
		fmt.Fprintln(&text, problem)
	}
	return text.String()
}

func section(archive *txtar.Archive, name string) string {
	for _, file := range archive.Files {
		if file.Name == name {
			return string(file.Data)
		}
	}
	return ""
}

func write(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return slices.Contains(policies, f.Name) })
	for _, name := range policies {
		if got[name] != "" {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
		}
	}
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
