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
	{regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`), "2026-11-26 09:30:00"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "2026-11-26T09:30:00Z"},
	{regexp.MustCompile(`\b[0-9.]+(µs|ms|s|m[0-9.]+s) ago`), "N ago"},
	{regexp.MustCompile(`\btook [0-9.]+(µs|ms|s|m[0-9.]+s)`), "took 1s"},
	{regexp.MustCompile(`\bfor \d(s +)`), "for 9$1"},
	{regexp.MustCompile(`\bfor \d\d(s +) `), "for 9$1  "},
	{regexp.MustCompile(`\bfor \d+s`), "for 9s"},
	{regexp.MustCompile(`\b\d+(\.\d)?s( {2,})`), "1s$2"},
	{regexp.MustCompile(`-[0-9a-f]{12}\b`), "-0123456789ab"}, // the name of a config depends on a key
	{regexp.MustCompile(`\b(plan|approve|--plan) [0-9a-f]{12}\b`), "$1 0123456789ab"},
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
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	program, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.Command(program, args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "TERM=xterm")
	for _, name := range []string{"HOME", "DOCKER_HOST", "NO_COLOR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	code, shown, err := onTerminal(cmd, width)
	ts.Check(err)
	shown = strings.ReplaceAll(shown, ts.Getenv("WORK"), "WORK")
	if code != want {
		ts.Fatalf("%s ended with exit code %d, want %d:\n%s", strings.Join(args[2:], " "), code, want, shown)
	}
	for line := range strings.SplitSeq(shown, "\n") {
		if columns := visible(line); columns > width {
			ts.Fatalf("%s: a line has %d columns, and the terminal %d:\n%s", strings.Join(args[2:], " "), columns, width, line)
		}
	}
	for file, text := range map[string]string{"coloured": marked(shown), "out": uncoloured(shown)} {
		for _, change := range sameWidth {
			text = change.pattern.ReplaceAllString(text, change.plain)
		}
		ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), file), []byte(text), 0o600))
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
