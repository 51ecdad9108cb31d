package main

import (
	"io"
	"strings"
	"sync"
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
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(p.rest, text...)
	clean, used := printable(all)
	p.rest = append([]byte(nil), all[used:]...)
	if _, err := io.WriteString(p.to, clean); err != nil {
		return 0, err
	}
	return len(text), nil
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
		return p.to
	}
	return out
}
