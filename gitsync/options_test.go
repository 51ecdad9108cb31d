package gitsync_test

import (
	"strings"
	"testing"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/signature"
	"kargo/gitsync/wire"
)

func TestOpenRefuses(t *testing.T) {
	const planted = "pl4nt3d"
	for _, c := range []struct {
		name string
		opts gitsync.Options
		want string
	}{
		{"no URL", gitsync.Options{}, "no URL (give the URL or the path of a git repository)"},
		{"option", gitsync.Options{URL: "--upload-pack=" + planted}, "the URL starts with a dash"},
		{"line end", gitsync.Options{URL: "https://host/" + planted + "\n"},
			"the URL holds a control character (perhaps the line end of a file)"},
		{"password", gitsync.Options{URL: "https://user:" + planted + "@host/repository"},
			"the URL holds a user or a password (give the user name and the token separately)"},
		{"token as user", gitsync.Options{URL: "https://" + planted + "@host/repository"},
			"the URL holds a user or a password (give the user name and the token separately)"},
		{"password for ssh", gitsync.Options{URL: "ssh://git:" + planted + "@host/repository"},
			"the URL holds a password (SSH uses a key; remove the password from the URL)"},
		{"query", gitsync.Options{URL: "https://host/repository?token=" + planted},
			"the URL holds a query or a fragment (give a token as the password instead)"},
		{"not a URL", gitsync.Options{URL: "https://user:" + planted + "@ho st/%zz"}, "the URL cannot be parsed"},
		{"git protocol", gitsync.Options{URL: "git://host/" + planted},
			"the URL has a scheme that is not supported (use https://, ssh:// or the path of a local repository)"},
		{"ext protocol", gitsync.Options{URL: "ext::sh -c touch% /tmp/" + planted},
			"the URL has a scheme that is not supported (use https://, ssh:// or the path of a local repository)"},
		{"dash host", gitsync.Options{URL: "ssh://-oProxyCommand=" + planted + "/repository"}, "a part of the URL starts with a dash"},
		{"dash user", gitsync.Options{URL: "-l@host:" + planted}, "the URL starts with a dash"},
		{"dash path", gitsync.Options{URL: "git@host:-" + planted}, "a part of the URL starts with a dash"},
		{"no host", gitsync.Options{URL: "https:///" + planted}, "the URL has no usable host"},
		{"no path", gitsync.Options{URL: "https://host/"},
			"the URL has no path (add the path of the repository: https://host/group/repository.git)"},
		{"bad port", gitsync.Options{URL: "https://host:99999/repository"}, "the URL has a bad port"},
		{"file on another host", gitsync.Options{URL: "file://host/repository"}, "a file URL names another host"},
		{"plain http", gitsync.Options{URL: "http://host/repository", Access: wire.Access{Username: "u", Password: secret(planted)}},
			"credentials would be sent unencrypted over http (use https://)"},
		{"ssh without key", gitsync.Options{URL: "git@host:repository", Access: wire.Access{KnownHosts: content(nil)}},
			"SSH needs a private key (set the file that holds the key)"},
		{"ssh without known_hosts", gitsync.Options{URL: "git@host:repository", Access: wire.Access{SSHKey: content(nil)}},
			"SSH needs a known_hosts file (make one with `kargo known-hosts HOST`, and compare the fingerprints with the forge's page)"},
		{"ref option", gitsync.Options{URL: "https://host/repository", Ref: "--" + planted}, badRef},
		{"ref above", gitsync.Options{URL: "https://host/repository", Ref: "refs/../config"}, badRef},
		{"ref spec", gitsync.Options{URL: "https://host/repository", Ref: "a:b"}, badRef},
		{"ref pattern", gitsync.Options{URL: "https://host/repository", Ref: "refs/heads/*"}, badRef},
		{"range", gitsync.Options{URL: "https://host/repository", Ref: "semver:latest"},
			"the ref is not a range of versions (write \"semver:>=1.2 <2\", \"semver:~1.4\" or \"semver:1.x\")"},
		{"path above", gitsync.Options{URL: "https://host/repository", Path: "../" + planted}, badPath},
		{"absolute path", gitsync.Options{URL: "https://host/repository", Path: "/etc"}, badPath},
		{"path with a backslash", gitsync.Options{URL: "https://host/repository", Path: `a\b`}, badPath},
		{"nothing to verify with", gitsync.Options{URL: "https://host/repository", Signatures: signature.Rules{Required: signature.Commit}},
			"signatures are to be verified, but no keys are allowed (give a file of allowed signers for SSH, a keyring for OpenPGP, or both)"},
		{"nothing to verify", gitsync.Options{URL: "https://host/repository", Signatures: signature.Rules{PGPKeys: content(nil)}},
			"allowed keys are given, but not what has to be signed (say commit, tag or both)"},
		{"unknown signatures", gitsync.Options{URL: "https://host/repository", Signatures: signature.Rules{Required: "commits", SSHSigners: content(nil)}},
			"what has to be signed is neither commit, tag nor both"},
		{"no directory", gitsync.Options{URL: "https://host/repository"}, "no directory to keep commits in (set Options.Dir)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := gitsync.Open(c.opts)
			wantError(t, err, kargo.Invalid, "ADDRESS", "repository: "+c.want)
		})
	}
}

const badRef = "the ref is not a valid name (give a branch, a tag, a full name such as refs/heads/main, a range such as \"semver:>=1.2 <2\" or the full hash of a commit; empty means the remote's HEAD)"

const badPath = "the path in the repository is not a plain relative one (give a directory such as platform/swarm)"

func TestFetchTakesHashesOnly(t *testing.T) {
	repository := open(t, gitsync.Options{URL: "https://host/repository"})
	for _, commit := range []string{"", "main", "../../etc", strings.Repeat("a", 39) + "/"} {
		if _, _, err := repository.Fetch(t.Context(), commit); err == nil {
			t.Errorf("fetch of %q: no error", commit)
		}
	}
}

// FuzzOpenOptions checks that Open does not panic, that its errors are Invalid, and
// that an address never shows a user or a query.
func FuzzOpenOptions(f *testing.F) {
	for _, url := range []string{"https://user:pw@host/r?q#f", "git@host:r", "ssh://git@[::1]:22/r", "file:///r", "/r", "h:-r", "::"} {
		f.Add(url, "main")
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, url, ref string) {
		repository, err := gitsync.Open(gitsync.Options{
			URL: url, Ref: ref, Dir: dir, Access: wire.Access{SSHKey: content(nil), KnownHosts: content(nil)},
		})
		if err != nil {
			if kargo.FaultOf(err) != kargo.Invalid {
				t.Errorf("fault %s: %v", kargo.FaultOf(err), err)
			}
			return
		}
		address := repository.Address()
		if scheme, rest, remote := strings.Cut(address, "://"); remote {
			host, _, _ := strings.Cut(rest, "/")
			if strings.Contains(host, "@") || (scheme != "ssh" && strings.ContainsAny(address, "?#")) {
				t.Errorf("%q has the address %q", url, address)
			}
		}
	})
}
