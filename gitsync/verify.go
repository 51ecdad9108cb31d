package gitsync

import (
	"fmt"
	"strings"

	"kargo/gitsync/signature"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// verify checks the signatures that Options.Signatures requires with the keys as
// they are now. It returns who signed, and the commit as it was signed: nothing
// else of the object may be read.
func (r *Repository) verify(objects storer.EncodedObjectStorer, found target, commit []byte) (signer string, signed []byte, err error) {
	rules := r.opts.Signatures
	if rules.Required == signature.Nothing {
		return "", commit, nil
	}
	keys, err := rules.Keys()
	if err != nil {
		return "", nil, err
	}
	var signers []string
	if rules.OfTags() {
		tagger, err := verifyTag(keys, objects, found)
		if err != nil {
			return "", nil, err
		}
		signers = append(signers, tagger)
	}
	if rules.OfCommits() {
		author, payload, err := keys.CheckCommit(found.commit, commit)
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

func verifyTag(keys signature.Keys, objects storer.EncodedObjectStorer, found target) (signer string, err error) {
	tag := signature.TagToCheck{
		Ref: found.name, Commit: found.commit,
		Peel: func(hash plumbing.Hash) (plumbing.Hash, error) { return peel(objects, hash) },
	}
	if found.name.IsTag() && found.want != found.commit {
		if tag.Object, err = readObject(objects, plumbing.TagObject, found.want); err != nil {
			return "", fmt.Errorf("read tag %s: %w", found.name.Short(), err)
		}
	}
	return keys.CheckTag(tag)
}
