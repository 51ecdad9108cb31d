package kargo

import (
	"fmt"
	"slices"
	"strings"
)

// Line is one line of the difference between two texts: one that only the text before
// has, one that only the text after has, or one that both have, near such lines.
type Line struct {
	// Before and After are the numbers of the line in the two texts, from 1; 0 in the text
	// that does not have it.
	Before int    `json:"before,omitempty"`
	After  int    `json:"after,omitempty"`
	Text   string `json:"text"`
}

// Mark returns the sign of the line: "-", "+", or " " for one that both texts have.
func (l Line) Mark() string {
	switch {
	case l.Before == l.After: // both 0: it says that more lines follow
	case l.After == 0:
		return "-"
	case l.Before == 0:
		return "+"
	}
	return " "
}

const (
	// nearLines is how many equal lines are shown before and after different ones.
	nearLines = 2
	// mostEdits limits the search for the shortest difference: texts that differ more are
	// shown as lines that go and lines that come.
	mostEdits = 500
	// mostLines is how many lines of a difference are shown, longestLine how many
	// characters of one.
	mostLines   = 400
	longestLine = 200
)

// DiffLines returns the lines in which two texts differ, with some equal ones around
// them. It returns none if the texts are the same. A long difference is cut: the last
// line says so, and has no number.
func DiffLines(before, after string) []Line {
	a, b := splitLines(before), splitLines(after)
	var all []Line
	same := func(i, j int) { all = append(all, Line{i + 1, j + 1, cutLine(b[j])}) }
	i, j := 0, 0
	for _, pair := range append(commonLines(a, b), [2]int{len(a), len(b)}) {
		for ; i < pair[0]; i++ {
			all = append(all, Line{Before: i + 1, Text: cutLine(a[i])})
		}
		for ; j < pair[1]; j++ {
			all = append(all, Line{After: j + 1, Text: cutLine(b[j])})
		}
		if i < len(a) && j < len(b) {
			same(i, j)
			i, j = i+1, j+1
		}
	}
	return cutLines(nearDifferences(all))
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func cutLine(line string) string {
	line = strings.TrimSuffix(line, "\r")
	if runes := []rune(line); len(runes) > longestLine {
		return fmt.Sprintf("%s… (%d characters)", string(runes[:longestLine]), len(runes))
	}
	return line
}

// nearDifferences leaves out equal lines that are far from different ones.
func nearDifferences(all []Line) []Line {
	near := make([]bool, len(all))
	for i, line := range all {
		if line.Mark() != " " {
			for k := max(0, i-nearLines); k <= min(len(all)-1, i+nearLines); k++ {
				near[k] = true
			}
		}
	}
	var shown []Line
	for i, line := range all {
		if near[i] {
			shown = append(shown, line)
		}
	}
	return shown
}

func cutLines(lines []Line) []Line {
	if len(lines) <= mostLines {
		return lines
	}
	more := len(lines) - mostLines
	return append(lines[:mostLines:mostLines], Line{Text: "… " + Count(more, "more line")})
}

// commonLines returns the pairs of positions of equal lines that the shortest difference
// keeps, in order. It is Myers' algorithm; of texts that differ very much it keeps only
// what they begin and end with.
func commonLines(a, b []string) (pairs [][2]int) {
	first := 0
	for first < len(a) && first < len(b) && a[first] == b[first] {
		pairs = append(pairs, [2]int{first, first})
		first++
	}
	last := 0
	for last < len(a)-first && last < len(b)-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	for _, pair := range middleLines(a[first:len(a)-last], b[first:len(b)-last]) {
		pairs = append(pairs, [2]int{first + pair[0], first + pair[1]})
	}
	for k := last; k > 0; k-- {
		pairs = append(pairs, [2]int{len(a) - k, len(b) - k})
	}
	return pairs
}

// middleLines is commonLines for what is between an equal begin and an equal end.
func middleLines(a, b []string) [][2]int {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	most := min(len(a)+len(b), mostEdits)
	zero := most + 1
	// reached has, by diagonal, how far into a the edits so far lead; steps has it as it
	// was before each edit.
	reached := make([]int, 2*zero+1)
	var steps [][]int
	for edits := 0; edits <= most; edits++ {
		steps = append(steps, slices.Clone(reached))
		for diagonal := -edits; diagonal <= edits; diagonal += 2 {
			i := nextReached(reached, zero, edits, diagonal)
			for i < len(a) && i-diagonal < len(b) && a[i] == b[i-diagonal] {
				i++
			}
			if reached[zero+diagonal] = i; i >= len(a) && i-diagonal >= len(b) {
				return walkBack(steps, zero, len(a), len(b))
			}
		}
	}
	return nil
}

// comesDown reports whether the best way to a diagonal with so many edits adds a line;
// otherwise it takes one away.
func comesDown(reached []int, zero, edits, diagonal int) bool {
	return diagonal == -edits || diagonal != edits && reached[zero+diagonal-1] < reached[zero+diagonal+1]
}

// nextReached returns how far into a one more edit leads on a diagonal.
func nextReached(reached []int, zero, edits, diagonal int) int {
	if comesDown(reached, zero, edits, diagonal) {
		return reached[zero+diagonal+1]
	}
	return reached[zero+diagonal-1] + 1
}

// walkBack returns the pairs of equal lines on the way that the steps found.
func walkBack(steps [][]int, zero, i, j int) (pairs [][2]int) {
	for edits := len(steps) - 1; edits >= 0; edits-- {
		reached, diagonal := steps[edits], i-j
		from := diagonal - 1
		if comesDown(reached, zero, edits, diagonal) {
			from = diagonal + 1
		}
		fromI := reached[zero+from]
		fromJ := fromI - from
		for i > fromI && j > fromJ {
			i, j = i-1, j-1
			pairs = append(pairs, [2]int{i, j})
		}
		i, j = fromI, fromJ
	}
	slices.Reverse(pairs)
	return pairs
}
