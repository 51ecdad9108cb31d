package kargo

import (
	"net/netip"
	"slices"
	"strings"
)

// Files at the top of a layer that mean something to Kargo.
const (
	FileEnvDefault = ".env.default" // the environment of the default configuration
	FileEnv        = ".env"         // the environment of any other layer
	FileSettings   = "kargo.yml"    // stack options, image rules, where stack directories lie
	FileAcme       = "acme.json"    // Traefik's certificates, as the historic tool kept them
)

// LayerFolders are the folders at the top of a layer that belong to the merged
// configuration with all that is in them. Kargo ignores every other folder, but
// for those that kargo.yml names as places of stack directories.
var LayerFolders = []string{"build", "configs", "deploy", "scripts", "stacks"}

// LayerFiles are the files at the top of a layer that belong to the merged
// configuration. Environment files may read further ones; merge.Reads knows
// which.
var LayerFiles = []string{FileEnvDefault, FileEnv, FileSettings, FileAcme}

// IsLayerPart reports whether a slash-separated path in a layer lies in one of
// the LayerFolders or is one of the LayerFiles.
func IsLayerPart(path string) bool {
	return slices.Contains(LayerFiles, path) || slices.Contains(LayerFolders, firstElement(path))
}

// StateFolders are the folders of the merged configuration that services write
// to. They belong to what runs and not to a revision.
var StateFolders = []string{"acme", "logs"}

// IsState reports whether a slash-separated path in the merged configuration is
// a state folder or is in one.
func IsState(path string) bool { return slices.Contains(StateFolders, firstElement(path)) }

func firstElement(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

// AllStacks means every stack where a command takes the name of one. No stack
// can have this name.
const AllStacks = "all"

// IsLoopback reports whether a host of an address is this machine: "localhost"
// or a loopback address. What is sent there crosses no network.
func IsLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
