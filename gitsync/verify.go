package gitsync

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// Signatures says what of a revision has to be signed by an allowed key.
type Signatures string

// What has to be signed.
const (
	SignedNothing Signatures = ""
	SignedCommit  Signatures = "commit" // the commit itself; not those before it
	SignedTag     Signatures = "tag"    // the tag that is followed, and by it the commit
	SignedBoth    Signatures = "both"
)

// checkSignatures refuses settings of which one says to verify and another
// that there is nothing to verify with, or the other way round.
func checkSignatures(opts Options) error {
	keys := opts.SSHSigners != nil || opts.PGPKeys != nil
	switch opts.Signatures {
	case SignedNothing:
		if keys {
			return invalid("allowed keys are given, but not what has to be signed", "say commit, tag or both")
		}
		return nil
	case SignedCommit, SignedTag, SignedBoth:
		if !keys {
			return invalid("signatures are to be verified, but no keys are allowed", "give a file of allowed signers for SSH, a keyring for OpenPGP, or both")
		}
		return nil
	}
	return invalid("what has to be signed is neither commit, tag nor both", "")
}

// verify checks the signatures that Options.Signatures asks for with the keys
// as they are now. It answers who signed, and the commit as it was signed:
// nothing else of the object is to be read.
func (r *Repository) verify(objects storer.EncodedObjectStorer, found target, commit []byte) (signer string, signed []byte, err error) {
	if r.opts.Signatures == SignedNothing {
		return "", commit, nil
	}
	keys, err := r.allowedKeys()
	if err != nil {
		return "", nil, err
	}
	var signers []string
	if r.opts.Signatures != SignedCommit {
		tagger, err := keys.verifyTag(objects, found)
		if err != nil {
			return "", nil, err
		}
		signers = append(signers, tagger)
	}
	if r.opts.Signatures != SignedTag {
		author, payload, err := keys.verifyCommit(found.commit, commit)
		if err != nil {
			return "", nil, err
		}
		commit = payload
		if len(signers) == 0 || signers[0] != author {
			signers = append(signers, author)
		}
	}
	return strings.Join(signers, "; "), commit, nil
}

// allowedKeys are the keys that may sign.
type allowedKeys struct {
	ssh []sshAllowed
	pgp pgpAllowed
}

// allowedKeys reads the keys anew: who was taken out no longer counts.
func (r *Repository) allowedKeys() (keys allowedKeys, err error) {
	if r.opts.SSHSigners != nil {
		data, err := r.opts.SSHSigners()
		if err != nil {
			return keys, unreadable("the allowed signers", err)
		}
		if keys.ssh, err = parseAllowedSigners(data); err != nil {
			return keys, unreadable("the allowed signers", err)
		}
	}
	if r.opts.PGPKeys != nil {
		data, err := r.opts.PGPKeys()
		if err != nil {
			return keys, unreadable("the OpenPGP keys", err)
		}
		if keys.pgp, err = parseKeyring(data); err != nil {
			return keys, unreadable("the OpenPGP keys", err)
		}
	}
	return keys, nil
}

func (k allowedKeys) verifyCommit(hash plumbing.Hash, data []byte) (signer string, payload []byte, err error) {
	what := "commit " + kargo.RevisionID(hash.String()).Short()
	payload, signature, err := splitCommit(data)
	if err != nil {
		return "", nil, refuseSignature(what, err)
	}
	commit := &object.Commit{}
	if err := commit.Decode(encoded(plumbing.CommitObject, payload)); err != nil {
		return "", nil, refuseSignature(what, err)
	}
	signer, err = k.verifySignature(payload, signature, commit.Committer.When)
	if err != nil {
		return "", nil, refuseSignature(what, err)
	}
	return signer, payload, nil
}

// verifyTag checks the tag that names the commit. The name is part of what was
// signed: an old tag does not become a new release by being called so.
func (k allowedKeys) verifyTag(objects storer.EncodedObjectStorer, found target) (signer string, err error) {
	if !found.name.IsTag() {
		return "", &kargo.Error{Fault: kargo.Invalid, Where: "signature", Hint: "follow a tag or a range of versions, or have commits verified",
			Err: fmt.Errorf("%s is not a tag, and signed tags are asked for", found.name.Short())}
	}
	what := "tag " + kargo.PrintableLine(found.name.Short())
	if found.want == found.commit {
		return "", refuseSignature(what, errUnsigned)
	}
	data, err := readObject(objects, plumbing.TagObject, found.want)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	payload, signature := splitTag(data)
	tag := &object.Tag{}
	if err := tag.Decode(encoded(plumbing.TagObject, payload)); err != nil {
		return "", refuseSignature(what, err)
	}
	if tag.Name != found.name.Short() {
		return "", refuseSignature(what, fmt.Errorf("it was signed as tag %q", kargo.PrintableLine(tag.Name)))
	}
	if to, err := peel(objects, tag.Target); err != nil || to != found.commit {
		return "", refuseSignature(what, errors.New("it was signed for another commit"))
	}
	if signer, err = k.verifySignature(payload, signature, tag.Tagger.When); err != nil {
		return "", refuseSignature(what, err)
	}
	return signer, nil
}

var errUnsigned = errors.New("it is not signed")

// refuseSignature is Invalid: the revision is not applied, and what is in force
// stays so.
func refuseSignature(what string, err error) error {
	hint := "sign it with a key that is allowed here"
	var unknown *unknownKey
	if errors.As(err, &unknown) {
		hint = "if you know that key and trust it, add it to the allowed ones"
	}
	return &kargo.Error{Fault: kargo.Invalid, Where: "signature", Hint: hint, Err: fmt.Errorf("%s: %w", what, err)}
}

// unknownKey made a signature and is not allowed to.
type unknownKey struct{ name string }

func (u *unknownKey) Error() string { return "it is signed with a key that is not allowed: " + u.name }

// verifySignature checks one signature, of whichever kind, made at a time.
func (k allowedKeys) verifySignature(payload, signature []byte, at time.Time) (signer string, err error) {
	switch {
	case len(signature) == 0:
		return "", errUnsigned
	case bytes.HasPrefix(signature, []byte(beginSSH)):
		return verifySSH(k.ssh, payload, signature, at)
	case bytes.HasPrefix(signature, []byte(beginPGP)), bytes.HasPrefix(signature, []byte(beginPGPMessage)):
		return k.pgp.verify(payload, signature)
	}
	return "", errors.New("its signature is neither of SSH nor of OpenPGP")
}

// How signatures begin; git tells them apart by these lines.
const (
	beginSSH        = "-----BEGIN SSH SIGNATURE-----"
	beginPGP        = "-----BEGIN PGP SIGNATURE-----"
	beginPGPMessage = "-----BEGIN PGP MESSAGE-----"
	beginX509       = "-----BEGIN SIGNED MESSAGE-----"
)

// splitCommit takes the signature out of a commit's headers. What is left,
// byte for byte, is what was signed.
func splitCommit(data []byte) (payload, signature []byte, err error) {
	headers, message, _ := bytes.Cut(data, []byte("\n\n"))
	within, seen := "", map[string]bool{}
	for line := range bytes.Lines(append(bytes.Clone(headers), '\n')) {
		name, value, _ := bytes.Cut(line, []byte(" "))
		if len(name) > 0 {
			within = string(name)
			if strings.HasPrefix(within, "gpgsig") && seen[within] {
				return nil, nil, errors.New("it has two signatures")
			}
			seen[within] = true
		}
		switch within {
		case "gpgsig":
			signature = append(signature, value...)
		case "gpgsig-sha256": // for the same commit under another hash
		default:
			payload = append(payload, line...)
		}
	}
	return append(append(payload, '\n'), message...), signature, nil
}

// splitTag takes the signature off the end of a tag's message.
func splitTag(data []byte) (payload, signature []byte) {
	start := len(data)
	for _, begin := range []string{beginSSH, beginPGP, beginPGPMessage, beginX509} {
		if at := bytes.LastIndex(data, []byte("\n"+begin)); at >= 0 && (start == len(data) || at+1 > start) {
			start = at + 1
		}
	}
	return data[:start], data[start:]
}
