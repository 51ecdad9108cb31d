package signature_test

import (
	"strings"
	"testing"

	"kargo"
	"kargo/gitsync/signature"
)

// public is a key of which nobody has the private part.
const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILVDD/SfPs1d2njKl/OI5FJEiohpjjA/bF1UQoNDL46M"

func file(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

// Allowed keys that cannot be read allow nothing, and are no fault of the revision.
func TestS09AllowedKeysAreUnreadable(t *testing.T) {
	for _, c := range []struct{ name, ssh, pgp, want string }{
		{"empty", "# nobody yet\n", "", "read the allowed signers: it holds no key"},
		{"no key", "ada\n", "", `read the allowed signers: line 1: it is not "PRINCIPALS [OPTIONS] KEYTYPE KEY"`},
		{"open quote", "\n\"ada " + public, "", "read the allowed signers: line 2: a quote is not closed"},
		{"authority", "ada cert-authority " + public, "", "read the allowed signers: line 1: signatures by certificates are not supported; list the keys themselves"},
		{"unknown option", "ada restrict-to=\"x\" " + public, "", `read the allowed signers: line 1: option "restrict-to" is not known`},
		{"no time", "ada valid-after=\"tomorrow\" " + public, "", `read the allowed signers: line 1: "tomorrow" is not a time of the form YYYYMMDD[HHMM[SS]][Z]`},
		{"no OpenPGP key", "", "hello", `read the OpenPGP keys: it holds no key that begins with "-----BEGIN PGP PUBLIC KEY BLOCK-----"`},
		{"broken OpenPGP key", "", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
			"read the OpenPGP keys: key block 1: openpgp: invalid data: tag byte does not have MSB set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := signature.Rules{Required: signature.Commit, SSHSigners: file(c.ssh)}
			if c.ssh == "" {
				rules = signature.Rules{Required: signature.Commit, PGPKeys: file(c.pgp)}
			}
			if _, err := rules.Keys(); kargo.FaultOf(err) != kargo.Unavailable || kargo.Explain(err) != c.want {
				t.Errorf("error of fault %s:\n got %v\nwant %s", kargo.FaultOf(err), err, c.want)
			}
		})
	}
}

// What is signed is all of a commit but its signature, byte for byte, so nobody
// can add a header to a commit that somebody else has signed.
func TestS09ASignatureCoversAllOfACommit(t *testing.T) {
	keys, err := signature.Rules{Required: signature.Commit, SSHSigners: file("ada " + public)}.Keys()
	if err != nil {
		t.Fatal(err)
	}
	const commit = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor Ada <ada@example.com> 1700000000 +0000\n" +
		"committer Ada <ada@example.com> 1700000000 +0000\n"
	for _, c := range []struct{ name, headers, want string }{
		{"unsigned", "", "it is not signed"},
		{"two signatures", "gpgsig one\ngpgsig two\n", "it has two signatures"},
		{"another kind", "gpgsig -----BEGIN SIGNED MESSAGE-----\n", "its signature is neither of SSH nor of OpenPGP"},
		{"broken SSH signature", "gpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n", "its SSH signature is malformed"},
	} {
		_, _, err := keys.CheckCommit([20]byte{}, []byte(commit+c.headers+"\nsubject\n"))
		if kargo.FaultOf(err) != kargo.Invalid || !strings.HasPrefix(kargo.Explain(err), "signature: commit 000000000000: "+c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
