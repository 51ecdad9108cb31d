package kargo

import (
	"strconv"
	"strings"
	"unicode"
)

// maxLine is the length of the longest line of a text from outside, in characters.
const maxLine = 200

// PrintableLine returns a text from outside, such as the subject of a commit or
// the answer of a server, as one line for a terminal, a log or a page: blanks and
// line ends become single spaces, everything else that cannot be printed is
// written as [Printable] does, and a line of more than 200 characters is cut off
// there and ends with "…".
func PrintableLine(text string) string {
	line := []rune(Printable(strings.Join(strings.Fields(text), " ")))
	if len(line) > maxLine {
		return string(line[:maxLine]) + "…"
	}
	return string(line)
}

// Printable returns a text that cannot control a terminal: characters that move
// the cursor, change a colour or change the direction of writing are written as
// Go escapes them.
func Printable(text string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if !strings.ContainsFunc(text, odd) {
		return text
	}
	var printable strings.Builder
	for _, r := range text {
		if odd(r) {
			quoted := strconv.QuoteRune(r)
			printable.WriteString(quoted[1 : len(quoted)-1])
		} else {
			printable.WriteRune(r)
		}
	}
	return printable.String()
}
