package merge_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/merge"
)

// A pattern on a long value takes long, and cannot be interrupted. Each of these took
// seconds to minutes. They are refused before they run, with their place.
func TestS44_PatternsTakeABoundedTime(t *testing.T) {
	t.Parallel()
	long := "X=" + strings.Repeat("x", 15000) + "\nX=$X$X\nX=$X$X\nX=$X$X\n"
	pattern := "P='" + strings.Repeat("*?", 7000) + "'\nP=$P$P$P$P$P$P\n"
	regular := "P='((x*){30}){30}y'\n"
	for name, attack := range map[string]string{
		"replace":             pattern + `Y="${X//$P/q}"`,
		"replace many":        strings.Repeat(`Y="${X//x/y}"`+"\n", 100),
		"remove a suffix":     pattern + `Y="${X%$P}"`,
		"remove a prefix":     pattern + `Y="${X##$P}"`,
		"remove many":         strings.Repeat(`Y="${X%%y*z}"`+"\n", 500),
		"upper case":          pattern + `Y="${X^^$P}"`,
		"case":                pattern + `case $X in $P) Y=1;; esac`,
		"test":                pattern + `[[ $X == $P ]] && Y=1`,
		"regular expression":  regular + `[[ $X =~ $P ]] && Y=1`,
		"count characters":    strings.Repeat("Y=${#X}\n", 2000),
		"parts":               strings.Repeat("Y=${X:5:7}\n", 2000),
		"in another word":     pattern + `Y="a${X/$P/}b"`,
		"in a replaced value": pattern + `Y="${Z:-${X//$P/q}}"`,
	} {
		t.Run(name, func(t *testing.T) {
			problems := problemsOf(t, long+attack)
			if len(problems) != 1 || problems[0].Where.File != ".env" || problems[0].Where.Line < 5 ||
				problems[0].Message != "the expansions of the environment files take too long" {
				t.Errorf("problems: %.300s", problems.Error())
			}
		})
	}
}

// What environment files do with patterns stays far from the limit.
func TestS44_UsualPatternsAreAllowed(t *testing.T) {
	t.Parallel()
	usual := "X=" + strings.Repeat("https://example.org:8080/path?x=y,", 100) + "\n" +
		strings.Repeat(`Y="${X//,/ }"`+"\n"+`Z="${X##*/}${X%%:*}"`+"\n"+`[[ $X == *example* ]] && W=${#X}`+"\n", 100)
	if problems := problemsOf(t, usual); problems.Err() != nil {
		t.Error(problems)
	}
}

// problemsOf returns the errors of a workspace with one environment file.
func problemsOf(t *testing.T, text string) kargo.Problems {
	t.Helper()
	_, problems, err := merge.Merge(t.Context(), merge.Input{
		Defaults: fstest.MapFS{}, User: kargo.Files{FS: fstest.MapFS{".env": {Data: []byte(text)}}},
		Root: "/srv/.kargo", WorkspacePath: "/srv/workspace",
	})
	if err != nil {
		t.Fatal(err)
	}
	var errors kargo.Problems
	for _, problem := range problems {
		if !problem.Warning && !strings.Contains(problem.Message, "STACKS") {
			errors = append(errors, problem)
		}
	}
	return errors
}
