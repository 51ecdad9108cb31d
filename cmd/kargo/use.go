package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kargo"
)

// usedFile is the file in the data directory that names the workspace in use, in the
// form of the historic tool: "WORKSPACE=" and the path.
const usedFile = ".workspace"

func useCommand(env map[string]string) *cobra.Command {
	s := &useFlags{}
	cmd := &cobra.Command{
		Use: "use DIRECTORY", Short: "Remember the workspace that commands work on", GroupID: "workspace",
		Long: `Use remembers a workspace in the data directory. From then on, commands without
--workspace and --repo work on it. Nothing is deleted: each workspace keeps its
own merged configuration, certificates, logs and history. Those of the first
workspace are in the data directory itself, those of others below
.kargo-state/workspaces.`,
		Example: "  kargo use ../platform",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which workspace? kargo use takes a directory")
			}
			if err := s.prepare(cmd, env); err != nil {
				return err
			}
			return s.use(cmd, args[0])
		},
	}
	s.program.flags(cmd.Flags())
	s.dataDir.flags(cmd.Flags())
	return cmd
}

type useFlags struct {
	program
	dataDir
}

func (s *useFlags) use(cmd *cobra.Command, dir string) error {
	workspace, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if info, err := os.Stat(workspace); err != nil || !info.IsDir() {
		return usagef("there is no directory %s", workspace)
	}
	if err := s.makeState(); err != nil {
		return err
	}
	before, err := s.used()
	if err != nil {
		return err
	}
	if before == "" {
		before = workspace
	}
	if _, err := os.Stat(s.state(ownerFile)); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(s.state(ownerFile), []byte(before+"\n"), 0o600); err != nil {
			return fmt.Errorf("remember workspace: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.data, usedFile), []byte("WORKSPACE="+workspace+"\n"), 0o600); err != nil {
		return fmt.Errorf("remember workspace: %w", err)
	}
	if !hasStart(workspace) {
		say(cmd.ErrOrStderr(), "kargo: warning: %s has no .env yet", workspace)
	}
	data, err := s.dataOf(workspace)
	if err != nil {
		return err
	}
	say(cmd.OutOrStdout(), "workspace: %s\nmerged configuration: %s", workspace, filepath.Join(data, ".kargo"))
	return nil
}

// ownerFile is the file that names the workspace to which the data directory itself
// belongs.
const ownerFile = "workspace"

// used returns the workspace that `use` remembered, or "". The historic tool kept a
// path as it was typed; a relative path is below the data directory.
func (s *dataDir) used() (string, error) {
	path := filepath.Join(s.data, usedFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", unreadable("read the workspace in use", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	workspace, ok := strings.CutPrefix(strings.TrimSpace(line), "WORKSPACE=")
	if !ok || workspace == "" {
		return "", &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: path}, Err: errors.New("does not name a workspace"), Hint: "kargo use DIRECTORY"}
	}
	if !filepath.IsAbs(workspace) {
		workspace = filepath.Join(s.data, workspace)
	}
	return workspace, nil
}

// dataOf returns the data directory of a workspace in use. Each workspace has its
// own, so that none gets the certificates and the history of another.
func (s *dataDir) dataOf(workspace string) (string, error) {
	owner, err := os.ReadFile(s.state(ownerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s.data, nil
	}
	if err != nil {
		return "", unreadable("read the workspace in use", err)
	}
	if strings.TrimSpace(string(owner)) == workspace {
		return s.data, nil
	}
	sum := sha256.Sum256([]byte(workspace))
	return s.state(filepath.Join("workspaces", filepath.Base(workspace)+"-"+hex.EncodeToString(sum[:4]))), nil
}

// useRemembered makes the data directory that of the workspace in use, and
// returns that workspace; "" where none is in use.
func (s *dataDir) useRemembered() (workspace string, err error) {
	workspace, err = s.used()
	if err != nil || workspace == "" {
		return "", err
	}
	if _, err := os.Stat(workspace); err != nil {
		return "", &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: filepath.Join(s.data, usedFile)},
			Err: fmt.Errorf("the workspace in use is gone: %s", workspace), Hint: "kargo use DIRECTORY"}
	}
	if s.data, err = s.dataOf(workspace); err != nil {
		return "", err
	}
	return workspace, nil
}

// hasStart reports whether a directory has any of what a workspace begins with.
func hasStart(workspace string) bool {
	return slices.ContainsFunc(slices.Concat([]string{kargo.FileEnv, kargo.FileSettings}, kargo.StackPlaces), func(name string) bool {
		_, err := os.Stat(filepath.Join(workspace, name))
		return err == nil
	})
}
