package gitsync_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kargo/gitsync"
)

// A large repository: more than 300 MB in 50,000 commits. Each changes a file that
// cannot be compressed, and a line of a file that is similar to others.
const (
	largeCommits   = 50_000
	largeBinaries  = 4_000
	largeBinary    = 6_400 // bytes
	largeTexts     = 8_000
	largeTextLines = 150
)

// needLarge skips the test except in `make bench`: it takes a minute to create the
// repository.
func needLarge(t *testing.T) {
	t.Helper()
	if os.Getenv("KARGO_TEST_LARGE") == "" {
		t.Skip("KARGO_TEST_LARGE is not set")
	}
}

// writeLarge writes the input of git fast-import.
func writeLarge(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	content := make([]byte, largeBinary)
	for i := range largeCommits {
		fmt.Fprintf(out, "commit refs/heads/main\nmark :%d\ncommitter Ada <ada@example.org> %d +0000\ndata 7\nchange\n\n", i+1, 1_600_000_000+i)
		if i == 0 {
			fmt.Fprint(out, "M 644 inline platform/.env\ndata 11\nSTACKS=web\n\nM 644 inline platform/deploy/web.yml\ndata 13\nservices: {}\n\n")
		} else {
			fmt.Fprintf(out, "from :%d\n", i)
		}
		_, _ = random.Read(content)
		fmt.Fprintf(out, "M 644 inline src/d%d/f%d\ndata %d\n", i%largeBinaries/100, i%largeBinaries, len(content))
		out.Write(content)
		text := largeText(i%largeTexts, i/largeTexts)
		fmt.Fprintf(out, "\nM 644 inline lib/d%d/t%d.txt\ndata %d\n%s\n\n", i%largeTexts/100, i%largeTexts, len(text), text)
	}
	return out.Flush()
}

// largeText returns one version of a text: lines that other versions have, too, and
// one of its own.
func largeText(file, version int) []byte {
	var text []byte
	for line := range largeTextLines {
		text = fmt.Appendf(text, "line %d says what line %d of chapter %d says\n", line, line*7%97, (file+line)%50)
	}
	return fmt.Appendf(text, "file %d, version %d\n", file, version)
}

func newLargeOrigin(t *testing.T) *origin {
	t.Helper()
	root := t.TempDir()
	o := &origin{t: t, root: root, bare: filepath.Join(root, "team", "workspace.git"), work: t.TempDir()}
	o.git(root, "init", "--quiet", "--bare", "--initial-branch=main", o.bare)
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(writeLarge(writer)) }()
	command := exec.Command("git", "fast-import", "--quiet")
	command.Dir, command.Stdin = o.bare, reader
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	o.git(root, "clone", "--quiet", "--shared", "--no-checkout", o.bare, o.work)
	o.git(o.work, "reset", "--quiet", "--mixed", "HEAD")
	return o
}

// changeLarge commits a change of one file without a work tree.
func (o *origin) changeLarge(content string) {
	o.t.Helper()
	blob := strings.TrimSpace(runProgram(o.t, nil, content, "git", "-C", o.work, "hash-object", "-w", "--stdin"))
	o.git(o.work, "update-index", "--cacheinfo", "100644,"+blob+",platform/deploy/web.yml")
	o.git(o.work, "commit", "--quiet", "--message", "change")
}

// used is what a process has used.
type used struct {
	cpu  time.Duration
	peak int64 // resident memory, bytes
}

// measure runs this test binary as a process of its own that does one thing with a
// repository. The kernel says what it used.
func measure(t *testing.T, opts gitsync.Options, what string, times int) used {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestMeasured$")
	command.Env = append(os.Environ(), "KARGO_TEST_DO="+what, "KARGO_TEST_TIMES="+strconv.Itoa(times),
		"KARGO_TEST_URL="+opts.URL, "KARGO_TEST_DIR="+opts.Dir, "KARGO_TEST_PATH="+opts.Path,
		"KARGO_TEST_HISTORY="+strconv.FormatBool(opts.History))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	return used{command.ProcessState.UserTime() + command.ProcessState.SystemTime(), usage.Maxrss << 10}
}

// TestMeasured is the process that is measured.
func TestMeasured(t *testing.T) {
	what := os.Getenv("KARGO_TEST_DO")
	if what == "" {
		t.Skip("this is the process that TestLargeRepository measures")
	}
	repository := open(t, gitsync.Options{
		URL: os.Getenv("KARGO_TEST_URL"), Dir: os.Getenv("KARGO_TEST_DIR"), Path: os.Getenv("KARGO_TEST_PATH"), Ref: "main",
		History: os.Getenv("KARGO_TEST_HISTORY") == "true", Timeout: 10 * time.Minute,
	})
	times, err := strconv.Atoi(os.Getenv("KARGO_TEST_TIMES"))
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		switch what {
		case "head":
			head(t, repository)
		case "fetch":
			sync(t, repository)
		}
	}
}

// TestLargeRepository measures a repository of more than 300 MB and 50,000 commits
// over HTTP. The numbers in docs/repository.md come from here.
func TestLargeRepository(t *testing.T) {
	needLarge(t)
	o := newLargeOrigin(t)
	size := o.git(o.bare, "count-objects", "-v")
	t.Logf("%d commits; %s", largeCommits, strings.ReplaceAll(size, "\n", ", "))
	for line := range strings.Lines(size) {
		if kilobytes, found := strings.CutPrefix(line, "size-pack: "); found {
			if n, err := strconv.Atoi(strings.TrimSpace(kilobytes)); err != nil || n < 300_000 {
				t.Fatalf("the repository has %d kB: that is not large", n)
			}
		}
	}
	opts := gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Dir: t.TempDir(), Path: "platform"}

	report := func(what string, got used) {
		t.Helper()
		t.Logf("%-32s %8.1f ms of CPU, %5.1f MB at most", what, float64(got.cpu.Microseconds())/1000, float64(got.peak)/(1<<20))
	}
	const checks = 50
	idle := measure(t, opts, "nothing", 1)
	report("nothing", idle)
	first := measure(t, opts, "fetch", 1)
	report("first fetch", first)
	if first.peak > 64<<20 {
		t.Errorf("a fetch took %d bytes of memory, the limit is 64 MiB", first.peak)
	}
	check := measure(t, opts, "head", checks)
	check.cpu = (check.cpu - idle.cpu) / checks
	report("check that finds nothing new", check)
	if check.cpu > 30*time.Millisecond {
		t.Errorf("a check took %s of CPU, the limit is 30ms", check.cpu)
	}
	report("the same commit again, from disk", measure(t, opts, "fetch", 1))
	for i := range 20 {
		o.changeLarge(fmt.Sprintf("services: {} # %d\n", i))
	}
	o.push("main")
	report("20 commits later", measure(t, opts, "fetch", 1))
	opts.Path = ""
	report("all 12,000 files, from disk", measure(t, opts, "fetch", 1))

	opts.Path, opts.Dir, opts.History = "platform", t.TempDir(), true
	report("history: first fetch", measure(t, opts, "fetch", 1))
	for i := range 20 {
		o.changeLarge(fmt.Sprintf("services: {} # again %d\n", i))
	}
	o.push("main")
	report("history: 20 commits later", measure(t, opts, "fetch", 1))
}
