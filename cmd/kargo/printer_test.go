package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
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

// writes keeps each write apart.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(text))
	return len(text), nil
}

func (w *writes) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.all, "|")
}

// What a command prints together reaches a pipe in one write, so that a reader that has
// seen enough does not end the command.
func TestAPipeGetsOneWrite(t *testing.T) {
	var both writes
	out := &printer{to: &both, gathers: time.Hour}
	errs := &printer{to: &both, first: out}
	fmt.Fprint(out, "one ")
	fmt.Fprint(out, "two ")
	if got := both.String(); got != "" {
		t.Errorf("before anything waits %q is written", got)
	}
	fmt.Fprint(errs, "error")
	fmt.Fprint(out, "three")
	out.flush()
	out.flush()
	if got, want := both.String(), "one two |error|three"; got != want {
		t.Errorf("%q is written, want %q", got, want)
	}
}

// A command that goes on for long, as with --follow, is seen at once.
func TestWhatIsGatheredDoesNotWait(t *testing.T) {
	var pipe writes
	out := &printer{to: &pipe, gathers: gatherTime}
	fmt.Fprint(out, "a line")
	for deadline := time.Now().Add(10 * time.Second); pipe.String() == "" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := pipe.String(); got != "a line" {
		t.Errorf("%q is written, want the line", got)
	}
	large := strings.Repeat("x", gatherSize)
	fmt.Fprint(out, large)
	if got := pipe.String(); got != "a line|"+large {
		t.Error("as much as may be held is not written")
	}
}
