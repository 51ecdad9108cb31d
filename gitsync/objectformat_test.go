package gitsync_test

import (
	"path/filepath"
	"strings"
	"testing"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/wire"
)

// A repository with SHA-256 hashes cannot be read. The error says so, and not that
// a line of the protocol is wrong.
func TestAnotherObjectFormatIsNamed(t *testing.T) {
	o := newOrigin(t)
	other := filepath.Join(o.root, "team", "other.git")
	o.git(o.root, "init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", other)
	o.git(o.work, "init", "--quiet", "--object-format=sha256", "--initial-branch=main", filepath.Join(o.work, "sha256"))
	work := filepath.Join(o.work, "sha256")
	o.git(work, "commit", "--quiet", "--allow-empty", "--message", "first")
	o.git(work, "push", "--quiet", other, "main")

	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	for _, opts := range []gitsync.Options{
		{URL: strings.Replace(serve(t, gitHandler(t, o.root)), "workspace", "other", 1)},
		{URL: other},
		{URL: "ssh://git@" + server.address + "/team/other.git", Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content(server.knownHosts(host.PublicKey()))}},
	} {
		repository := open(t, opts)
		_, err := repository.Head(deadline(t))
		verb := "list the refs of"
		if opts.URL == other {
			verb = "read"
		}
		wantError(t, err, kargo.Unavailable, repository.Address(), verb+" ADDRESS: the repository has the object format sha256, and Kargo reads sha1 only "+
			"(make the repository in git's usual format: git init --object-format=sha1)")
	}
}
