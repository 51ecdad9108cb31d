package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"kargo/compile"
	"kargo/directory"
	"kargo/gitsync"
	"kargo/gitsync/wire"
	"kargo/merge"
)

// directoryLayer begins the address of a layer that is a plain directory.
const directoryLayer = "dir:"

// layerFlags say where the shared layers come from. All but the first begin with
// the name of their layer: NAME=VALUE.
type layerFlags struct {
	layers        []string // NAME=ADDRESS[#REF], lowest first
	usernames     []string
	passwordFiles []string
	sshKeyFiles   []string
}

func (l *layerFlags) flags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&l.layers, "layer", nil, "shared layer below the workspace as `NAME=ADDRESS`[#REF] or NAME=dir:PATH; can be repeated, the lowest layer first")
	flags.StringArrayVar(&l.usernames, "layer-username", nil, "user name of a layer for https as `NAME=USER`")
	flags.StringArrayVar(&l.passwordFiles, "layer-password-file", nil, "file with the password of a layer for https as `NAME=PATH`; by default that of the workspace repository, if both are on one host")
	flags.StringArrayVar(&l.sshKeyFiles, "layer-ssh-key-file", nil, "file with the private key of a layer for ssh as `NAME=PATH`; by default that of the workspace repository, if both are on one host")
}

// withLayers puts the shared layers below a source. git has the options of the
// workspace repository.
func (w *workspaceFlags) withLayers(source compile.Repository, git gitsync.Options) (compile.Layers, error) {
	var shared []compile.SharedLayer
	names := map[string]bool{}
	for _, text := range w.layers.layers {
		name, address, ok := strings.Cut(text, "=")
		if !ok || address == "" {
			return compile.Layers{}, usagef("--layer takes NAME=ADDRESS, not %q", name)
		}
		layer, err := w.layerSource(name, address, git)
		if err != nil {
			return compile.Layers{}, err
		}
		names[name] = true
		shared = append(shared, compile.SharedLayer{Name: name, Repository: layer})
	}
	for flag, list := range map[string][]string{
		"layer-username": w.layers.usernames, "layer-password-file": w.layers.passwordFiles, "layer-ssh-key-file": w.layers.sshKeyFiles,
	} {
		for _, entry := range list {
			if name, _, _ := strings.Cut(entry, "="); !names[name] {
				return compile.Layers{}, usagef("--%s: there is no layer %q", flag, name)
			}
		}
	}
	return compile.NewLayers(source, shared...)
}

// layerSource opens one layer: a plain directory, or a repository.
func (w *workspaceFlags) layerSource(name, address string, options gitsync.Options) (compile.Repository, error) {
	if path, ok := strings.CutPrefix(address, directoryLayer); ok {
		path, err := filepath.Abs(path)
		return directory.Repository{Path: path, Reads: merge.Reads, Key: w.keyOfDirectories()}, err
	}
	address, ref, _ := strings.Cut(address, "#")
	if !wire.SameHost(address, options.URL) {
		// Another host must not see the credentials for the workspace's host.
		options.Access = options.Access.WithoutCredentials()
	}
	options.Signatures.Repository = "" // which is the name of the workspace's
	options.URL, options.Ref, options.Path, options.Dir = address, ref, "", w.state(filepath.Join("layers", name))
	if user, ok := valueFor(name, w.layers.usernames); ok {
		options.Username = user
	}
	if file, ok := valueFor(name, w.layers.passwordFiles); ok {
		options.Password, options.BearerToken, options.GitHubApp = (&secretSource{file: file}).text(), nil, nil
	}
	if file, ok := valueFor(name, w.layers.sshKeyFiles); ok {
		options.SSHKey, options.SSHPassphrase = (&secretSource{file: file}).optional(), nil
	}
	if err := w.makeState(); err != nil {
		return nil, err
	}
	return gitsync.Open(options)
}

// valueFor returns the value of a layer in a list of NAME=VALUE.
func valueFor(name string, list []string) (string, bool) {
	for _, entry := range list {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
