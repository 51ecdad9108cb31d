package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"kargo/compile"
	"kargo/controller"
	"kargo/directory"
	"kargo/gitsync"
	"kargo/gitsync/wire"
	"kargo/merge"
)

// directoryLayer begins the address of a layer that is a plain directory.
const directoryLayer = "dir:"

// layerSettings say where the shared layers come from. Each but the first
// names the layer that it is for: NAME=VALUE.
type layerSettings struct {
	layers        []string // NAME=ADDRESS[#REF], lowest first
	usernames     []string
	passwordFiles []string
	sshKeyFiles   []string
}

func (s *settings) layerFlags(flags *pflag.FlagSet) {
	l := &s.layer
	flags.StringArrayVar(&l.layers, "layer", nil, "shared layer below the workspace, as `NAME=ADDRESS`[#REF], or NAME=dir:DIRECTORY; lowest first, may be repeated")
	flags.StringArrayVar(&l.usernames, "layer-username", nil, "user name of a layer for https, as `NAME=USER`")
	flags.StringArrayVar(&l.passwordFiles, "layer-password-file", nil, "file with the password of a layer for https, as `NAME=FILE`; the workspace repository's where both are on one host")
	flags.StringArrayVar(&l.sshKeyFiles, "layer-ssh-key-file", nil, "file with the private key of a layer, as `NAME=FILE`; the workspace repository's where both are on one host")
}

// withLayers puts the shared layers below a source.
func (s *settings) withLayers(source compile.Repository) (controller.Source, error) {
	var shared []compile.SharedLayer
	names := map[string]bool{}
	for _, text := range s.layer.layers {
		name, address, ok := strings.Cut(text, "=")
		if !ok || address == "" {
			return nil, usagef("--layer takes NAME=ADDRESS, not %q", name)
		}
		layer, err := s.layerSource(name, address)
		if err != nil {
			return nil, err
		}
		names[name] = true
		shared = append(shared, compile.SharedLayer{Name: name, Repository: layer})
	}
	for flag, list := range map[string][]string{
		"layer-username": s.layer.usernames, "layer-password-file": s.layer.passwordFiles, "layer-ssh-key-file": s.layer.sshKeyFiles,
	} {
		for _, entry := range list {
			if name, _, _ := strings.Cut(entry, "="); !names[name] {
				return nil, usagef("--%s: there is no layer %q", flag, name)
			}
		}
	}
	return compile.NewLayers(source, shared...)
}

// layerSource opens one layer: a plain directory, or a repository.
func (s *settings) layerSource(name, address string) (compile.Repository, error) {
	if path, ok := strings.CutPrefix(address, directoryLayer); ok {
		path, err := filepath.Abs(path)
		return directory.Repository{Path: path, Reads: merge.Reads}, err
	}
	address, ref, _ := strings.Cut(address, "#")
	options := s.gitOptions()
	if !wire.SameHost(address, s.repo) {
		// What the workspace's host may see is none of another host's business.
		options.Access = options.Access.WithoutCredentials()
	}
	options.URL, options.Ref, options.Path, options.Dir = address, ref, "", s.state(filepath.Join("layers", name))
	if user, ok := valueFor(name, s.layer.usernames); ok {
		options.Username = user
	}
	if file, ok := valueFor(name, s.layer.passwordFiles); ok {
		options.Password, options.BearerToken, options.GitHubApp = secretSource{file: file}.text(), nil, nil
	}
	if file, ok := valueFor(name, s.layer.sshKeyFiles); ok {
		options.SSHKey, options.SSHPassphrase = secretSource{file: file}.optional(), nil
	}
	return gitsync.Open(options)
}

// valueFor finds a layer's entry in a list of NAME=VALUE.
func valueFor(name string, list []string) (string, bool) {
	for _, entry := range list {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value, true
		}
	}
	return "", false
}
