package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// hostile is what a commit, a task or an engine may say: it clears the screen,
// sets the title, turns the direction of writing, and is no UTF-8 at the end.
const hostile = "x\x1b[2J\x1b]0;title\a\u202egnp\u0085\x9b2J"

func TestPrinter(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"text", "a\tb\nc → “d…”\n", "a\tb\nc → “d…”\n"},
		{"own colours", "\x1b[31mfailed\x1b[0m", "\x1b[31mfailed\x1b[0m"},
		{"words of others", hostile + "\n", `x\x1b[2J\x1b]0;title\a\u202egnp\u0085` + "�2J\n"},
		{"a carriage return", "sound\rhidden\n", `sound\rhidden` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var whole, inBytes bytes.Buffer
			_, _ = (&printer{to: &whole}).Write([]byte(test.text))
			slowly := &printer{to: &inBytes}
			for i := range len(test.text) {
				_, _ = slowly.Write([]byte{test.text[i]})
			}
			if whole.String() != test.want || inBytes.String() != test.want {
				t.Errorf("printed %q, and %q byte by byte; want %q", whole.String(), inBytes.String(), test.want)
			}
		})
	}
}

// TestS45_NoCommandPrintsWhatMovesATerminal gives every command an argument, and
// then a data directory, that would move a terminal if it were printed.
func TestS45_NoCommandPrintsWhatMovesATerminal(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, command := range allCommands(newRoot(nil)) {
		name := strings.Fields(command.CommandPath())[1:]
		if command.Name() == "completion" || command.HasSubCommands() {
			continue
		}
		t.Run(strings.Join(name, " "), func(t *testing.T) {
			for _, arguments := range [][]string{{hostile}, {"--data", hostile}, {"--" + hostile}} {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				var out bytes.Buffer
				run(ctx, append(append([]string(nil), name...), arguments...), nil, &out, &out)
				cancel()
				if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%q: prints %q", arguments, out.String())
				}
			}
		})
	}
}

func allCommands(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, command := range root.Commands() {
		all = append(append(all, command), allCommands(command)...)
	}
	return all
}
