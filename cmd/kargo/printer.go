package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"kargo"
)

// printer is the only way from the program to standard output and standard error
// (S-45). Texts of others come from commits, engines, tasks and registries: what
// could move the cursor, or change the direction of writing, is written as
// [kargo.Printable] does. Only ends of lines, tabs and the colours of a [screen]
// pass.
type printer struct {
	mu   sync.Mutex
	to   io.Writer
	rest []byte // the begin of a character or of a colour, whose end comes with the next write
	// gathers is for how long what is printed may wait, to be written at once with what comes
	// after it. Otherwise a reader that has seen enough, as in `kargo status | grep -q failed`,
	// would end the command by SIGPIPE before it has its exit code.
	gathers time.Duration
	held    []byte
	timer   *time.Timer // writes what is held; nil if nothing is
	failed  error       // of an earlier write
	// first is written to before this one, so that both stay in order in one file.
	first *printer
}

// What a pipe or a file gets waits for no longer than gatherTime, and is at most gatherSize.
const (
	gatherTime = 10 * time.Millisecond
	gatherSize = 64 << 10
)

// newPrinters returns the printers of a program's standard output and standard error.
func newPrinters(stdout, stderr io.Writer) (out, errs *printer) {
	out = &printer{to: stdout}
	if file, isFile := stdout.(*os.File); isFile && sizeOf(file) == nil {
		out.gathers = gatherTime
	}
	return out, &printer{to: stderr, first: out}
}

// colours are the escapes that a [screen] writes.
var colours = func() []string {
	var escapes []string
	for _, colour := range []string{red, green, yellow, blue, faint, bold, "0"} {
		escapes = append(escapes, "\x1b["+colour+"m")
	}
	return escapes
}()

// Write writes a text, or keeps the begin of a character until its end comes.
func (p *printer) Write(text []byte) (int, error) {
	if p.first != nil {
		p.first.flush()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(p.rest, text...)
	clean, used := printable(all)
	p.rest = append([]byte(nil), all[used:]...)
	p.held = append(p.held, clean...)
	switch {
	case p.gathers == 0 || len(p.held) >= gatherSize:
		p.write()
	case p.timer == nil:
		p.timer = time.AfterFunc(p.gathers, p.flush)
	}
	if p.failed != nil {
		return 0, p.failed
	}
	return len(text), nil
}

// flush writes what is held.
func (p *printer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write()
}

// write is flush, for a caller that has the lock.
func (p *printer) write() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if len(p.held) == 0 {
		return
	}
	_, p.failed = p.to.Write(p.held)
	p.held = p.held[:0]
}

// printable returns a text as it may reach a terminal, and how many bytes of it
// that is: the last ones may be the begin of something.
func printable(text []byte) (clean string, used int) {
	var out strings.Builder
	for used < len(text) {
		rest := text[used:]
		size := passes(rest)
		if size == 0 && unfinished(rest) {
			break
		}
		if size > 0 {
			out.Write(rest[:size])
		} else {
			var odd rune
			odd, size = utf8.DecodeRune(rest)
			out.WriteString(kargo.Printable(string(odd)))
		}
		used += size
	}
	return out.String(), used
}

// passes returns how many bytes at the begin of a text are written as they are.
func passes(text []byte) int {
	size := 0
	for size < len(text) {
		r, width := utf8.DecodeRune(text[size:])
		switch {
		case r == '\n', r == '\t', unicode.IsPrint(r) && r != utf8.RuneError:
			size += width
		case r == '\x1b' && colourOf(text[size:]) > 0:
			size += colourOf(text[size:])
		default:
			return size
		}
	}
	return size
}

// colourOf returns the length of the colour that a text begins with, or 0.
func colourOf(text []byte) int {
	for _, colour := range colours {
		if strings.HasPrefix(string(text[:min(len(text), len(colour))]), colour) {
			return len(colour)
		}
	}
	return 0
}

// unfinished reports whether a text is the begin of a character or of a colour.
func unfinished(text []byte) bool {
	if !utf8.FullRune(text) {
		return true
	}
	for _, colour := range colours {
		if len(text) < len(colour) && strings.HasPrefix(colour, string(text)) {
			return true
		}
	}
	return false
}

// unfiltered returns where a writer writes in the end. It is for scripts of a
// workspace that a person runs: the terminal is theirs.
func unfiltered(out io.Writer) io.Writer {
	if p, ok := out.(*printer); ok {
		p.flush()
	}
	return endOf(out)
}

// endOf returns where a writer writes in the end.
func endOf(out io.Writer) io.Writer {
	if p, ok := out.(*printer); ok {
		return p.to
	}
	return out
}
