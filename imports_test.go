package kargo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the drawing of ARCHITECTURE.md: for each package of the
// program, the others it may import. Arrows go down only; siblings do not know
// each other.
var mayImport = map[string][]string{
	"":                  {"pattern", "spelling"},
	"spelling":          {},
	"pattern":           {},
	"defaults":          {},
	"docs":              {},
	"secrets":           {""},
	"secrets/opener":    {"", "secrets"},
	"schedule":          {""},
	"merge":             {"", "schedule"},
	"hooks":             {""},
	"recipe":            {""},
	"draft":             {""},
	"render":            {"", "render/compose", "render/swarmcheck", "render/view"},
	"render/compose":    {"", "render/traefik", "render/view"},
	"render/traefik":    {},
	"render/swarmcheck": {"", "spelling"},
	"render/view":       {""},
	"permit":            {""},
	"plan":              {""},
	"gitsync":           {"", "gitsync/signature", "gitsync/wire"},
	"dockerauth":        {""},
	"registry":          {"", "dockerauth"},
	"swarm":             {"", "dockerauth"},
	"swarm/swarmtest":   {},
	"directory":         {""},
	"history":           {""},
	"dotkargo":          {""},
	"server":            {""},
	"notify":            {""},
	"compile":           {"", "merge", "render", "render/swarmcheck", "permit"},
	"lease":             {""},
	"controller":        {"", "compile", "lease", "plan", "schedule"},
	"cmd/kargo": {"", "compile", "controller", "defaults", "directory", "docs", "dotkargo", "draft", "gitsync", "gitsync/signature", "gitsync/wire", "history", "hooks", "merge", "notify", "permit", "plan",
		"recipe", "registry", "schedule", "secrets", "server", "swarm"},
	"cmd/kargo-secrets":   {"secrets", "secrets/opener"},
	"gitsync/signature":   {""},
	"gitsync/wire":        {""},
	"secrets/secretstest": {},
	"test/browser":        {},
	"test/golden":         {},
	"test/growth":         {},
	"test/testserver":     {},
	"test/conformance":    {},
	"test/e2e":            {"test/browser"},
	"test/vulndb":         {},
	"test/provenance":     {},
}

// everywhere are the packages that any other may import.
var everywhere = []string{"pattern", "spelling"}

// pure packages have no effects: their results depend on their arguments only.
// So a plan is reproducible, and a test needs no set-up.
var pure = []string{"", "pattern", "spelling", "dockerauth", "merge", "recipe", "draft", "render", "render/compose", "render/swarmcheck", "render/traefik", "render/view", "permit", "compile", "plan", "lease", "schedule"}

// effects are the packages that a pure one must not import.
var effects = []string{
	"os", "os/exec", "os/user", "io/ioutil", "path/filepath", "net", "net/http", "net/url", "math/rand", "math/rand/v2",
	"crypto/rand", "log", "log/slog", "syscall", "github.com/docker/docker/client",
}

// oneHome are the libraries that one package alone may import, so that a
// change of library stays a change of one package.
var oneHome = map[string]string{
	"github.com/docker/docker/client":             "swarm",
	"github.com/go-git/":                          "gitsync",
	"github.com/hiddeco/sshsig":                   "gitsync/signature",
	"github.com/getsops/":                         "secrets",
	"filippo.io/age":                              "secrets",
	"github.com/hashicorp/vault/":                 "secrets",
	"github.com/google/go-containerregistry":      "registry",
	"github.com/joho/godotenv":                    "merge",
	"github.com/docker/cli/":                      "render",
	"github.com/docker/docker/daemon/":            "render",
	"github.com/moby/swarmkit/":                   "render",
	"github.com/prometheus/":                      "server",
	"github.com/spf13/":                           "cmd/kargo",
	"github.com/robfig/cron":                      "schedule",
	"github.com/containerd/errdefs":               "swarm",
	"github.com/moby/term":                        "swarm",
	"github.com/docker/docker/api/types/registry": "swarm",
}

func TestImports(t *testing.T) {
	for dir, imports := range programImports(t) {
		allowed, known := mayImport[dir]
		if !known {
			t.Errorf("package %q is not in the drawing: does the program need a new noun or verb?", dir)
			continue
		}
		for _, imported := range imports {
			if inside, ours := ownPackage(imported); ours && !slices.Contains(allowed, inside) && !slices.Contains(everywhere, inside) {
				t.Errorf("%s imports %s: the drawing has no such arrow", dir, imported)
			}
			if slices.Contains(pure, dir) && slices.Contains(effects, imported) {
				t.Errorf("%s imports %s: it must have no effects", dir, imported)
			}
			for library, home := range oneHome {
				// swarmtest stands in for what swarm talks to, secretstest for
				// those who encrypt.
				if strings.HasPrefix(imported, library) && dir != home && !strings.HasPrefix(dir, home+"/") {
					t.Errorf("%s imports %s: that is %s's business", dir, imported, home)
				}
			}
		}
	}
}

func TestPurePackagesDoNotReadTheClock(t *testing.T) {
	for _, dir := range pure {
		for _, file := range goFiles(t, dir) {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Since(", "time.Until(", "time.Sleep(", "time.After("} {
				if strings.Contains(string(source), call) {
					t.Errorf("%s calls %s…): time is an argument here", file, call)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for dir := range programImports(t) {
		documented := false
		for _, file := range goFiles(t, dir) {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || parsed.Doc != nil
		}
		if !documented {
			t.Errorf("package %q has no package comment", dir)
		}
	}
}

var goFileName = regexp.MustCompile(`\b\w+\.go\b`)

// TestPackageCommentsNameFilesThatExist also reads the comments of packages
// that hold nothing but tests.
func TestPackageCommentsNameFilesThatExist(t *testing.T) {
	for dir := range programImports(t) {
		files, err := filepath.Glob(path.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range goFileName.FindAllString(parsed.Doc.Text(), -1) {
				if _, err := os.Stat(path.Join(dir, name)); err != nil {
					t.Errorf("the package comment in %s names %s, which does not exist", file, name)
				}
			}
		}
	}
}

// inMap is a path with its folder in the prose of ARCHITECTURE.md, in code quotes.
var inMap = regexp.MustCompile("`([a-z]+(?:/[A-Za-z_]+)*/(?:[a-z_]+\\.go|testdata/[a-z]+|)|[a-z_]+\\.go)`")

// TestMapNamesWhatExists holds ARCHITECTURE.md to the tree: a reader who follows
// it must arrive.
func TestMapNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for number, line := range strings.Split(string(text), "\n") {
		for _, match := range inMap.FindAllStringSubmatch(line, -1) {
			name := match[1]
			if _, err := os.Stat(name); err == nil {
				continue
			}
			// A file without its folder is one of the room that the line is about.
			if found, _ := filepath.Glob("*/" + name); len(found) > 0 {
				continue
			}
			if found, _ := filepath.Glob("*/*/" + name); len(found) > 0 {
				continue
			}
			t.Errorf("ARCHITECTURE.md:%d names %s, which does not exist", number+1, name)
		}
	}
}

func ownPackage(imported string) (dir string, ours bool) {
	if imported == "kargo" {
		return "", true
	}
	return strings.CutPrefix(imported, "kargo/")
}

// programImports are the imports of each package of the program, tests aside.
func programImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		if name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "bin") {
			return fs.SkipDir
		}
		if _, err := os.Stat(path.Join(name, "go.mod")); err == nil && name != "." {
			return fs.SkipDir // another module
		}
		dir := filepath.ToSlash(name)
		if dir == "." {
			dir = ""
		}
		for _, file := range goFiles(t, dir) {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			imports[dir] = append(imports[dir], pathsOf(t, parsed.Imports)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

func pathsOf(t *testing.T, specs []*ast.ImportSpec) []string {
	t.Helper()
	paths := []string{} // not nil: a package without imports is one all the same
	for _, spec := range specs {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, imported)
	}
	return paths
}

// goFiles are the files of a package, tests aside.
func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(path.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// The builds for people leave out a transport that the program never uses, and which
// makes it a fifth larger. Stubs take the place of what swarmkit needs to be a manager,
// and of what the docker command sends of its own use.
func TestBuildsLeaveOutWhatIsNeverUsed(t *testing.T) {
	const tag = "disable_grpc_modules"
	for _, file := range []string{"Makefile", "Dockerfile", "test/e2e/bed_test.go"} {
		data, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(data), tag) {
			t.Errorf("%s does not build with the tag %s (%v)", file, tag, err)
		}
		if !strings.Contains(string(data), "cmd/kargo-secrets") {
			t.Errorf("%s does not build kargo-secrets", file)
		}
	}
	linked, err := exec.Command("go", "list", "-tags", tag, "-deps", "./cmd/kargo", "./cmd/kargo-secrets").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, unused := range []string{
		"google.golang.org/grpc/xds/googledirectpath", "github.com/weppos/publicsuffix-go", "github.com/zmap/zlint/v3/lints",
		"go.etcd.io/etcd/raft/v3/quorum", "go.uber.org/zap", "go.opentelemetry.io/proto/otlp", "github.com/golang/protobuf",
	} {
		if strings.Contains(string(linked), unused) {
			t.Errorf("neither the tag %s nor a stub leaves out %s any more", tag, unused)
		}
	}
}

// What opens encrypted files is large, and in a program of its own.
func TestTheControllerDoesNotLinkWhatOpensSecrets(t *testing.T) {
	linked, err := exec.Command("go", "list", "-deps", "./cmd/kargo").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, large := range []string{"github.com/getsops/", "github.com/hashicorp/vault/", "cloud.google.com/", "github.com/aws/", "github.com/Azure/", "filippo.io/age"} {
		if strings.Contains(string(linked), "\n"+large) {
			t.Errorf("kargo links packages of %s; they belong to kargo-secrets", large)
		}
	}
}

// leastVersions are those that closed holes in what reads a hostile repository
// (security requirement S-4).
var leastVersions = map[string][]int{
	"github.com/go-git/go-git/v5":   {5, 19, 2},
	"github.com/go-git/go-billy/v5": {5, 9, 0},
}

func TestS04LibrariesAreRecentEnough(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for module, least := range leastVersions {
		required := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\d+)\.(\d+)\.(\d+)\b`).FindSubmatch(data)
		if required == nil {
			t.Errorf("go.mod has no %s", module)
			continue
		}
		var version []int
		for _, part := range required[1:] {
			number, err := strconv.Atoi(string(part))
			if err != nil {
				t.Fatal(err)
			}
			version = append(version, number)
		}
		if slices.Compare(version, least) < 0 {
			t.Errorf("go.mod has %s, which must be at least %v", required[0], least)
		}
	}
}
