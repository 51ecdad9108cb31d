package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"kargo/secrets"
	"kargo/secrets/opener"
	"kargo/swarm/swarmtest"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

// TestMain lets scripts run this program as the command kargo.
func TestMain(m *testing.M) {
	if how := os.Getenv(readerVariable); how != "" {
		beReader(how)
	}
	testscript.Main(sideBySide{m}, map[string]func(){"kargo": main, secrets.ProgramName: openSecrets})
}

// openSecrets is what the program kargo-secrets does.
func openSecrets() {
	if err := secrets.Serve(context.Background(), os.Stdin, os.Stdout, opener.Start); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// sideBySide runs more scripts at once than there are processors: they mostly wait.
type sideBySide struct{ tests *testing.M }

func (s sideBySide) Run() int {
	secretsProgram = func() (string, error) { return exec.LookPath(secrets.ProgramName) } // that of testscript
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, "let scripts run side by side:", err)
		return 1
	}
	return s.tests.Run()
}

// TestScripts runs the command line as people do: testdata/script has a file
// for each command, with its workspace, its calls and what they print. Each
// script has a Swarm in memory of its own, behind DOCKER_HOST. Beside what
// testscript brings, a script can say:
//
//	exits CODE COMMAND…      the command ends with this exit code; the files out
//	                         and err are what it printed, less what differs from run to run
//	until PATTERN COMMAND…   run it until it prints this; out and err as above
//	commit [MESSAGE]         commit the directory repo, which the first of them makes a repository
//	capture NAME PATTERN     the variable NAME is what the group in the pattern matched of the last output
//	fill FILE TARGET         copy a file, with the values of $VARIABLES in it
//	terminal WIDTH CODE COMMAND…  run it on a terminal; out is what this shows, coloured the same with colours
//	screens CODE COMMAND…    run it on a terminal of 80 columns, of 140, and redirected; out is what each shows
//	each COMMAND…            run it before each run of the next command by screens
//	swarm WORD…              see swarmWords
//	host WORD…               see scriptHosts
func TestScripts(t *testing.T) {
	// Scripts mostly wait, so more of them than there are processors may run.
	if err := flag.Set("test.parallel", "8"); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, WorkdirRoot: scriptDirectory(t), RequireExplicitExec: true, RequireUniqueNames: true, Setup: setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "until": scriptUntil, "commit": scriptCommit,
			"capture": scriptCapture, "fill": scriptFill, "swarm": scriptSwarm, "host": scriptHost, "terminal": scriptTerminal, "screens": scriptScreens, "each": scriptEach,
		},
	})
}

// scriptDirectory makes the directory of all scripts. Its name is as long in every run,
// so that lines with it break at the same blanks.
func scriptDirectory(t *testing.T) string {
	t.Helper()
	dir := fmt.Sprintf("/tmp/k%08x", rand.Uint32())
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // scripts run in parallel, below this test: they have ended
	return dir
}

// swarmOf is the key of a script's engine among its values, saysOf that of what Docker
// says of the nodes and of its clock.
type (
	swarmOf struct{}
	saysOf  struct{}
)

func setUpScript(env *testscript.Env) error {
	engine := swarmtest.New(swarmtest.AutoSettle, swarmtest.Clock(time.Now))
	says := &dockerSays{next: daemon(engine)}
	server := httptest.NewServer(says)
	env.Defer(server.Close)
	// Streams of events have no end: the server would wait for them.
	env.Defer(server.CloseClientConnections)
	env.Values[swarmOf{}], env.Values[saysOf{}] = engine, says
	env.Setenv("DOCKER_HOST", strings.Replace(server.URL, "http://", "tcp://", 1))
	env.Setenv("HOME", env.WorkDir)
	for name, value := range map[string]string{
		"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": "2024-01-01T00:00:00Z", // so commits have the same hashes in every run
	} {
		env.Setenv("GIT_AUTHOR_"+name, value)
		env.Setenv("GIT_COMMITTER_"+name, value)
	}
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("KARGO_HOOK_USER", "same") // the directory of a script is closed to other users
	return nil
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = execPlain(ts, args[1:])
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("%s ended with exit code %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

// changing is what differs from run to run, and what stands for it.
var changing = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s|m[0-9.]+s) ago`), "N ago"},
	{regexp.MustCompile(`\b(took)(=| )[0-9.]+(µs|ms|s|m[0-9.]+s)`), "$1${2}N"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`), "TIME"},
	{regexp.MustCompile(`(?m)^[a-z0-9-]+/[a-z0-9-]+  [a-z ]+  \d+/\d+.*\n`), ""}, // what services do while a command waits
	{regexp.MustCompile(`\bfor ([0-9]+[dhms])+`), "for N"},
	{regexp.MustCompile(`\b(answers in )[0-9.]+(µs|ms|s)`), "${1}N"},
	{regexp.MustCompile(`\b\d+ MiB of \d+ MiB`), "N of N"},
	{regexp.MustCompile(`\buser \d+ can write`), "user UID can write"},
	{regexp.MustCompile(`  [0-9.]+(ms|s)  `), "  N  "}, // in a table
	{regexp.MustCompile(`\b127\.0\.0\.1:\d{2,}`), "127.0.0.1:PORT"},
	{regexp.MustCompile(` {3,}`), "  "}, // columns are as wide as times are
	{regexp.MustCompile(`(?m) +$`), ""},
}

// execPlain runs a command, and writes what it printed to the files out and err.
func execPlain(ts *testscript.TestScript, command []string) error {
	result := ts.Exec(command[0], command[1:]...)
	for stream, file := range map[string]string{"stdout": "out", "stderr": "err"} {
		text := strings.ReplaceAll(ts.ReadFile(stream), ts.Getenv("WORK"), "WORK")
		for _, change := range changing {
			text = change.pattern.ReplaceAllString(text, change.plain)
		}
		ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), file), []byte(text), 0o600))
	}
	return result
}

// patience is how long anything may take before a script fails.
const patience = 60 * time.Second

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND…")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		// status ends with 4 where something failed, and prints it all the same.
		err := execPlain(ts, args[1:])
		var exit *exec.ExitError
		if (err == nil || errors.As(err, &exit) && exit.ExitCode() == 4) && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s never printed %q", strings.Join(args[1:], " "), args[0])
}

func scriptCommit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: commit [MESSAGE]")
	}
	dir := ts.MkAbs("repo")
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		ts.Check(ts.Exec("git", "init", "-q", "-b", "main", dir))
	}
	ts.Check(ts.Exec("git", "-C", dir, "add", "-A"))
	ts.Check(ts.Exec("git", "-C", dir, "commit", "-q", "-m", strings.Join(append(args, "Change"), " ")))
}

func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("%q was not printed", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func scriptFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill FILE TARGET")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// TestEveryCommandHasAScript: a new command comes with testdata/script/NAME.txtar,
// which shows its help and at least one of its errors.
func TestEveryCommandHasAScript(t *testing.T) {
	for _, command := range commandsOf(newRoot(nil)) {
		name := strings.ReplaceAll(strings.TrimPrefix(command, "kargo "), " ", "-")
		data, err := os.ReadFile(filepath.Join("testdata/script", name+".txtar"))
		if err != nil {
			t.Errorf("%s has no script: %v", command, err)
			continue
		}
		for what, pattern := range map[string]string{
			"its help": `(?m)^exec ` + command + ` --help$`,
			"an error": `(?m)^exits [1-9]\d* ` + command + `( |$)`,
		} {
			if !regexp.MustCompile(pattern).Match(data) {
				t.Errorf("testdata/script/%s.txtar does not show %s", name, what)
			}
		}
	}
}

// commandsOf are the full names of a command's commands that do something, the
// hidden ones too. Those that cobra adds are not there yet.
func commandsOf(cmd *cobra.Command) []string {
	var names []string
	for _, child := range cmd.Commands() {
		if child.Runnable() {
			names = append(names, child.CommandPath())
		}
		names = append(names, commandsOf(child)...)
	}
	return slices.Sorted(slices.Values(names))
}
