package controller_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"golang.org/x/tools/txtar"

	"kargo/compile"
	"kargo/controller"
	"kargo/defaults"
	"kargo/gitsync"
	"kargo/hooks"
	"kargo/permit"
	"kargo/secrets"
	"kargo/secrets/opener"
	"kargo/test/golden"
)

// TestS01_S02_S05_S08_HostileRepositories runs testdata/hostile/*.txtar: each
// is a repository that somebody made to harm. A case is prose, files, and what
// comes of it, word for word ("want"; -update writes it). What txtar cannot hold
// is said in "git", a line each:
//
//	symlink PATH TARGET       submodule PATH            mode OCTAL PATH TEXT
//	file PATH TEXT            repeat PATH COUNT TEXT    many DIRECTORY COUNT
//	deep DIRECTORY COUNT      entry DIRECTORY NAME TEXT subject TEXT
//
// where anything may be quoted as in Go, and "entry" has a name that git would
// refuse. "options" are the operator's: policy NAME, rule RULE=VALUE, files N.
// OUTSIDE stands for a directory of the machine with a file "canary".
//
// The repository is real, and so is all that reads it. Of every case it is
// checked that what is refused changes nothing, that no message can move the
// cursor of a terminal, that nothing of the machine is in what comes of it, and
// that reading it takes no more memory than a sound workspace may.
func TestS01_S02_S05_S08_HostileRepositories(t *testing.T) {
	if racing {
		t.Skip("it has no goroutines, and measures memory: the quick tests run it")
	}
	t.Setenv("CANARY", "canary of the environment")
	const cases = "testdata/hostile/*.txtar"
	if count := len(golden.Archives(t, cases)); count < 60 {
		t.Errorf("there are %d cases", count)
	}
	golden.Run(t, cases, []string{"want"}, func(t *testing.T, archive *txtar.Archive) map[string]string {
		return map[string]string{"want": newAttack(t, archive).run()}
	})
}

// memoryOf one case: a workspace of the whole catalogue takes half of it.
const memoryOf = 256 << 20

// attack is one case: a repository, and the controller that reads it.
type attack struct {
	t       *testing.T
	outside string
	dir     string // of the repository
	storage *filesystem.Storage
	files   map[string]blob
	raw     map[string][]treeEntry // more entries of a directory
	subject string
	policy  permit.Policy
	limits  gitsync.Limits
}

type blob struct {
	mode string
	data []byte
}

type treeEntry struct {
	mode, name string
	hash       plumbing.Hash
}

func newAttack(t *testing.T, archive *txtar.Archive) *attack {
	a := &attack{t: t, outside: t.TempDir(), dir: t.TempDir(), files: map[string]blob{}, raw: map[string][]treeEntry{}, subject: "attack"}
	a.must(os.WriteFile(filepath.Join(a.outside, "canary"), []byte("canary of the machine"), 0o600))
	a.storage = filesystem.NewStorage(osfs.New(a.dir), cache.NewObjectLRUDefault())
	a.must(a.storage.Init())
	a.must(a.storage.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, plumbing.Main)))
	for _, file := range archive.Files {
		if !slices.Contains([]string{"want", "git", "options"}, file.Name) {
			a.files[file.Name] = blob{"100644", []byte(a.named(string(file.Data)))}
		}
	}
	for _, orders := range []string{"git", "options"} {
		for line := range strings.Lines(golden.Section(archive, orders)) {
			a.order(words(t, a.named(line)))
		}
	}
	return a
}

// outsideWord stands for a directory of the machine in the cases.
const outsideWord = "OUTSIDE"

func (a *attack) named(text string) string { return strings.ReplaceAll(text, outsideWord, a.outside) }

func (a *attack) unnamed(text string) string { return strings.ReplaceAll(text, a.outside, outsideWord) }

func (a *attack) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// words splits a line; what is quoted as in Go may hold anything.
func words(t *testing.T, line string) []string {
	t.Helper()
	var list []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if quoted, err := strconv.QuotedPrefix(line); err == nil {
			word, _ := strconv.Unquote(quoted)
			list, line = append(list, word), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		list, line = append(list, word), rest
	}
	return list
}

func (a *attack) order(w []string) {
	a.t.Helper()
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		a.must(err)
		return n
	}
	var err error
	switch w[0] {
	case "symlink":
		a.files[w[1]] = blob{"120000", []byte(w[2])}
	case "submodule":
		a.files[w[1]] = blob{mode: "160000"}
	case "mode":
		a.files[w[2]] = blob{w[1], []byte(w[3])}
	case "file":
		a.files[w[1]] = blob{"100644", []byte(w[2])}
	case "repeat":
		before := a.files[w[1]].data
		a.files[w[1]] = blob{"100644", append(bytes.Clone(before), bytes.Repeat([]byte(w[3]), number(w[2]))...)}
	case "many":
		for i := range number(w[2]) {
			a.files[fmt.Sprintf("%s/%d", w[1], i)] = blob{"100644", []byte("x")}
		}
	case "deep":
		a.files[w[1]+strings.Repeat("/d", number(w[2]))+"/x"] = blob{"100644", []byte("x")}
	case "entry":
		a.raw[w[1]] = append(a.raw[w[1]], treeEntry{"100644", w[2], a.object(plumbing.BlobObject, []byte(w[3]))})
	case "subject":
		a.subject = w[1]
	case "policy":
		a.policy, err = permit.New(w[1])
	case "rule":
		rule, value, _ := strings.Cut(w[1], "=")
		a.policy, err = a.policy.Set(rule, value)
	case "files":
		a.limits.Files = number(w[1])
	default:
		a.t.Fatalf("unknown: %q", w)
	}
	a.must(err)
}

func (a *attack) object(kind plumbing.ObjectType, data []byte) plumbing.Hash {
	a.t.Helper()
	object := a.storage.NewEncodedObject()
	object.SetType(kind)
	object.SetSize(int64(len(data)))
	writer, err := object.Writer()
	if err == nil {
		_, err = writer.Write(data)
	}
	a.must(errors.Join(err, writer.Close()))
	hash, err := a.storage.SetEncodedObject(object)
	a.must(err)
	return hash
}

// tree writes a directory as git stores it, whatever the names in it.
func (a *attack) tree(dir string, files map[string]blob) plumbing.Hash {
	entries := slices.Clone(a.raw[strings.TrimSuffix(dir, "/")])
	below := map[string]map[string]blob{}
	for path := range a.raw {
		if rest, ok := strings.CutPrefix(path, dir); ok {
			name, _, _ := strings.Cut(rest, "/")
			below[name] = map[string]blob{}
		}
	}
	for path, file := range files {
		name, rest, isDir := strings.Cut(path, "/")
		switch {
		case isDir:
			if below[name] == nil {
				below[name] = map[string]blob{}
			}
			below[name][rest] = file
		case file.mode == "160000":
			entries = append(entries, treeEntry{file.mode, name, plumbing.NewHash("1111111111111111111111111111111111111111")})
		default:
			entries = append(entries, treeEntry{file.mode, name, a.object(plumbing.BlobObject, file.data)})
		}
	}
	for name, files := range below {
		entries = append(entries, treeEntry{"40000", name, a.tree(dir+name+"/", files)})
	}
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].name < entries[j].name })
	var data bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&data, "%s %s\x00%s", e.mode, e.name, e.hash[:])
	}
	return a.object(plumbing.TreeObject, data.Bytes())
}

func (a *attack) commit() {
	tree := a.tree("", a.files)
	text := fmt.Sprintf("tree %s\nauthor A <a@example.org> 1700000000 +0000\ncommitter A <a@example.org> 1700000000 +0000\n\n%s\n", tree, a.subject)
	a.must(a.storage.SetReference(plumbing.NewHashReference(plumbing.Main, a.object(plumbing.CommitObject, []byte(text)))))
}

// run has a controller read the repository, and tells what comes of it.
func (a *attack) run() string {
	a.t.Helper()
	a.commit()
	repository, err := gitsync.Open(gitsync.Options{URL: a.dir, Limits: a.limits})
	a.must(err)
	w := newWorld(a.t)
	w.parts.Source = compile.Layers{User: repository}
	w.parts.Compiler = compile.Compiler{
		Defaults: defaults.FS(), Catalogue: "test", Root: "/data/.kargo", Workspace: "/data/workspace", UserID: 1000, GroupID: 1000,
		Policy: a.policy, Secrets: secrets.Options{Start: opener.Start}.Open, Hooks: hooks.Refuse, Keys: keys,
	}
	loop := controller.NewReconciler(w.parts)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = loop.Round(a.t.Context(), "test")
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > memoryOf {
		a.t.Errorf("reading it took %d MiB", took>>20)
	}

	status := loop.Status()
	var text strings.Builder
	for _, problem := range status.Problems {
		fmt.Fprintln(&text, problem)
	}
	writes := w.swarm.writes()
	switch {
	case status.Problems.Err() != nil:
	case err != nil:
		fmt.Fprintln(&text, err)
	default:
		fmt.Fprintf(&text, "accepted: %s\n", status.Head.String()[len("main@123456789012 "):])
		for _, call := range writes {
			if !strings.HasPrefix(call, "create network kargo-") {
				fmt.Fprintln(&text, call)
			}
		}
		text.WriteString(labels(w.swarm))
		a.check(w, text.String())
		return a.unnamed(text.String())
	}
	if len(writes) > 0 || len(w.written) > 0 {
		a.t.Errorf("it is refused, and yet: %q, %q", writes, w.written)
	}
	a.check(w, text.String()+status.Message+err.Error())
	return a.unnamed(text.String())
}

// labels are those of what was made that say whose it is.
func labels(c *cluster) string {
	var lines []string
	for name, service := range c.services {
		for _, label := range []string{"kargo.instance", "com.docker.stack.namespace"} {
			lines = append(lines, fmt.Sprintf("%s %s=%s\n", name, label, service.Spec.Labels[label]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// check holds what came of it against what must never be.
func (a *attack) check(w *world, text string) {
	a.t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		a.t.Errorf("a message holds %q", text[i:min(len(text), i+20)])
	}
	if strings.Contains(text+fmt.Sprintf("%+v", w.swarm.services), "canary of") {
		a.t.Error("something of the machine came along")
	}
	for name, service := range w.swarm.services {
		container := service.Spec.TaskTemplate.ContainerSpec
		if strings.Contains(fmt.Sprint(container.Env, container.Command, container.Args), "canary of") {
			a.t.Errorf("something of the machine is in %s", name)
		}
	}
}
