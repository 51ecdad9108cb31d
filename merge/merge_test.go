package merge_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/merge"
	"kargo/test/golden"
)

// TestMerge runs testdata/*.txtar. Each file shows one rule: prose, then the
// layers under defaults/, shared/NAME/ (lowest first) and user/, then what comes
// of them: "want" is the workspace, "problems" what is said about it. An empty result is left out.
func TestMerge(t *testing.T) {
	golden.Run(t, "testdata/*.txtar", []string{"want", "problems"}, func(t *testing.T, archive *txtar.Archive) map[string]string {
		ws, problems, err := merge.Merge(t.Context(), input(archive))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{"problems": golden.Lines(problems)}
		if problems.Err() == nil {
			got["want"] = workspaceText(ws)
		}
		return got
	})
}

// input is what an archive describes.
func input(archive *txtar.Archive) merge.Input {
	var shared []kargo.Layer
	for _, file := range archive.Files {
		rest, isShared := strings.CutPrefix(file.Name, "shared/")
		layer, _, _ := strings.Cut(rest, "/")
		known := func(l kargo.Layer) bool { return l.Name == layer }
		if isShared && !slices.ContainsFunc(shared, known) {
			shared = append(shared, kargo.Layer{Name: layer, Files: kargo.Files{FS: golden.Below(archive, "shared/"+layer)}})
		}
	}
	return merge.Input{
		Defaults: golden.Below(archive, "defaults"), User: kargo.Files{FS: golden.Below(archive, "user")}, Shared: shared,
		Root: "/srv/.kargo", WorkspacePath: "/srv/workspace", UserID: 1000, GroupID: 1001,
	}
}

// workspaceText is a workspace as a person reads it: the reader, the variables
// with the lines that set them, and the files with their origins. The base
// variables and the environment files themselves are left out.
func workspaceText(ws kargo.Workspace) string {
	var text strings.Builder
	fmt.Fprintf(&text, "reader %s\n", ws.Reader)
	for _, name := range slices.Sorted(maps.Keys(ws.Env)) {
		if where, assigned := ws.Lines[name]; assigned {
			fmt.Fprintf(&text, "%s %s=%q\n", where, name, ws.Env[name])
		}
	}
	for _, image := range ws.Images {
		fmt.Fprintf(&text, "%s %s follows %s, %s", image.Where, image.Variable, image.Image, image.Range())
		if image.Write {
			fmt.Fprint(&text, ", written")
		}
		fmt.Fprintln(&text)
	}
	for _, window := range ws.Freeze {
		fmt.Fprintf(&text, "%s nothing changes %s", window.Where, window)
		if window.Reason != "" {
			fmt.Fprintf(&text, ": %s", window.Reason)
		}
		fmt.Fprintln(&text)
	}
	for _, directory := range ws.Directories {
		fmt.Fprintf(&text, "stack %s of %s\n", directory.Name, strings.Join(directory.Files, " "))
		for _, name := range slices.Sorted(maps.Keys(directory.Env)) {
			fmt.Fprintf(&text, "  %s %s=%q\n", directory.Lines[name], name, directory.Env[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ws.Files)) {
		if name == ".env" || strings.HasPrefix(name, ".env.") {
			continue
		}
		file := ws.Files[name]
		fmt.Fprintf(&text, "%s %s", file.Origin, name)
		if len(file.Over) > 0 {
			fmt.Fprintf(&text, " over %s", strings.Join(file.Over, " "))
		}
		if file.Source != name {
			fmt.Fprintf(&text, " from %s", file.Source)
		}
		fmt.Fprintf(&text, ": %q\n", file.Data)
	}
	return text.String()
}

// The base variables are there without any file.
func TestBaseVariables(t *testing.T) {
	ws, _, err := merge.Merge(t.Context(), input(txtar.Parse([]byte("-- user/.env --\nSTACKS=$KARGO_USER_ID\n"))))
	if err != nil {
		t.Fatal(err)
	}
	want := kargo.Environment{
		"WORKSPACE": "/srv/workspace", "KARGO_USER_ID": "1000", "KARGO_GROUP_ID": "1001",
		"KARGO_BUILD_PATH": "/srv/.kargo", "KARGO_SCRIPTS_PATH": "/srv/.kargo/scripts", "STACKS": "1000",
	}
	if !maps.Equal(ws.Env, want) {
		t.Errorf("environment is %v and should be %v", ws.Env, want)
	}
}

// A workspace path that no quotes could hold for godotenv takes the other
// reader, and arrives unharmed.
func TestOddWorkspacePath(t *testing.T) {
	in := input(txtar.Parse([]byte("-- user/.env --\nSTACKS=a\nCOPY=$WORKSPACE/x\n")))
	in.WorkspacePath = `/srv/it's \odd`
	ws, problems, err := merge.Merge(t.Context(), in)
	if err != nil || problems.Err() != nil {
		t.Fatal(err, problems)
	}
	if want := in.WorkspacePath + "/x"; ws.Env["COPY"] != want || ws.Reader != "bash" {
		t.Errorf("COPY is %q by %s and should be %q", ws.Env["COPY"], ws.Reader, want)
	}
}

// Nothing of the process reaches the environment, in either reader.
func TestProcessEnvironmentStaysOut(t *testing.T) {
	t.Setenv("LEAK", "leaked")
	t.Setenv("HOME", "leaked")
	for _, reader := range []string{"dotenv", "bash"} {
		text := "STACKS=a\nA=$LEAK\nB=\"${LEAK:-none}\"\n"
		if reader == "dotenv" {
			text = "STACKS=a\n"
		}
		ws, problems, err := merge.Merge(t.Context(), input(txtar.Parse([]byte("-- user/.env --\n"+text))))
		if err != nil || problems.Err() != nil {
			t.Fatal(err, problems)
		}
		if ws.Reader != reader {
			t.Errorf("read by %s, should be %s", ws.Reader, reader)
		}
		for name, value := range ws.Env {
			if strings.Contains(value, "leaked") || name == "LEAK" || name == "HOME" {
				t.Errorf("%s: %s=%s", reader, name, value)
			}
		}
	}
}

// brokenFS returns an error for one path.
type brokenFS struct {
	fstest.MapFS
	path string
	err  error
}

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == b.path {
		return nil, b.err
	}
	return b.MapFS.Open(name)
}

func (b brokenFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == b.path {
		return nil, b.err
	}
	return b.MapFS.ReadDir(name)
}

func (b brokenFS) ReadFile(name string) ([]byte, error) {
	if name == b.path {
		return nil, b.err
	}
	return b.MapFS.ReadFile(name)
}

// A layer that cannot be read is an error with the layer's fault; a file that
// is wrong in itself, such as one that does not decrypt, is a problem.
func TestLayerErrors(t *testing.T) {
	user := fstest.MapFS{
		".env":            {Data: []byte("STACKS=a\n")},
		"configs/a/x":     {Data: []byte("x")},
		"deploy/a.yml":    {Data: []byte("x")},
		"deploy/link.yml": {Data: []byte("a.yml"), Mode: fs.ModeSymlink},
	}
	for _, test := range []struct {
		name, path string
		err        error
		fault      kargo.Fault
		problems   string
	}{
		{"unavailable", "deploy/a.yml", kargo.Errorf(kargo.Unavailable, "no answer"), kargo.Unavailable, ""},
		{"unavailable folder", "configs", kargo.Errorf(kargo.Unavailable, "no answer"), kargo.Unavailable, ""},
		{"plain", ".env", errors.New("disk"), kargo.Internal, ""},
		{"invalid", "configs/a/x", &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "configs/a/x", Line: 3}, Hint: "try", Err: errors.New("cannot be decrypted")}, 0,
			"configs/a/x:3: cannot be decrypted (try)\ndeploy/link.yml: is not a plain file (links and devices are not followed; replace it by a copy)\n"},
		{"invalid environment", ".env", kargo.Errorf(kargo.Invalid, "cannot be decrypted"), 0,
			".env: cannot be decrypted\ndeploy/link.yml: is not a plain file (links and devices are not followed; replace it by a copy)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, problems, err := merge.Merge(t.Context(), merge.Input{User: kargo.Files{FS: brokenFS{user, test.path, test.err}}})
			if test.problems == "" {
				if err == nil || kargo.FaultOf(err) != test.fault {
					t.Errorf("error is %v with fault %v, should be %v", err, kargo.FaultOf(err), test.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := golden.Lines(problems); got != test.problems {
				t.Errorf("problems are\n%sand should be\n%s", got, test.problems)
			}
		})
	}
}

// Comments between statements may be long; one statement may not.
func TestLongComments(t *testing.T) {
	comment := strings.Repeat("# a comment of some length, as people write them\n", 400)
	for _, test := range []struct {
		env, problem string
	}{
		{comment + "STACKS=a\n" + comment + "\n  " + comment + "B=1\n" + comment, ""},
		{"STACKS=a\nB='" + comment + "'\n", "is longer than"},
		{"STACKS=a\nB=\"\n" + comment + "\"\n", "is longer than"},
	} {
		_, problems, err := merge.Merge(t.Context(), merge.Input{User: kargo.Files{FS: fstest.MapFS{".env": {Data: []byte(test.env)}}}})
		if err != nil || !strings.Contains(fmt.Sprint(problems), test.problem) || test.problem == "" && len(problems) > 0 {
			t.Errorf("got %v, %v; want %q", problems, err, test.problem)
		}
	}
}

// What cannot be read here is passed to the shell, if there is one: all files
// together. The result of the shell counts.
func TestAShellReadsWhatCannotBeReadHere(t *testing.T) {
	var asked []string
	shell := func(_ context.Context, base kargo.Environment, files []kargo.EnvFile) (kargo.Environment, kargo.Problems, error) {
		asked = append(asked, base["WORKSPACE"])
		for _, file := range files {
			asked = append(asked, file.Name)
		}
		base["STACKS"], base["HASH"], base["FROM_ELSEWHERE"] = "web", "abc", "1"
		base["KEPT"], base["EVALUATED"] = "default", "another"
		return base, nil, nil
	}
	in := merge.Input{
		Defaults: fstest.MapFS{".env.default": {Data: []byte("HASH=none\nKEPT=default\nEVALUATED=default\n")}},
		User:     kargo.Files{FS: fstest.MapFS{".env": {Data: []byte("STACKS=web\nHASH=$(md5sum x)\n")}}}, WorkspacePath: "/w",
	}
	_, problems, err := merge.Merge(t.Context(), in)
	if err != nil || problems.Err() == nil {
		t.Errorf("without a shell: %v, %v", problems, err)
	}
	in.Shell = shell
	ws, problems, err := merge.Merge(t.Context(), in)
	if err != nil || problems.Err() != nil {
		t.Fatalf("%v, %v", problems, err)
	}
	if got := strings.Join(asked, " "); got != "/w .env.default .env" {
		t.Errorf("the shell was asked about %s", got)
	}
	if ws.Reader != "bash-process" || ws.Env["HASH"] != "abc" || ws.Lines["HASH"].String() != ".env:2" || ws.Lines["FROM_ELSEWHERE"].String() != ".env" {
		t.Errorf("got %s: %v from %v", ws.Reader, ws.Env, ws.Lines)
	}
	if ws.Lines["KEPT"].String() != ".env.default:2" || ws.Lines["EVALUATED"].String() != ".env" {
		t.Errorf("what the defaults assign is from %s, what a program made of it from %s", ws.Lines["KEPT"], ws.Lines["EVALUATED"])
	}
	// A file that is no bash is refused here, and one that is plain needs none.
	asked = nil
	in.User.FS = fstest.MapFS{".env": {Data: []byte("STACKS=web\nX=$(md5sum\n")}}
	if _, problems, _ := merge.Merge(t.Context(), in); problems.Err() == nil || asked != nil {
		t.Errorf("a file that is no bash: %v, asked %v", problems, asked)
	}
	in.User.FS = fstest.MapFS{".env": {Data: []byte("STACKS=web\n")}}
	if ws, _, _ := merge.Merge(t.Context(), in); ws.Reader != "dotenv" || asked != nil {
		t.Errorf("a plain file was read by %s", ws.Reader)
	}
}

// Section 16, item 15: what people took for Prometheus's configuration was the
// output of a hook.
func TestPrometheusYMLIsSaidToHaveNoEffect(t *testing.T) {
	in := merge.Input{
		Defaults: fstest.MapFS{"deploy/prometheus.yml": {}},
		User:     kargo.Files{FS: fstest.MapFS{".env": {Data: []byte("STACKS=web\nWEB_STACK=prometheus\n")}, "configs/prometheus/prometheus.yml": {}}},
	}
	_, problems, err := merge.Merge(t.Context(), in)
	if err != nil || problems.Err() != nil || len(problems) != 1 ||
		problems[0].String() != "configs/prometheus/prometheus.yml: warning: has no effect (what Prometheus reads is configs/prometheus/prometheus.config, or its template)" {
		t.Errorf("%v, %v", []kargo.Problem(problems), err)
	}
	in.User.FS.(fstest.MapFS)["deploy/prometheus.yml"] = &fstest.MapFile{} // one's own service may read what it likes
	if _, problems, _ := merge.Merge(t.Context(), in); len(problems) > 0 {
		t.Errorf("of one's own service: %v", []kargo.Problem(problems))
	}
}

// A part of a password that looks like the name of a variable is in no message.
func TestNamesInEncryptedFilesStayHidden(t *testing.T) {
	env := []byte("STACKS=web\nWEB_STACK=web\nPASSWORD=correct$horse\n")
	in := merge.Input{Root: "/srv/.kargo", User: kargo.Files{
		FS: fstest.MapFS{
			".env": {Data: env}, "deploy/web.yml": {Data: []byte("services: {web: {image: x}}")},
			"stacks/shop/compose.yml": {Data: []byte("services: {shop: {image: x}}")}, "stacks/shop/.env": {Data: env},
		},
		Opened: func(name string) (kargo.Opened, bool) {
			return kargo.Opened{Sealed: []byte("sealed"), Names: []string{"PASSWORD"}}, path.Base(name) == ".env"
		},
	}}
	_, problems, err := merge.Merge(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	warned := 0
	for _, problem := range problems {
		if strings.Contains(problem.String(), "horse") {
			t.Errorf("a part of the password shows: %s", problem)
		}
		if strings.Contains(problem.Message, "a variable") {
			warned++
		}
	}
	if warned != 2 {
		t.Errorf("got %d warnings of a variable that is not set, want one for each file:\n%s", warned, golden.Lines(problems))
	}
}
