package kargo_test

import (
	"strings"
	"testing"

	"kargo"
)

func TestPrintableLine(t *testing.T) {
	for text, want := range map[string]string{
		"Fix the port":                   "Fix the port",
		"  two\tlines\r\nbecome  one \n": "two lines become one",
		"red \x1b[31malert\x07\u202e":    `red \x1b[31malert\a\u202e`,
		"not UTF-8: \xff":                "not UTF-8: \ufffd",
		strings.Repeat("ü", 200):         strings.Repeat("ü", 200),
		strings.Repeat("ü", 201):         strings.Repeat("ü", 200) + "…",
	} {
		if got := kargo.PrintableLine(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
