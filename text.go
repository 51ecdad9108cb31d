package kargo

import "strings"

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
