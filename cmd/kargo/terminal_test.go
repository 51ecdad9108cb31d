package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// sameWidth is what differs from run to run, and what stands for it on a terminal: as
// wide, so that columns stay where they are.
var sameWidth = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`(?m)^[a-z0-9-]+/[a-z0-9-]+  [a-z ]+  \d+/\d+.*\n`), ""}, // what services do while a command waits
	{regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`), "2026-11-26 09:30:00"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "2026-11-26T09:30:00Z"},
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s|m[0-9.]+s) ago`), "N ago"},
	{regexp.MustCompile(`\btook [0-9.]+(µs|ms|s|m[0-9.]+s)`), "took 1s"},
	{regexp.MustCompile(`\bfor \dm\ds( +)`), "for 9s  $1"}, // on a busy machine
	{regexp.MustCompile(`\bfor \dm\d\ds( +)`), "for 9s   $1"},
	{regexp.MustCompile(`\bfor \dm\d+s`), "for 9s"},
	{regexp.MustCompile(`\bfor \d(s +)`), "for 9$1"},
	{regexp.MustCompile(`\bfor \d\d(s +) `), "for 9$1  "},
	{regexp.MustCompile(`\bfor \d+s`), "for 9s"},
	{regexp.MustCompile(`\b\d+(\.\d)?s( {2,})`), "1s$2"},
	{regexp.MustCompile(`\bdir-[0-9a-f]{8}\b`), "dir-01234567"}, // a digest of files depends on a key
	{regexp.MustCompile(`-[0-9a-f]{8}/`), "-01234567/"},         // a directory is named after the path of another
	{regexp.MustCompile(`\*\*\*[0-9a-f]{8}\b`), "***01234567"},  // a digest of a secret depends on a key
	{regexp.MustCompile(`/tmp/k[0-9a-f]{8}/`), "/tmp/k01234567/"},
	{regexp.MustCompile(`\b127\.0\.0\.1:\d+`), "127.0.0.1:12345"},
	{regexp.MustCompile(`\[127\.0\.0\.1\]:\d+`), "[127.0.0.1]:12345"},
	{regexp.MustCompile(`\banswers in [0-9.]+(µs|ms|s)`), "answers in 1ms"},
	{regexp.MustCompile(`\b\d+ MiB of \d+ MiB`), "N of N"},
	{regexp.MustCompile(`-[0-9a-f]{12}\b`), "-0123456789ab"}, // the name of a config depends on a key
	{regexp.MustCompile(`(plan|approve|--plan) [0-9a-f]{12}\b`), "$1 0123456789ab"},
}

// scriptTerminal runs a command on a terminal of a width. The file out is what the
// terminal shows in the end, without colours; coloured is the same with them. No line
// may be wider than the terminal.
//
//	terminal WIDTH CODE COMMAND…
func scriptTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: terminal WIDTH CODE COMMAND…")
	}
	width, err := strconv.Atoi(args[0])
	ts.Check(err)
	shown := scriptShows(ts, width, args[1], args[2:])
	for file, text := range map[string]string{"coloured": marked(shown), "out": uncoloured(shown)} {
		ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), file), []byte(text), 0o600))
	}
}

// eachTime is the variable with the command that comes before each run of the next one by
// the word screens.
const eachTime = "EACH_TIME"

// scriptEach names a command that has to come before each run of the next one by the word
// screens, which would have nothing to do the second time.
//
//	each COMMAND…
func scriptEach(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: each COMMAND…")
	}
	ts.Setenv(eachTime, strings.Join(args, " "))
}

// screenWidths are the terminals that every command is tried on; 0 is none: the output is
// redirected, and has both streams.
var screenWidths = []int{80, 140, 0}

// scriptScreens runs a command on a terminal of 80 columns, on one of 140, and redirected.
// The file out is what each shows, once where several show the same. An @ in an argument
// is the width, for what can be done only once.
//
//	screens CODE COMMAND…
func scriptScreens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: screens CODE COMMAND…")
	}
	var shown, names []string
	for _, width := range screenWidths {
		name := "redirected"
		if width > 0 {
			name = fmt.Sprintf("%d columns", width)
		}
		command := slices.Clone(args[1:])
		for i := range command {
			command[i] = strings.ReplaceAll(command[i], "@", strconv.Itoa(width))
		}
		if before := ts.Getenv(eachTime); before != "" {
			_ = ts.Exec("sh", "-c", before) // it may have nothing to do
		}
		text := uncoloured(scriptShows(ts, width, args[0], command))
		if same := slices.Index(shown, text); same >= 0 {
			names[same] += ", " + name
		} else {
			shown, names = append(shown, text), append(names, name)
		}
	}
	var out strings.Builder
	for i, text := range shown {
		fmt.Fprintf(&out, "[%s]\n%s\n", names[i], text)
	}
	ts.Setenv(eachTime, "")
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), "out"), []byte(out.String()), 0o600))
}

// printsWhatIsCopied are the commands whose lines stay as they are on a terminal, for
// people and programs copy them.
var printsWhatIsCopied = []string{"exec", "known-hosts", "logs", "man", "render", "settings example", "show"}

// scriptShows runs a command that has to end with an exit code, and returns what is shown
// on a terminal of a width, with its colours; redirected if the width is 0. What differs
// from run to run has the same width in every run.
func scriptShows(ts *testscript.TestScript, width int, code string, command []string) string {
	want, err := strconv.Atoi(code)
	ts.Check(err)
	program, err := exec.LookPath(command[0])
	ts.Check(err)
	cmd := exec.Command(program, command[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "TERM=xterm")
	for _, name := range []string{"HOME", "DOCKER_HOST", "NO_COLOR", "KARGO_HOOK_USER", "USER", "LOGNAME", "SUDO_USER"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	show := onTerminal
	if width == 0 {
		show = redirected
	}
	got, shown, err := show(cmd, width)
	ts.Check(err)
	line := strings.Join(command, " ")
	if shown = strings.ReplaceAll(shown, ts.Getenv("WORK"), "WORK"); got != want {
		ts.Fatalf("%s ended with exit code %d, want %d:\n%s", line, got, want, shown)
	}
	copied := slices.ContainsFunc(printsWhatIsCopied, func(name string) bool { return strings.HasPrefix(line, "kargo "+name) })
	for text := range strings.SplitSeq(shown, "\n") {
		if columns := visible(text); width > 0 && columns > width && !copied {
			ts.Fatalf("%s: a line has %d columns, and the terminal %d:\n%s", line, columns, width, text)
		}
	}
	if width == 0 && shown != uncoloured(shown) {
		ts.Fatalf("%s prints colours where there is no terminal:\n%q", line, shown)
	}
	for _, change := range sameWidth {
		shown = change.pattern.ReplaceAllString(shown, change.plain)
	}
	return shown
}

// redirected runs a command whose output is no terminal.
func redirected(cmd *exec.Cmd, _ int) (code int, shown string, err error) {
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(out), nil
	}
	return 0, string(out), err
}

// hasNoScreen are the commands that no script runs on a terminal, and why.
var hasNoScreen = map[string]string{
	"kargo healthcheck": "its exit code says it",
	"kargo man":         "writes files",
	"kargo serve":       "runs until it is stopped, and writes a log",
	"kargo try":         "programs run it",
}

// TestEveryCommandWasSeenOnATerminal: a script shows what each command prints on a terminal
// of 80 columns, on one of 140, and redirected, and looks at it.
func TestEveryCommandWasSeenOnATerminal(t *testing.T) {
	root, seen := newRoot(nil), map[string]bool{}
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range regexp.MustCompile(`(?m)^screens \d kargo (.*)\n(?:cmp out |grep .* out$)`).FindAllStringSubmatch(string(data), -1) {
			command, _, err := root.Find(strings.Fields(call[1]))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			seen[command.CommandPath()] = true
		}
	}
	for _, command := range commandsOf(root) {
		switch why := hasNoScreen[command]; {
		case why == "" && !seen[command]:
			t.Errorf("no script runs %s by the word screens, and compares its output", command)
		case why != "" && seen[command]:
			t.Errorf("%s stands in hasNoScreen, and has a script that runs it by the word screens", command)
		}
	}
}

// onTerminal runs a command on a terminal, and returns what the terminal shows in the end.
func onTerminal(cmd *exec.Cmd, width int) (code int, shown string, err error) {
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: uint16(width)}) //nolint:gosec // widths are small
	if err != nil {
		return 0, "", err
	}
	defer terminal.Close()
	var written bytes.Buffer
	if _, err := io.Copy(&written, terminal); err != nil && !errors.Is(err, syscall.EIO) { // EIO: the command has ended
		return 0, "", err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		return 0, "", err
	}
	return code, pictureOf(written.String()), nil
}

var (
	escape     = regexp.MustCompile(`^\x1b\[(\d*)([A-Za-z])`)
	markColour = regexp.MustCompile(`\x1b\[(\d+)m`)
)

// pictureOf returns what a terminal shows after a text was written to it: it knows the
// escapes that the program writes. Colours stay in it. Lines are never broken.
func pictureOf(text string) string {
	lines, at := []string{""}, 0
	for text != "" {
		if found := escape.FindStringSubmatch(text); found != nil {
			text = text[len(found[0]):]
			switch found[2] {
			case "m":
				lines[at] += found[0]
			case "A":
				up, _ := strconv.Atoi(found[1])
				at -= up
			case "H":
				at = 0
			case "J":
				lines = append(lines[:at:at], "")
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch r {
		case '\r':
		case '\n':
			if at++; at == len(lines) {
				lines = append(lines, "")
			}
		default:
			lines[at] += string(r)
		}
	}
	return strings.Join(lines, "\n")
}

// marked returns a text with words in the place of colours: "<red>failed</>".
func marked(text string) string {
	names := map[string]string{red: "<red>", green: "<green>", yellow: "<yellow>", blue: "<blue>", faint: "<faint>", bold: "<bold>", "0": "</>"}
	return markColour.ReplaceAllStringFunc(text, func(colour string) string { return names[strings.TrimSuffix(strings.TrimPrefix(colour, "\x1b["), "m")] })
}

// The picture is what remains after the cursor went up and lines were erased.
func TestPictureOf(t *testing.T) {
	text := fmt.Sprintf("a\r\nb\r\n\x1b[1A\x1b[Jc \x1b[%smd\x1b[0m\r\n", red)
	if got := marked(pictureOf(text)); got != "a\nc <red>d</>\n" {
		t.Errorf("got %q", got)
	}
}
