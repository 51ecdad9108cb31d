package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"kargo"
)

// notSecret are the settings with files that anybody may read.
var notSecret = []string{"git-ca-file", "git-client-cert-file", "known-hosts-file", "vault-ca-file", "verify-pgp-keys-file", "verify-ssh-signers-file"}

// secretFilesOf returns the files with secrets that the settings name.
func secretFilesOf(flags *pflag.FlagSet) (files []string) {
	flags.VisitAll(func(flag *pflag.Flag) {
		if secret, isOne := flag.Value.(*secretSource); isOne && secret.file != "" && !slices.Contains(notSecret, flag.Name) {
			files = append(files, secret.file)
		}
	})
	return files
}

// mounted is where Docker mounts secrets: in the container nobody else is.
const mounted = "/run/secrets/"

// owner checks that the data directory is this user's own, and can be written. Where a part
// of it is made at the first start, what it is made in must be writable.
func (e examiner) owner(context.Context) []kargo.Finding {
	var all []kargo.Finding
	seen := map[string]bool{}
	for _, path := range []string{e.dataDir.data, e.dataDir.state(""), e.dataDir.root()} {
		path, made := existing(path)
		if seen[path] {
			continue
		}
		seen[path] = true
		info, err := os.Stat(path)
		if err != nil {
			return append(all, kargo.Unwell("owner", err, "let this user read the data directory: chown or chmod it"))
		}
		findings := ofOwner(path, info, os.Geteuid(), unix.Access(path, unix.W_OK|unix.X_OK))
		if made { // whose it is does not matter where something is only made in it
			findings = slices.DeleteFunc(findings, func(f kargo.Finding) bool { return f.OK })
		}
		all = append(all, findings...)
		if !info.IsDir() {
			return all // nothing is in it
		}
	}
	if len(all) == 0 {
		return []kargo.Finding{kargo.Well("owner", "user %d can write the data directory", os.Geteuid())}
	}
	return all
}

// existing returns a path that exists: the one that is given, or where it has to be made first.
func existing(path string) (there string, made bool) {
	for ; ; made = true {
		_, err := os.Stat(path)
		missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
		if !missing || path == filepath.Dir(path) {
			return path, made
		}
		path = filepath.Dir(path)
	}
}

// ofOwner returns what is wrong with the owner of a directory. unwritable is why the user
// cannot write there; nil if that is possible.
func ofOwner(path string, info fs.FileInfo, user int, unwritable error) []kargo.Finding {
	stat, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return []kargo.Finding{kargo.Unwell("owner", fmt.Errorf("%s is no directory", path), "move it away, or name another data directory with --data")}
	case errors.Is(unwritable, unix.EROFS):
		return []kargo.Finding{kargo.Unwell("owner", fmt.Errorf("%s cannot be written: %w", path, unwritable), "mount the file system so that Kargo can write to it")}
	case unwritable != nil:
		return []kargo.Finding{kargo.Unwell("owner", fmt.Errorf("user %d cannot write %s", user, path), fmt.Sprintf("chown -R %d %s, or chmod u+w", user, path))}
	case known && user != 0 && int(stat.Uid) != user:
		return []kargo.Finding{kargo.Odd("owner", fmt.Sprintf("%s belongs to user %d, and this is user %d", path, stat.Uid, user), fmt.Sprintf("chown -R %d %s", user, path))}
	}
	return nil
}

// permissions checks that nobody else may read what is secret: Kargo's state, and the
// files of the settings that hold secrets.
func (e examiner) permissions(context.Context) []kargo.Finding {
	var open []string
	own := []string{e.dataDir.state(""), e.dataDir.root(), e.dataDir.state("api-token"), e.dataDir.state("history.journal")}
	for _, path := range append(own, e.secrets...) {
		info, err := os.Stat(path)
		switch {
		case slices.Contains(own, path) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		case err != nil:
			return []kargo.Finding{kargo.Unwell("permissions", err, "does the file exist, and may this user read it?")}
		case othersMayRead(info) && !strings.HasPrefix(path, mounted):
			open = append(open, fmt.Sprintf("%s (%04o)", path, info.Mode().Perm()))
		}
	}
	if len(open) > 0 {
		return []kargo.Finding{kargo.Odd("permissions", "others may read "+strings.Join(open, ", "), "chmod go= each of them")}
	}
	return []kargo.Finding{kargo.Well("permissions", "only the owner may read Kargo's state and secrets")}
}

// othersMayRead reports whether other users than the owner, and other groups than that of
// this process, may read a file or list a directory.
func othersMayRead(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	stat, known := info.Sys().(*syscall.Stat_t)
	ownGroup := known && int(stat.Gid) == os.Getegid()
	return mode&0o007 != 0 || mode&0o070 != 0 && !ownGroup
}
