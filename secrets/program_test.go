package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"kargo"
	"kargo/secrets"
	"kargo/secrets/opener"
	"kargo/secrets/secretstest"
)

// asProgram makes this program what kargo-secrets is: "serve", or something else that the
// tests need.
const asProgram = "KARGO_TEST_SECRETS"

// TestMain lets the tests open files as kargo does: by another process.
func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "serve":
		if err := secrets.Serve(context.Background(), os.Stdin, os.Stdout, opener.Start); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "end":
	default:
		os.Exit(m.Run())
	}
}

// apart returns options with a program that opens the files, unless they have an opener.
func apart(options secrets.Options) secrets.Options {
	if options.Start == nil {
		_ = os.Setenv(asProgram, "serve")
		options.Start = secrets.Program(os.Args[0])
	}
	return options
}

// Without the program, and with one that ends, a file with secrets is an error that says
// what to do. Plain files need no program.
func TestAProgramThatIsNotAsItShouldBe(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	sealed := secretstest.For(secretstest.ForAge(t, key.Recipient().String())).Seal(t, "a.env", "", "A=hunter22\n")
	const hint = "install kargo and kargo-secrets of one version beside each other"
	for _, test := range []struct {
		name  string
		start func(context.Context, secrets.Options) secrets.Opener
		fault kargo.Fault
		want  string
	}{
		{"none", nil, kargo.Unavailable, "a.env: has secrets, and the program that opens them cannot be started: none is given (" + hint + ")"},
		{
			"a missing one", secrets.Program("/nowhere/kargo-secrets"), kargo.Unavailable,
			"a.env: has secrets, and the program that opens them cannot be started: fork/exec /nowhere/kargo-secrets: no such file or directory (" + hint + ")",
		},
		{
			"one that ends", secrets.Program(os.Args[0]), kargo.Invalid,
			"a.env: cannot be opened: it ended the program that opens encrypted files (it is sound? then " + hint + ")",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(asProgram, "end")
			files := secrets.Options{AgeKeys: given(key.String()), Start: test.start}.Open(t.Context(), kargo.Files{FS: fstest.MapFS{
				"a.env": {Data: sealed}, "b.env": {Data: []byte("B=ref to nothing\n")},
			}})
			if _, err := fs.ReadFile(files.FS, "a.env"); kargo.FaultOf(err) != test.fault || kargo.Explain(err) != test.want {
				t.Errorf("%s: %s\nwant %s: %s", kargo.FaultOf(err), kargo.Explain(err), test.fault, test.want)
			} else if errors.Is(err, fs.ErrNotExist) {
				t.Error("the file seems not to exist, and it does")
			}
			if plain, err := fs.ReadFile(files.FS, "b.env"); err != nil || string(plain) != "B=ref to nothing\n" {
				t.Errorf("a plain file: %q, %v", plain, err)
			}
		})
	}
}

// Keys are told by the input only: they are no arguments, which everybody can list.
func TestS18_KeysAreNoArguments(t *testing.T) {
	key := secretstest.NewAgeKey(t)
	options := apart(secrets.Options{AgeKeys: given(key.String())})
	sealed := secretstest.For(secretstest.ForAge(t, key.Recipient().String())).Seal(t, "a.env", "", "A=hunter22\n")
	if _, err := read(t, options, "a.env", sealed); err != nil {
		t.Fatal(err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", os.Getpid(), os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	for child := range strings.FieldsSeq(string(children)) {
		arguments, err := os.ReadFile("/proc/" + child + "/cmdline")
		if err == nil && len(bytes.Split(bytes.TrimRight(arguments, "\x00"), []byte{0})) > 1 {
			t.Errorf("process %s has the arguments %q", child, arguments)
		}
	}
}

// A program does not answer one of another version, nor a message that is too long.
func TestMessagesThatAreRefused(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"another version", "\x00\x00\x00\x10{\"Protocol\": 99}", "kargo is of another version"},
		{"a message that is too long", "\xff\xff\xff\xff", "is longer than"},
		{"no settings", "", "read the settings"},
		{"half a message", "\x00\x00\x00\x10{", "read the settings"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := secrets.Serve(t.Context(), strings.NewReader(test.in), &out, opener.Start)
			if err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
				t.Errorf("got %v, and %d bytes", err, out.Len())
			}
		})
	}
}
