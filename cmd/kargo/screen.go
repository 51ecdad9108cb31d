package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// screen is where a command prints for people. On a terminal it is as wide as the
// terminal, and may have colours; elsewhere lines are as long as they are.
type screen struct {
	out    io.Writer
	width  int // columns; 0 means any
	colour bool
	// terminal is the terminal itself, on which the cursor can be moved; nil elsewhere.
	terminal io.Writer
}

// Colours of words.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	faint  = "2"
	bold   = "1"
)

// newScreen returns the screen of a command's standard output.
func newScreen(cmd *cobra.Command) screen { return newScreenOn(cmd, cmd.OutOrStdout()) }

// newScreenOn returns the screen of one of a command's outputs.
func newScreenOn(cmd *cobra.Command, out io.Writer) screen {
	s := screenOf(out)
	switch choice, _ := cmd.Flags().GetString("color"); choice {
	case "always":
		s.colour = true
	case "never":
		s.colour = false
	default:
		s.colour = s.colour && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return s
}

// screenOf returns the screen of an output, which may have colours if it is a terminal.
func screenOf(out io.Writer) screen {
	s := screen{out: out}
	if file, isFile := endOf(out).(*os.File); isFile {
		if size := sizeOf(file); size != nil {
			s.colour, s.width, s.terminal = true, int(size.Col), file
		}
	}
	return s
}

// sizeOf returns the size of a terminal, and nil if the file is none.
func sizeOf(file *os.File) *unix.Winsize {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil { // only a terminal has a size
		return nil
	}
	return size
}

// say prints a message for people, with an end of line. On a terminal it is as wide as that.
func say(out io.Writer, format string, args ...any) { screenOf(out).line(format, args...) }

// checkColor returns an error for a value that --color does not take.
func checkColor(cmd *cobra.Command) error {
	switch choice, _ := cmd.Flags().GetString("color"); choice {
	case "", "auto", "always", "never":
		return nil
	default:
		return usagef("--color takes auto, always or never, not %q", choice)
	}
}

// paint returns a text in a colour, where there are colours.
func (s screen) paint(colour, text string) string {
	if !s.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// line prints a text, line by line. What does not fit the terminal goes on below,
// indented like its line and two columns more.
func (s screen) line(format string, args ...any) {
	for text := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		indent := len(text) - len(strings.TrimLeft(text, " "))
		fmt.Fprintln(s.out, wrapped(text, s.width, strings.Repeat(" ", indent+2)))
	}
}

// entry prints a name and a text beside it, which begins in a column and goes on there.
func (s screen) entry(name, text string, column int) {
	fmt.Fprintln(s.out, beside(name, text, column, s.width))
}

// wrapped breaks a text at blanks, so that no line is longer than a width, if it
// can be. Blanks inside of a line stay as they are.
func wrapped(text string, width int, indent string) string {
	if width <= 0 || visible(text) <= width {
		return text
	}
	var lines []string
	start := len(text) - len(strings.TrimLeft(text, " "))
	line, rest := text[:start], text[start:]
	empty := true
	for rest != "" {
		blanks := rest[:len(rest)-len(strings.TrimLeft(rest, " "))]
		word, _, _ := strings.Cut(rest[len(blanks):], " ")
		if rest = rest[len(blanks)+len(word):]; word == "" {
			break
		}
		switch {
		case empty:
			line, empty = line+word, false
		case visible(line)+len(blanks)+visible(word) > width:
			lines = append(lines, line)
			line = indent + word
		default:
			line += blanks + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}

// visible returns how many columns a text takes: escapes of colours take none.
func visible(text string) int {
	count := utf8.RuneCountInString(text)
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "\x1b[")
		if !found {
			return count
		}
		escape, _, _ := strings.Cut(after, "m")
		count -= len("\x1b[") + len(escape) + len("m")
		rest = after
	}
}

// cell is one cell of a table.
type cell struct{ text, colour string }

func plain(text string) cell { return cell{text: text} }

// table prints rows in columns, below a header. The last column is cut where the
// terminal ends, with a mark.
func (s screen) table(header []string, rows [][]cell) { s.columns(header, rows, 0) }

// tableOfTexts prints rows as table does. The last column has texts: where the terminal
// has no room for so many columns of them, they have lines of their own.
func (s screen) tableOfTexts(header []string, rows [][]cell, room int) { s.columns(header, rows, room) }

// tableOfSentences prints rows as table does. The last column has sentences: they go on
// below where the terminal ends, in their column if that is wide enough.
func (s screen) tableOfSentences(header []string, rows [][]cell) {
	before := 0
	for column := range header[:len(header)-1] {
		widest := utf8.RuneCountInString(header[column])
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(row[column].text))
		}
		before += widest + 2
	}
	if s.width > 0 && s.width-before < narrowest {
		before = belowIndent
	}
	whole := s
	whole.width = 0
	var out strings.Builder
	whole.out = &out
	whole.table(header, rows)
	for line := range strings.Lines(out.String()) {
		fmt.Fprintln(s.out, wrapped(strings.TrimRight(line, "\n"), s.width, strings.Repeat(" ", before)))
	}
}

// narrowest is the number of columns that a column of sentences has at least.
const narrowest = 24

// belowIndent is the indent of a text below its row.
const belowIndent = 8

func (s screen) columns(header []string, rows [][]cell, room int) {
	if len(rows) == 0 {
		return
	}
	first := make([]cell, len(header))
	for i, name := range header {
		first[i] = cell{name, faint}
	}
	rows = append([][]cell{first}, rows...)
	widths := make([]int, len(header))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.text))
		}
	}
	last, before := len(header)-1, 0
	for _, width := range widths[:last] {
		before += width + 2
	}
	below := s.width > 0 && s.width-before < min(room, widths[last])
	for number, row := range rows {
		var line strings.Builder
		for i, cell := range row[:last] {
			line.WriteString(s.paint(cell.colour, cell.text) + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell.text)+2))
		}
		if text := row[last]; !below {
			line.WriteString(s.paint(text.colour, cut(text.text, s.width-before)))
		}
		fmt.Fprintln(s.out, strings.TrimRight(line.String(), " "))
		if below && number > 0 && row[last].text != "" {
			fmt.Fprintln(s.out, strings.Repeat(" ", belowIndent)+s.paint(row[last].colour, cut(row[last].text, s.width-belowIndent)))
		}
	}
}

// shortest is the number of columns that a cut text has at least.
const shortest = 12

// cut returns a text of at most so many columns; of a text that was cut the last
// one is "…".
func cut(text string, columns int) string {
	runes := []rune(text)
	if columns < shortest || len(runes) <= columns {
		return text
	}
	return string(runes[:columns-1]) + "…"
}

// changes prints the lines of a plan: the sign or word of what each does has a colour.
func (s screen) changes(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		line = wrapped(line, s.width, strings.Repeat(" ", indent+4))
		if word, rest, more := strings.Cut(line, " "); more && colourOfAction[word] != "" {
			line = s.paint(colourOfAction[word], word) + " " + rest
		}
		fmt.Fprintln(s.out, line)
	}
}

// colourOfAction has the colour of the word that a line of a plan begins with.
var colourOfAction = map[string]string{
	"+": green, "~": yellow, "-": red, "create": green, "update": yellow, "remove": red, "hold": blue,
}

// fit returns a line that is no wider than the terminal: it must stay one line. Of one
// that was cut, the colours are lost.
func (s screen) fit(line string) string {
	if s.width <= 0 || visible(line) < s.width {
		return line
	}
	return cut(uncoloured(line), s.width-1)
}

// uncoloured returns a text without the escapes of colours.
func uncoloured(text string) string {
	var plain strings.Builder
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		plain.WriteString(before)
		if !found {
			return plain.String()
		}
		_, text, _ = strings.Cut(after, "m")
	}
}
