package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kargo"
	"kargo/spelling"
)

// Script is a script that a person runs with the commands exec and build. It runs
// without a time limit and with the person's terminal.
type Script struct {
	Dir  string // absolute; the scripts are in it, and it is the current directory
	Name string // without .sh
	Args []string
	Env  kargo.Environment
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
}

// ExitError is the exit status of a script, if it is not 0.
type ExitError int

func (e ExitError) Error() string { return fmt.Sprintf("ended with exit code %d", int(e)) }

// Run runs the script to its end. A script that does not exist is an Invalid error
// that suggests the most similar name.
func (s Script) Run(ctx context.Context) error {
	file := s.Name + ".sh"
	if !fs.ValidPath(file) {
		return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("%q cannot be the name of a script", s.Name)}
	}
	if _, err := os.Stat(filepath.Join(s.Dir, filepath.FromSlash(file))); err != nil {
		return s.missing()
	}
	cmd := exec.CommandContext(ctx, "bash", append([]string{"--noprofile", "--norc", "--", "./" + file}, s.Args...)...)
	cmd.Dir, cmd.Env = s.Dir, environ(s.Env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	// It stays in the process group of the terminal, so that a Ctrl-C of the person
	// reaches it, too.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = afterwards
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return ExitError(exit.ExitCode())
	case err != nil:
		return &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("run %s: %w", file, err), Hint: "scripts need bash"}
	}
	return nil
}

func (s Script) missing() error {
	if _, err := os.Stat(s.Dir); err != nil {
		return &kargo.Error{Fault: kargo.Invalid, Err: errors.New("there is no merged configuration yet"), Hint: "kargo configure"}
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return fmt.Errorf("look for scripts: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if name, isScript := strings.CutSuffix(entry.Name(), ".sh"); isScript {
			names = append(names, name)
		}
	}
	return &kargo.Error{Fault: kargo.Invalid, Err: fmt.Errorf("there is no script %q", s.Name), Hint: spelling.DidYouMean(s.Name, names)}
}
