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
