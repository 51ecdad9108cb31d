package gitsync

import (
	"cmp"
	"errors"
	"io/fs"
	"strings"
	"time"
	"unicode"

	"kargo"
	"kargo/gitsync/signature"
	"kargo/gitsync/wire"
)

// Options say where a repository is and how to reach it. The functions are called
// at each use, so that a credential may change while the program runs; nil means
// that there is none.
type Options struct {
	// URL is http(s)://, ssh://, scp-like (git@host:path), or the path of a local
	// repository, bare or with a .git directory. It holds no password; http(s) URLs
	// hold no user either.
	URL string
	// Ref is a branch, a tag (a branch wins over a tag of the same name), a
	// full name (refs/…), the highest tag of a range of versions
	// ("semver:>=1.2 <2"), or the full hash of a commit. Empty means the
	// remote's HEAD.
	Ref string
	// Path is the directory of the repository that is the workspace, with slashes
	// and relative to the root; empty means the root. Files outside of it are not
	// visible.
	Path string
	// SubmoduleHosts are the hosts, as NAME or NAME:PORT, from which submodules are
	// fetched, by https or ssh, at the commits that the main repository names.
	SubmoduleHosts []string
	// History keeps all of the remote's history and fetches only what is new. It is
	// for large repositories: the first fetch takes long, the others do not.
	History bool
	// Dir is the directory where fetched commits are kept. It belongs to one
	// Repository of one process. A local repository does not need it.
	Dir string

	// Access is how the host is reached. It is not needed for a local repository.
	wire.Access

	// Signatures say what must be signed, and by whom.
	Signatures signature.Rules
	// AllowRewind has CheckAfter accept every commit.
	AllowRewind bool

	// AuthorName and AuthorEmail are the author of a Commit.
	AuthorName, AuthorEmail string

	// Timeout is how long a Fetch or a Commit may take, 2 minutes by default. Head
	// may take 20 seconds, or Timeout if that is shorter.
	Timeout time.Duration
	Limits  Limits
	// Keep is how many commits stay on disk, 5 by default.
	Keep int
}

// Limits bound what a repository may make Kargo store and read. Zero means the
// default.
type Limits struct {
	Files int   // files and directories in the commit; 20,000
	Bytes int64 // of all files, and of the download; 512 MiB
	File  int64 // bytes of one file; 32 MiB
	Depth int   // directories above a file; 32
}

// DefaultLimits returns the limits that are used where none are given.
func DefaultLimits() Limits {
	return Limits{Files: 20_000, Bytes: 512 << 20, File: 32 << 20, Depth: 32}
}

func (l Limits) withDefaults() Limits {
	usual := DefaultLimits()
	return Limits{
		Files: cmp.Or(max(l.Files, 0), usual.Files),
		Bytes: cmp.Or(max(l.Bytes, 0), usual.Bytes),
		File:  cmp.Or(max(l.File, 0), usual.File),
		Depth: cmp.Or(max(l.Depth, 0), usual.Depth),
	}
}

// invalid returns an error about the options. It takes fixed texts only, so that
// it can never repeat a credential.
func invalid(message, hint string) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "repository"}, Hint: hint, Err: errors.New(message)}
}

// checkPath accepts a directory below the root.
func checkPath(path string) (string, error) {
	path = strings.TrimSuffix(path, "/")
	if path == "" || path == "." {
		return "", nil
	}
	if !fs.ValidPath(path) || strings.Contains(path, `\`) || strings.ContainsFunc(path, unicode.IsControl) {
		return "", invalid("the path in the repository is not a plain relative one", "give a directory such as platform/swarm")
	}
	return path, nil
}
