package gitsync_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/signature"
)

// signedBy are the options of a repository whose commits are signed with a key.
func signedBy(key signingKey, address string) gitsync.Options {
	return gitsync.Options{URL: address, Ref: "main",
		Signatures: signature.Rules{Required: signature.Commit, SSHSigners: content([]byte("ada " + key.public))}}
}

// Only a commit that comes after the one in force may follow it, however its remote
// is reached, and however the history is kept.
func TestS46_OnlyWhatComesAfter(t *testing.T) {
	t.Parallel()
	ada := sshSigningKey(t, "-t", "ed25519")
	o := newOrigin(t)
	o.git(o.bare, "config", "uploadpack.allowFilter", "true")
	o.git(o.bare, "config", "uploadpack.allowAnySHA1InWant", "true")
	second := o.commitSigned(ada, "second")
	third := o.commitSigned(ada, "third")
	for i := range 80 { // more than are asked for first
		o.git(o.work, "commit", "--quiet", "--allow-empty", "--message", fmt.Sprint(i))
	}
	late := o.commitSigned(ada, "late")
	o.git(o.work, "checkout", "--quiet", "-b", "side", second)
	side := o.commitSigned(ada, "side")
	o.git(o.work, "checkout", "--quiet", "main")
	o.git(o.work, append(ada.config, "merge", "--quiet", "--no-ff", "--gpg-sign", "--message", "merged", "side")...)
	merged := o.head()
	o.git(o.work, "checkout", "--quiet", "--orphan", "other")
	other := o.commitSigned(ada, "other")
	o.push("main", "side", "other")

	const approve = " (if it is meant, approve it: kargo approve "
	older := func(newer, inForce string) string {
		return "signature: commit " + newer[:12] + " does not come after " + inForce[:12] +
			", which is in force: it is older, or of another branch" + approve + newer[:12] + ")"
	}
	for _, c := range []struct{ name, inForce, next, want string }{
		{"the same", third, third, ""},
		{"nothing in force", "", second, ""},
		{"a directory in force", "dir-0123456789", second, ""},
		{"the next one", second, third, ""},
		{"much later", second, late, ""},
		{"by a merge", side, merged, ""},
		{"the main line of a merge", third, merged, ""},
		{"older", third, second, older(second, third)},
		{"much older", late, second, older(second, late)},
		{"another branch", third, side, older(side, third)},
		{"before the merge", merged, side, older(side, merged)},
		{"another history", third, other, older(other, third)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for remote, opts := range map[string]gitsync.Options{
				"local": signedBy(ada, o.bare), "http": signedBy(ada, serve(t, gitHandler(t, o.root))), "http with history": signedBy(ada, serve(t, gitHandler(t, o.root))),
			} {
				opts.Ref = c.next
				opts.History = remote == "http with history"
				repository := open(t, opts)
				err := repository.CheckAfter(deadline(t), c.inForce, c.next)
				if c.want == "" {
					if err != nil {
						t.Errorf("%s: %v", remote, err)
					}
					continue
				}
				wantError(t, err, kargo.Invalid, repository.Address(), c.want)
				opts.AllowRewind = true
				if err := open(t, opts).CheckAfter(deadline(t), c.inForce, c.next); err != nil {
					t.Errorf("%s, with AllowRewind: %v", remote, err)
				}
				opts.AllowRewind, opts.Signatures = false, signature.Rules{}
				if err := open(t, opts).CheckAfter(deadline(t), c.inForce, c.next); err != nil {
					t.Errorf("%s, without signatures: %v", remote, err)
				}
			}
		})
	}
}

// What the host does not show counts as not so.
func TestS46_WhatCannotBeProvenIsRefused(t *testing.T) {
	t.Parallel()
	ada := sshSigningKey(t, "-t", "ed25519")
	o := newOrigin(t)
	first := o.commitSigned(ada, "first")
	second := o.commitSigned(ada, "second")
	third := o.commitSigned(ada, "third")
	o.push("main")
	for _, c := range []struct{ name, filter, inForce, want string }{
		{"no filter", "false", first, "signature: commit " + third[:12] + " does not come after " + first[:12] +
			", which is in force: it cannot be shown, because the host does not provide commits without files" +
			" (with --depth 0 the history is here; if it is meant, approve it: kargo approve " + third[:12] + ")"},
		{"the parent needs no filter", "false", second, ""},
		{"filter", "true", first, ""},
		{"history cut off", "cut", first, "signature: commit " + third[:12] + " does not come after " + first[:12] +
			", which is in force: its history does not show it, as far as 20000 commits of it are here (if it is meant, approve it: kargo approve " + third[:12] + ")"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.filter == "cut" { // the served repository pretends that history begins at the head
				o.git(o.bare, "config", "uploadpack.allowFilter", "true")
				if err := os.WriteFile(filepath.Join(o.bare, "shallow"), []byte(third+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				o.git(o.bare, "config", "uploadpack.allowFilter", c.filter)
			}
			repository := open(t, signedBy(ada, serve(t, gitHandler(t, o.root))))
			sync(t, repository)
			err := repository.CheckAfter(deadline(t), c.inForce, third)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, kargo.Invalid, repository.Address(), c.want)
		})
	}
}

// A signature for another repository does not count where the operator names one.
func TestS46_SignedForThisRepository(t *testing.T) {
	t.Parallel()
	ada := sshSigningKey(t, "-t", "ed25519")
	o := newOrigin(t)
	const trailer = "Kargo-Repository: "
	elsewhere := ": it was not signed for this repository: its message has no line \"Kargo-Repository: ops/platform\" at its end" +
		" (git commit --trailer adds it; see --verify-repository)"
	for _, c := range []struct {
		message string
		right   bool
	}{
		{"Deploy", false},
		{"Deploy\n\n" + trailer + "ops/platform", true},
		{"Deploy\n\nWhy.\n\nSigned-off-by: Ada\n" + trailer + " ops/platform \n", true},
		{"Deploy\n\n" + trailer + "ops/other\n" + trailer + "ops/platform", true},
		{"Deploy\n\n" + trailer + "ops/other", false},
		{"Deploy\n\n" + trailer + "ops/platform-2", false},
		{"Deploy\n\n" + trailer + "ops/platform\n\nand more", false},
	} {
		commit := o.commitSigned(ada, c.message)
		o.tagSigned(ada, "v"+commit, "--message", c.message, "--force")
		o.push("main")
		want := ""
		if !c.right {
			want = "signature: commit " + commit[:12] + elsewhere
		}
		opts := signedBy(ada, o.bare)
		opts.Signatures.Repository = "ops/platform"
		expectSigned(t, opts, "ada ("+ada.name+")", want)
		opts.Ref, opts.Signatures.Required = "v"+commit, signature.Tag
		if !c.right {
			want = "signature: tag v" + commit + elsewhere
		}
		expectSigned(t, opts, "ada ("+ada.name+")", want)
	}
}
