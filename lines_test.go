package kargo_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kargo"
)

// shown is a difference of lines as people read it.
func shown(lines []kargo.Line) string {
	var text strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&text, "%d %d %s %s\n", line.Before, line.After, line.Mark(), line.Text)
	}
	return text.String()
}

func TestDifferencesOfLines(t *testing.T) {
	many := strings.Repeat("same\n", 10)
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":   {"a\nb\n", "a\nb\n", ""},
		"one line":  {"a\nworkers = 4\nb\n", "a\nworkers = 9\nb\n", "1 1   a\n2 0 - workers = 4\n0 2 + workers = 9\n3 3   b\n"},
		"all new":   {"", "a\nb", "0 1 + a\n0 2 + b\n"},
		"all gone":  {"a\n", "", "1 0 - a\n"},
		"moved":     {"a\nb\nc\n", "b\nc\na\n", "1 0 - a\n2 1   b\n3 2   c\n0 3 + a\n"},
		"far apart": {"x\n" + many + "y\n", "X\n" + many + "Y\n", "1 0 - x\n0 1 + X\n2 2   same\n3 3   same\n10 10   same\n11 11   same\n12 0 - y\n0 12 + Y\n"},
		"long line": {"", strings.Repeat("x", 300), "0 1 + " + strings.Repeat("x", 200) + "… (300 characters)\n"},
	} {
		if got := shown(kargo.DiffLines(c.before, c.after)); got != c.want {
			t.Errorf("%s: got\n%swant\n%s", name, got, c.want)
		}
	}
	numbers := func(from int) string {
		var text strings.Builder
		for n := range 1000 {
			fmt.Fprintln(&text, from+n)
		}
		return text.String()
	}
	lines := kargo.DiffLines(numbers(0), numbers(5000))
	if last := lines[len(lines)-1]; len(lines) != 401 || last.Text != "… 1600 more lines" {
		t.Errorf("a difference of 2000 lines has %d; the last one is %q", len(lines), last.Text)
	}
}

// Without its equal lines a difference leads from one text to the other, in order; and
// lines that are equal and far away are not in it.
func TestADifferenceLeadsFromOneTextToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 30)
		before, after := text.Draw(t, "before"), text.Draw(t, "after")
		taken, left := map[int]bool{}, []string{}
		added := map[int]string{}
		for _, line := range kargo.DiffLines(strings.Join(before, "\n"), strings.Join(after, "\n")) {
			switch line.Mark() {
			case "-":
				if taken[line.Before] = true; before[line.Before-1] != line.Text {
					t.Fatalf("line %d is %q, not %q", line.Before, before[line.Before-1], line.Text)
				}
			case "+":
				added[line.After] = line.Text
			}
		}
		next := 0
		for i := range before {
			if taken[i+1] {
				continue
			}
			for text, is := added[next+1]; is; text, is = added[next+1] {
				left, next = append(left, text), next+1
			}
			left, next = append(left, before[i]), next+1
		}
		for text, is := added[next+1]; is; text, is = added[next+1] {
			left, next = append(left, text), next+1
		}
		if got, want := strings.Join(left, " "), strings.Join(after, " "); got != want {
			t.Fatalf("%v leads to %s, not to %s", before, got, want)
		}
	})
}
