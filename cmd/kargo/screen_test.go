package main

import (
	"strings"
	"testing"
)

// TestLinesOfANarrowTerminal shows how texts are broken: at blanks, indented
// below their line, and with the empty lines that they have.
func TestLinesOfANarrowTerminal(t *testing.T) {
	var out strings.Builder
	s := screen{out: &out, width: 20}
	s.line("\nPending:")
	s.line("  hold stack web: waits for stack dbs")
	s.line("\nhook of stack web took 2 s")
	want := `
Pending:
  hold stack web:
    waits for stack
    dbs

hook of stack web
  took 2 s
`
	if got := out.String(); got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
}

// Blanks inside of a line stay as they are where it is broken.
func TestBrokenLinesKeepTheirColumns(t *testing.T) {
	if got, want := wrapped("ok    git          /srv/repo answers in 1ms", 36, "    "), "ok    git          /srv/repo answers\n    in 1ms"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFewWords(t *testing.T) {
	for _, test := range []struct {
		text    string
		columns int
		want    string
	}{
		{"+proxy +dbs =3", 24, "+proxy +dbs =3"},
		{"+proxy +dbs +shop +crm +mail", 24, "+proxy +dbs and 3 more"},
		{"+a-name-that-is-too-long +dbs", 10, "+a-name-that-is-too-long and 1 more"},
		{"+proxy +dbs +shop +crm +mail", 0, "+proxy +dbs +shop +crm +mail"},
		{"", 24, ""},
	} {
		if got := fewWords(test.text, test.columns); got != test.want {
			t.Errorf("%q in %d columns is %q, want %q", test.text, test.columns, got, test.want)
		}
	}
}
