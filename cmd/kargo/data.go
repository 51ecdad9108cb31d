package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"kargo"
	"kargo/history"
)

// dataDir is the group of commands that use the data directory.
type dataDir struct {
	data string
	// readOnly: the command makes no directory.
	readOnly bool
}

func (d *dataDir) flags(flags *pflag.FlagSet) {
	d.data = "."
	flags.Var((*pathValue)(&d.data), "data", "directory for the merged configuration (.kargo) and Kargo's own state (.kargo-state)")
}

// root returns the directory of the merged configuration.
func (d *dataDir) root() string { return filepath.Join(d.data, ".kargo") }

// state returns the path of a file of Kargo's own state.
func (d *dataDir) state(name string) string { return filepath.Join(d.data, ".kargo-state", name) }

// makeState makes the data directory and the one for Kargo's own state. That may
// lie in a workspace: it ignores itself, so that `git add` takes none of it.
func (d *dataDir) makeState() error {
	if d.readOnly {
		return nil
	}
	if err := os.MkdirAll(d.state(""), 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := writeNew(d.state(".gitignore"), "*\n"); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep %s out of git: %w", d.state(""), err)
	}
	return nil
}

// openHistory opens the history of the data directory.
func (d *dataDir) openHistory() (*history.Store, error) {
	if err := d.makeState(); err != nil {
		return nil, err
	}
	return history.Open(d.state("history.journal"))
}

// openHistoryToRead opens the history where there is one, and returns nil where
// there is none: reading makes no file. It is Unavailable while a controller
// uses it.
func (d *dataDir) openHistoryToRead() (*history.Store, error) {
	file, err := os.Open(d.state("history.journal"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, unreadable("read the history", err)
	}
	file.Close()
	return d.openHistory()
}

// unreadable returns the error of something in the data directory that this user may not
// read. It is Unavailable: another user, such as that of the controller, may.
func unreadable(what string, err error) error {
	return &kargo.Error{Fault: kargo.Unavailable, Err: fmt.Errorf("%s: %w", what, err),
		Hint: "run it as the user of the controller, name another data directory with --data, or the controller's address with --url"}
}

// randomKey returns a key of digests that only one process can compare.
func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return key
}
