package gitsync_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/signature"
)

// signingKey is a key made by ssh-keygen or gpg, in the form that git takes.
type signingKey struct {
	config  []string // of git
	name    string   // as messages have it
	public  string   // of SSH: a line of an allowed signers file after the principal
	program string   // of OpenPGP: gpg with this key
}

func runProgram(t *testing.T, env []string, stdin, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), env...)
	command.Stdin = strings.NewReader(stdin)
	out, err := command.Output()
	if err != nil {
		stderr := ""
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = string(exit.Stderr)
		}
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr)
	}
	return string(out)
}

func sshSigningKey(t *testing.T, args ...string) signingKey {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	runProgram(t, nil, "", "ssh-keygen", append([]string{"-q", "-N", "", "-C", "", "-f", path}, args...)...)
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{
		config: []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + path},
		public: strings.TrimSpace(string(public)),
		name:   "SSH key " + strings.Fields(runProgram(t, nil, "", "ssh-keygen", "-lf", path))[1],
	}
}

// needGPG skips quick tests where there is no gpg; the full ones install it.
func needGPG(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		if testing.Short() {
			t.Skip("no gpg")
		}
		t.Fatal("this test needs gnupg")
	}
}

// pgpSigningKey creates a key that is valid for a time ("never", "1d"). now, if
// given, replaces the clock of gpg.
func pgpSigningKey(t *testing.T, identity, expires, now string) signingKey {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	key := signingKey{program: filepath.Join(home, "gpg-then")}
	key.setClock(t, now)
	runProgram(t, nil, "", key.program, "--passphrase", "", "--quick-generate-key", identity, "ed25519", "sign", expires)
	for line := range strings.Lines(runProgram(t, nil, "", key.program, "--with-colons", "--list-keys")) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			key.name = "OpenPGP key " + fields[9]
		}
	}
	key.config = []string{"-c", "gpg.program=" + key.program, "-c", "user.signingKey=" + key.fingerprint()}
	return key
}

// setClock replaces the clock of gpg: 20240506T000000.
func (k signingKey) setClock(t *testing.T, then string) {
	t.Helper()
	options := "--batch --quiet --homedir " + filepath.Dir(k.program)
	if then != "" {
		options += " --faked-system-time " + then + "!"
	}
	if err := os.WriteFile(k.program, []byte("#!/bin/sh\nexec gpg "+options+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func (k signingKey) fingerprint() string { return strings.TrimPrefix(k.name, "OpenPGP key ") }

func (k signingKey) export(t *testing.T) string {
	t.Helper()
	return runProgram(t, nil, "", k.program, "--armor", "--export", k.fingerprint())
}

// revoke returns the public key with the revocation that gpg created with it.
func (k signingKey) revoke(t *testing.T) string {
	t.Helper()
	certificate, err := os.ReadFile(filepath.Join(filepath.Dir(k.program), "openpgp-revocs.d", k.fingerprint()+".rev"))
	if err != nil {
		t.Fatal(err)
	}
	// gpg writes a colon before the block, so that nobody imports it by mistake.
	runProgram(t, nil, strings.Replace(string(certificate), ":---", "---", 1), k.program, "--import")
	return k.export(t)
}

func (o *origin) commitSigned(key signingKey, subject string) string {
	o.t.Helper()
	o.git(o.work, append(key.config, "commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", subject)...)
	return o.head()
}

func (o *origin) tagSigned(key signingKey, name string, args ...string) {
	o.t.Helper()
	args = append([]string{"tag", "--sign", "--message", "release", name}, args...)
	o.git(o.work, append(key.config, args...)...)
	o.push(name)
}

// rewrite creates an object from the edited text of another, and returns its hash.
func (o *origin) rewrite(kind, object string, edit func(string) string) string {
	o.t.Helper()
	command := exec.Command("git", "cat-file", kind, object)
	command.Dir = o.work
	data, err := command.Output()
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.TrimSpace(runProgram(o.t, nil, edit(string(data)), "git", "-C", o.work, "hash-object", "-t", kind, "-w", "--stdin"))
}

const (
	signHint    = " (sign it with a key that is allowed here)"
	unknownHint = " (if you know that key and trust it, add it to the allowed ones)"
)

// A revision that is not signed as required is Invalid, over HTTP and in a local
// repository, and the error names the key.
func TestS09SignedCommits(t *testing.T) {
	t.Parallel()
	ada, stranger, rsa := sshSigningKey(t, "-t", "ed25519"), sshSigningKey(t, "-t", "ed25519"), sshSigningKey(t, "-t", "rsa", "-b", "2048")
	allowed := "# who may\n\nada@example.org,ada " + ada.public + "\nbob@example.org namespaces=\"git,file\" " + rsa.public + "\n"
	for _, c := range []struct {
		name    string
		allowed string
		make    func(o *origin) string // returns the commit
		signer  string
		want    string
	}{
		{"allowed", allowed, func(o *origin) string { return o.commitSigned(ada, "signed") },
			"ada@example.org,ada (" + ada.name + ")", ""},
		{"RSA", allowed, func(o *origin) string { return o.commitSigned(rsa, "signed") },
			"bob@example.org (" + rsa.name + ")", ""},
		{"unsigned", allowed, func(o *origin) string { return o.commit("unsigned") },
			"", "it is not signed" + signHint},
		{"another key", allowed, func(o *origin) string { return o.commitSigned(stranger, "signed") },
			"", "it is signed with a key that is not allowed: " + stranger.name + unknownHint},
		{"only the parent is signed", allowed, func(o *origin) string { o.commitSigned(ada, "signed"); return o.commit("on top") },
			"", "it is not signed" + signHint},
		{"key of another namespace", "ada namespaces=\"file,email\" " + ada.public, func(o *origin) string { return o.commitSigned(ada, "signed") },
			"", ada.name + " is not allowed to sign for git, only for file, email" + signHint},
		{"key of all namespaces but git", "ada namespaces=\"*,!git\" " + ada.public, func(o *origin) string { return o.commitSigned(ada, "signed") },
			"", ada.name + " is not allowed to sign for git, only for *, !git" + signHint},
		{"expired key", "ada valid-before=\"20240506070809Z\" " + ada.public, func(o *origin) string { return o.commitSigned(ada, "signed") },
			"", ada.name + " has expired: it was allowed until 2024-05-06 07:08 UTC, and this is of 2024-05-06 07:08 UTC" + signHint},
		{"key that expired later", "ada valid-before=\"202405060709Z\" " + ada.public, func(o *origin) string { return o.commitSigned(ada, "signed") },
			"ada (" + ada.name + ")", ""},
		{"key of the future", "ada valid-after=\"20240507Z\" " + ada.public, func(o *origin) string { return o.commitSigned(ada, "signed") },
			"", ada.name + " is allowed from 2024-05-07 00:00 UTC on, and this is of 2024-05-06 07:08 UTC" + signHint},
		{"key with a later line that fits", "ada valid-after=\"20240507Z\" " + ada.public + "\nada2 " + ada.public, func(o *origin) string { return o.commitSigned(ada, "signed") },
			"ada2 (" + ada.name + ")", ""},
		{"tampered", allowed, func(o *origin) string {
			return o.rewrite("commit", o.commitSigned(ada, "signed"), func(text string) string { return text + "and more\n" })
		}, "", "its signature by " + ada.name + " is wrong, so it was changed after it was signed: ssh: signature did not verify" + signHint},
		{"another tree under the signature", allowed, func(o *origin) string {
			signed, evil := o.commitSigned(ada, "signed"), o.commit("evil", ".env", "STACKS=evil\n")
			trees := strings.NewReplacer(o.git(o.work, "rev-parse", signed+"^{tree}"), o.git(o.work, "rev-parse", evil+"^{tree}"))
			return o.rewrite("commit", signed, trees.Replace)
		}, "", "its signature by " + ada.name + " is wrong, so it was changed after it was signed: ssh: signature did not verify" + signHint},
		{"two signatures", allowed, func(o *origin) string {
			return o.rewrite("commit", o.commitSigned(ada, "signed"), func(text string) string {
				return strings.Replace(text, "gpgsig ", "gpgsig x\ngpgsig ", 1)
			})
		}, "", "it has two signatures" + signHint},
		{"signature for a file", allowed, func(o *origin) string {
			unsigned := o.git(o.work, "cat-file", "commit", o.commit("for a file")) + "\n"
			key := strings.TrimPrefix(ada.config[3], "user.signingKey=")
			signature := runProgram(o.t, nil, unsigned, "ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", key)
			return o.rewrite("commit", "HEAD", func(text string) string {
				header := "gpgsig " + strings.ReplaceAll(strings.TrimSpace(signature), "\n", "\n ") + "\n"
				return strings.Replace(text, "\n\n", "\n"+header+"\n", 1)
			})
		}, "", "it was signed by " + ada.name + " for \"file\", not for git" + signHint},
		{"signature of another kind", allowed, func(o *origin) string {
			return o.rewrite("commit", "HEAD", func(text string) string {
				return strings.Replace(text, "\n\n", "\ngpgsig -----BEGIN SIGNED MESSAGE-----\n\n", 1)
			})
		}, "", "its signature is neither of SSH nor of OpenPGP" + signHint},
		{"not a signature", allowed, func(o *origin) string {
			return o.rewrite("commit", "HEAD", func(text string) string {
				return strings.Replace(text, "\n\n", "\ngpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n\n", 1)
			})
		}, "", "its SSH signature is malformed: ssh: short read" + signHint},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOrigin(t)
			commit := c.make(o)
			o.git(o.work, "push", "--quiet", "--force", "origin", commit+":refs/heads/main")
			want := ""
			if c.want != "" {
				want = "signature: commit " + commit[:12] + ": " + c.want
			}
			for _, address := range []string{o.bare, serve(t, gitHandler(t, o.root))} {
				expectSigned(t, gitsync.Options{
					URL: address, Ref: "main", Signatures: signature.Rules{Required: signature.Commit, SSHSigners: content([]byte(c.allowed))},
				}, c.signer, want)
			}
		})
	}
}

// expectSigned fetches the head and checks the signer, or else the error.
func expectSigned(t *testing.T, opts gitsync.Options, signer, want string) {
	t.Helper()
	repository := open(t, opts)
	revision, files, err := repository.Fetch(deadline(t), head(t, repository))
	if want != "" {
		wantError(t, err, kargo.Invalid, repository.Address(), want)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "signer", revision.Signer, signer)
	listing(t, files.FS)
}

func TestS09OpenPGP(t *testing.T) {
	t.Parallel()
	needGPG(t)
	const identity = "Ada Lovelace <ada@example.org>"
	ada, stranger := pgpSigningKey(t, identity, "never", ""), pgpSigningKey(t, "Eve <eve@example.org>", "never", "")
	both := func() string { return stranger.export(t) + "\nthe second one:\n" + ada.export(t) }
	revoked := pgpSigningKey(t, "Bob <bob@example.org>", "never", "")
	expired := pgpSigningKey(t, identity, "10d", "20240506T000000")
	shortened := pgpSigningKey(t, identity, "10d", "20240506T000000")
	o := newOrigin(t)
	for _, c := range []struct {
		name    string
		make    func() string // returns the commit
		allowed func() string // asked afterwards
		signer  string
		want    string
	}{
		{"allowed", func() string { return o.commitSigned(ada, "signed") }, both,
			identity + " (" + ada.name + ")", ""},
		{"another key", func() string { return o.commitSigned(stranger, "signed") }, func() string { return ada.export(t) },
			"", "it is signed with a key that is not allowed: " + stranger.name + unknownHint},
		{"tampered", func() string {
			return o.rewrite("commit", o.commitSigned(ada, "signed"), func(text string) string { return text + "and more\n" })
		}, both, "", "its signature by " + ada.name + " is wrong, so it was changed after it was signed: " +
			"openpgp: invalid signature: EdDSA verification failure" + signHint},
		{"expired since", func() string { return o.commitSigned(expired, "signed") }, func() string { return expired.export(t) },
			identity + " (" + expired.name + ")", ""},
		{"expired when it signed", func() string {
			shortened.setClock(t, "20240511T000000")
			commit := o.commitSigned(shortened, "signed")
			shortened.setClock(t, "20240506T010000")
			runProgram(t, nil, "", shortened.program, "--quick-set-expire", shortened.fingerprint(), "1d")
			return commit
		}, func() string { return shortened.export(t) }, "", shortened.name + " had expired when it signed" + signHint},
		{"revoked since", func() string { return o.commitSigned(revoked, "signed") }, func() string { return revoked.revoke(t) },
			"", revoked.name + " is revoked" + signHint},
	} {
		t.Run(c.name, func(t *testing.T) {
			commit := c.make()
			o.git(o.work, "push", "--quiet", "--force", "origin", commit+":refs/heads/main")
			want := ""
			if c.want != "" {
				want = "signature: commit " + commit[:12] + ": " + c.want
			}
			expectSigned(t, gitsync.Options{
				URL: o.bare, Ref: "main", Signatures: signature.Rules{Required: signature.Commit, PGPKeys: content([]byte(c.allowed()))},
			}, c.signer, want)
		})
	}
}

func TestS09SignedTags(t *testing.T) {
	t.Parallel()
	ada, stranger := sshSigningKey(t, "-t", "ed25519"), sshSigningKey(t, "-t", "ed25519")
	const by = "signature: tag "
	o := newOrigin(t)
	commit := o.commitSigned(ada, "signed")
	o.tagSigned(ada, "v1.0.0")
	o.tagSigned(stranger, "strange")
	o.git(o.work, "tag", "light")
	o.git(o.work, "tag", "--annotate", "--message", "unsigned", "unsigned")
	o.commit("unsigned")
	o.tagSigned(ada, "v1.1.0")
	o.git(o.work, "tag", "--annotate", "--message", "unsigned", "v2.0.0")
	old := o.git(o.work, "rev-parse", "v1.0.0")
	o.git(o.work, "update-ref", "refs/tags/v3.0.0", old) // an old tag called a new release
	o.git(o.work, "update-ref", "refs/tags/tampered", o.rewrite("tag", "v1.0.0", func(text string) string {
		return strings.Replace(text, "tag v1.0.0", "tag tampered", 1)
	}))
	o.git(o.work, "update-ref", "refs/tags/moved", o.rewrite("tag", "v1.0.0", func(text string) string {
		return strings.NewReplacer(commit, o.head(), "tag v1.0.0", "tag moved").Replace(text)
	}))
	o.push("main", "--tags")
	signer := "ada (" + ada.name + ")"
	for _, c := range []struct {
		ref        string
		signatures signature.Required
		signer     string
		want       string
	}{
		{"v1.0.0", signature.Tag, signer, ""},
		{"v1.0.0", signature.Both, signer, ""},
		{"v1.0.0", signature.Commit, signer, ""},
		{"refs/tags/v1.1.0", signature.Tag, signer, ""},
		{"v1.1.0", signature.Both, "", "signature: commit " + o.head()[:12] + ": it is not signed" + signHint},
		{"semver:~1", signature.Tag, signer, ""},
		{"semver:>=2", signature.Tag, "", by + "v3.0.0: it was signed as tag \"v1.0.0\"" + signHint},
		{"semver:~2", signature.Tag, "", by + "v2.0.0: it is not signed" + signHint},
		{"unsigned", signature.Tag, "", by + "unsigned: it is not signed" + signHint},
		{"light", signature.Tag, "", by + "light: it is not signed" + signHint},
		{"strange", signature.Tag, "", by + "strange: it is signed with a key that is not allowed: " + stranger.name + unknownHint},
		{"tampered", signature.Tag, "", by + "tampered: its signature by " + ada.name + " is wrong, so it was changed after it was signed: ssh: signature did not verify" + signHint},
		{"moved", signature.Tag, "", by + "moved: its signature by " + ada.name + " is wrong, so it was changed after it was signed: ssh: signature did not verify" + signHint},
		{"main", signature.Tag, "", "signature: main is not a tag, and signed tags are asked for (follow a tag or a range of versions, or have commits verified)"},
		{"", signature.Tag, "", "signature: main is not a tag, and signed tags are asked for (follow a tag or a range of versions, or have commits verified)"},
		{commit, signature.Commit, signer, ""},
		{commit, signature.Tag, "", "signature: HEAD is not a tag, and signed tags are asked for (follow a tag or a range of versions, or have commits verified)"},
	} {
		t.Run(c.ref+" "+string(c.signatures), func(t *testing.T) {
			for _, address := range []string{o.bare, serve(t, gitHandler(t, o.root))} {
				expectSigned(t, gitsync.Options{
					URL: address, Ref: c.ref, Signatures: signature.Rules{Required: c.signatures, SSHSigners: content([]byte("ada " + ada.public))},
				}, c.signer, c.want)
			}
		})
	}
}

// A tag is signed later, at the same commit: this is noticed.
func TestS09TagIsSignedLater(t *testing.T) {
	ada := sshSigningKey(t, "-t", "ed25519")
	o := newOrigin(t)
	o.git(o.work, "tag", "--annotate", "--message", "unsigned", "v1")
	o.push("v1")
	repository := open(t, gitsync.Options{
		URL: serve(t, gitHandler(t, o.root)), Ref: "v1", Signatures: signature.Rules{Required: signature.Tag, SSHSigners: content([]byte("ada " + ada.public))},
	})
	_, _, err := repository.Fetch(deadline(t), head(t, repository))
	wantError(t, err, kargo.Invalid, "ADDRESS", "signature: tag v1: it is not signed"+signHint)
	o.tagSigned(ada, "v1", "--force")
	revision, _ := sync(t, repository)
	wantText(t, "signer", revision.Signer, "ada ("+ada.name+")")
}

// A commit on disk stays there while the keys cannot be read: the remote may be
// unreachable, too.
func TestS09KeysThatAreAwayCostNoCommit(t *testing.T) {
	t.Parallel()
	ada := sshSigningKey(t, "-t", "ed25519")
	o := newOrigin(t)
	commit := o.commitSigned(ada, "signed")
	o.push("main")
	var away error
	repository := open(t, gitsync.Options{URL: serve(t, gitHandler(t, o.root)), Signatures: signature.Rules{
		Required: signature.Commit, SSHSigners: func() ([]byte, error) { return []byte("ada " + ada.public), away },
	}})
	sync(t, repository)
	if err := os.RemoveAll(o.bare); err != nil {
		t.Fatal(err)
	}
	away = errors.New("the secret is not mounted")
	if _, _, err := repository.Fetch(deadline(t), commit); kargo.FaultOf(err) != kargo.Unavailable {
		t.Errorf("without keys: %v", err)
	}
	away = nil
	if _, _, err := repository.Fetch(deadline(t), commit); err != nil {
		t.Errorf("what was on disk is gone with the remote: %v", err)
	}
}

// A key that was removed from the allowed signers no longer counts, also for a
// commit that was fetched and accepted before.
func TestS09StoredCommitsAreVerifiedAgain(t *testing.T) {
	t.Parallel()
	ada, bob := sshSigningKey(t, "-t", "ed25519"), sshSigningKey(t, "-t", "ed25519")
	o := newOrigin(t)
	commit := o.commitSigned(ada, "signed")
	o.push("main")
	allowed := "ada " + ada.public
	opts := gitsync.Options{
		URL: serve(t, gitHandler(t, o.root)), Dir: t.TempDir(),
		Signatures: signature.Rules{Required: signature.Commit, SSHSigners: func() ([]byte, error) { return []byte(allowed), nil }},
	}
	repository := open(t, opts)
	sync(t, repository)
	allowed = "bob " + bob.public
	want := "signature: commit " + commit[:12] + ": it is signed with a key that is not allowed: " + ada.name + unknownHint
	_, _, err := repository.Fetch(deadline(t), commit)
	wantError(t, err, kargo.Invalid, "ADDRESS", want)
	_, _, err = open(t, opts).Fetch(deadline(t), commit) // after a restart
	wantError(t, err, kargo.Invalid, "ADDRESS", want)
	allowed = "ada " + ada.public
	if _, _, err = repository.Fetch(deadline(t), commit); err != nil {
		t.Error(err)
	}
}
