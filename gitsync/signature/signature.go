// Package signature checks who signed a commit or a tag, with an SSH key (as `git
// commit -S` does with gpg.format=ssh) or with an OpenPGP key. Files of the
// operator say which keys may sign; other keys on the machine are not used.
//
// It reads no repository. [Keys.CheckCommit] and [Keys.CheckTag] take the bytes of
// an object and return the name of the signer. For a commit they return the bytes
// that were signed, too: nothing else of the object may be read.
package signature

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Required says what of a revision must be signed by an allowed key.
type Required string

// What must be signed.
const (
	Nothing Required = ""
	Commit  Required = "commit" // the commit itself; not those before it
	Tag     Required = "tag"    // the tag that is followed, which names the commit
	Both    Required = "both"
)

// Rules say what must be signed, and by which keys.
type Rules struct {
	Required Required
	// SSHSigners returns an allowed signers file of OpenSSH, PGPKeys returns
	// armored public keys. They are called for each revision, so that a key that
	// was removed no longer counts; nil means that there is none.
	SSHSigners, PGPKeys func() ([]byte, error)
	// Repository, if it is set, is the repository that a signature must be meant for:
	// what was signed says it in the trailer [RepositoryTrailer].
	Repository string
}

// RepositoryTrailer is the line at the end of the message of a commit or tag that
// says for which repository it was signed: "Kargo-Repository: NAME".
const RepositoryTrailer = "Kargo-Repository"

// Validate returns an Invalid error where signatures are required and no keys are
// given to check them with, or the other way round.
func (r Rules) Validate() error {
	given := r.SSHSigners != nil || r.PGPKeys != nil
	switch r.Required {
	case Nothing:
		if r.Repository != "" {
			return invalid("a signature is to be meant for a repository, but not what has to be signed", "say commit, tag or both")
		}
		if given {
			return invalid("allowed keys are given, but not what has to be signed", "say commit, tag or both")
		}
		return nil
	case Commit, Tag, Both:
		if !given {
			return invalid("signatures are to be verified, but no keys are allowed", "give a file of allowed signers for SSH, a keyring for OpenPGP, or both")
		}
		return nil
	}
	return invalid("what has to be signed is neither commit, tag nor both", "")
}

func invalid(message, hint string) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "repository"}, Hint: hint, Err: errors.New(message)}
}

// OfCommits reports whether commits must be signed.
func (r Rules) OfCommits() bool { return r.Required == Commit || r.Required == Both }

// OfTags reports whether tags must be signed.
func (r Rules) OfTags() bool { return r.Required == Tag || r.Required == Both }

// Keys are the keys that may sign, as they were read.
type Keys struct {
	ssh        []sshAllowed
	pgp        pgpAllowed
	repository string
}

// Keys reads the allowed keys. An error is Unavailable: the operator's file may be
// there at the next attempt.
func (r Rules) Keys() (Keys, error) {
	keys := Keys{repository: r.Repository}
	if r.SSHSigners != nil {
		data, err := r.SSHSigners()
		if err == nil {
			keys.ssh, err = parseAllowedSigners(data)
		}
		if err != nil {
			return Keys{}, kargo.Errorf(kargo.Unavailable, "read the allowed signers: %w", err)
		}
	}
	if r.PGPKeys != nil {
		data, err := r.PGPKeys()
		if err == nil {
			keys.pgp, err = parseKeyring(data)
		}
		if err != nil {
			return Keys{}, kargo.Errorf(kargo.Unavailable, "read the OpenPGP keys: %w", err)
		}
	}
	return keys, nil
}

// CheckCommit checks the signature of a commit, given as git stores it. It returns
// the signer and the commit as it was signed. An error is Invalid.
func (k Keys) CheckCommit(hash plumbing.Hash, data []byte) (signer string, signed []byte, err error) {
	what := "commit " + kargo.RevisionID(hash.String()).Short()
	signed, signature, err := splitCommit(data)
	if err != nil {
		return "", nil, refuse(what, err)
	}
	commit := &object.Commit{}
	if err := commit.Decode(encoded(plumbing.CommitObject, signed)); err != nil {
		return "", nil, refuse(what, err)
	}
	signer, err = k.check(signed, signature, commit.Committer.When)
	if err == nil {
		err = k.meantForHere(commit.Message)
	}
	if err != nil {
		return "", nil, refuse(what, err)
	}
	return signer, signed, nil
}

// TagToCheck is a tag that was found in a repository.
type TagToCheck struct {
	Ref    plumbing.ReferenceName
	Object []byte        // as git stores it; nil for a lightweight tag
	Commit plumbing.Hash // the commit that the tag is expected to name
	// Peel follows tags and returns the commit that an object leads to.
	Peel func(plumbing.Hash) (plumbing.Hash, error)
}

// CheckTag checks the signature of a tag and returns the signer. The name is part
// of what was signed, so an old tag does not become a new release under another
// name. An error is Invalid.
func (k Keys) CheckTag(tag TagToCheck) (signer string, err error) {
	name := tag.Ref.Short()
	if !tag.Ref.IsTag() {
		return "", &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "signature"}, Hint: "follow a tag or a range of versions, or have commits verified",
			Err: fmt.Errorf("%s is not a tag, and signed tags are asked for", name)}
	}
	what := "tag " + kargo.PrintableLine(name)
	payload, signature := splitTag(tag.Object)
	if len(signature) == 0 {
		return "", refuse(what, errUnsigned)
	}
	signed := &object.Tag{}
	if err := signed.Decode(encoded(plumbing.TagObject, payload)); err != nil {
		return "", refuse(what, err)
	}
	if signed.Name != name {
		return "", refuse(what, fmt.Errorf("it was signed as tag %q", kargo.PrintableLine(signed.Name)))
	}
	if commit, err := tag.Peel(signed.Target); err != nil || commit != tag.Commit {
		return "", refuse(what, errors.New("it was signed for another commit"))
	}
	signer, err = k.check(payload, signature, signed.Tagger.When)
	if err == nil {
		err = k.meantForHere(signed.Message)
	}
	if err != nil {
		return "", refuse(what, err)
	}
	return signer, nil
}

// errElsewhere is the error of what was signed for another repository, or for none.
type errElsewhere struct{ wanted string }

func (e *errElsewhere) Error() string {
	return fmt.Sprintf("it was not signed for this repository: its message has no line %q at its end", RepositoryTrailer+": "+e.wanted)
}

// meantForHere returns an error if a signed message does not name the repository, in
// its last paragraph as git's own trailers.
func (k Keys) meantForHere(message string) error {
	if k.repository == "" {
		return nil
	}
	message = strings.TrimSpace(message)
	last := message[strings.LastIndex(message, "\n\n")+1:]
	for line := range strings.Lines(last) {
		name, value, _ := strings.Cut(line, ":")
		if name == RepositoryTrailer && strings.TrimSpace(value) == k.repository {
			return nil
		}
	}
	return &errElsewhere{k.repository}
}

// encoded returns bytes as an object that go-git can decode.
func encoded(kind plumbing.ObjectType, data []byte) plumbing.EncodedObject {
	memory := &plumbing.MemoryObject{}
	memory.SetType(kind)
	_, _ = memory.Write(data) // into memory: it cannot fail
	return memory
}

var errUnsigned = errors.New("it is not signed")

// refuse returns an Invalid error: the revision is not applied, and the one in
// force stays in force.
func refuse(what string, err error) error {
	hint := "sign it with a key that is allowed here"
	switch {
	case errors.As(err, new(*unknownKey)):
		hint = "if you know that key and trust it, add it to the allowed ones"
	case errors.As(err, new(*errElsewhere)):
		hint = "git commit --trailer adds it; see --verify-repository"
	}
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "signature"}, Hint: hint, Err: fmt.Errorf("%s: %w", what, err)}
}

// unknownKey is the error of a signature by a key that is not allowed.
type unknownKey struct{ name string }

func (u *unknownKey) Error() string { return "it is signed with a key that is not allowed: " + u.name }

// check verifies a signature of either kind. at is when it was made, by the
// signer's clock.
func (k Keys) check(payload, signature []byte, at time.Time) (signer string, err error) {
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

// The first lines of signatures, by which git recognizes their kind.
const (
	beginSSH        = "-----BEGIN SSH SIGNATURE-----"
	beginPGP        = "-----BEGIN PGP SIGNATURE-----"
	beginPGPMessage = "-----BEGIN PGP MESSAGE-----"
	beginX509       = "-----BEGIN SIGNED MESSAGE-----"
)

// splitCommit takes the signature out of a commit's headers. The payload is what
// was signed, byte for byte.
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
		case "gpgsig-sha256": // signs the same commit in a SHA-256 repository
		default:
			payload = append(payload, line...)
		}
	}
	return append(append(payload, '\n'), message...), signature, nil
}

// splitTag takes the signature from the end of a tag's message.
func splitTag(data []byte) (payload, signature []byte) {
	start := len(data)
	for _, begin := range []string{beginSSH, beginPGP, beginPGPMessage, beginX509} {
		if at := bytes.LastIndex(data, []byte("\n"+begin)); at >= 0 && (start == len(data) || at+1 > start) {
			start = at + 1
		}
	}
	return data[:start], data[start:]
}
