package gitsync

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// answer to a question that cannot always be answered.
type answer int

const (
	unknown answer = iota
	yes
	no
)

// rewrote is the commit that a branch was at before, if the present one does
// not come after it: somebody pushed by force. Where that cannot be known it is
// empty, which claims nothing.
func (r *Repository) rewrote(ctx context.Context, objects storer.EncodedObjectStorer, found target) string {
	before := r.last
	if before.commit.IsZero() || before.commit == found.commit || before.name != found.name || !found.name.IsBranch() {
		return ""
	}
	commit, err := object.GetCommit(objects, found.commit)
	if err != nil || slices.Contains(commit.ParentHashes, before.commit) {
		return ""
	}
	if r.comesAfter(ctx, commit, before.commit) == no {
		return before.commit.String()
	}
	return ""
}

// comesAfter tells whether a commit has another one among its ancestors. Where
// the history is at hand it is looked through; where it is not, the remote is
// asked.
func (r *Repository) comesAfter(ctx context.Context, commit *object.Commit, ancestor plumbing.Hash) answer {
	if r.address.IsLocal() || r.opts.History {
		return lookThrough(commit, ancestor)
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	result := unknown
	err := r.remote.Fetch(ctx, func(session *wire.Session) (err error) {
		result, err = askAncestor(ctx, session, commit.Hash, ancestor)
		return err
	})
	if err != nil {
		return unknown
	}
	return result
}

func lookThrough(commit *object.Commit, ancestor plumbing.Hash) answer {
	result := no
	err := object.NewCommitPreorderIter(commit, nil, nil).ForEach(func(c *object.Commit) error {
		if c.Hash == ancestor {
			result = yes
			return storer.ErrStop
		}
		return nil
	})
	if err != nil {
		return unknown
	}
	return result
}

// askAncestor lets the remote tell: whoever wants a commit and has another one
// hears "ready" as soon as what he wants comes after what he has, and only then
// (gitprotocol-pack(5), multi_ack_detailed). Nothing is sent but these lines.
func askAncestor(ctx context.Context, session *wire.Session, commit, ancestor plumbing.Hash) (answer, error) {
	offered, err := session.Refs(ctx, func(wire.Ref) {})
	if err != nil {
		return unknown, err
	}
	if !offered.Supports(capability.MultiACKDetailed) || !offered.Supports(capability.Shallow) {
		return unknown, nil
	}
	var question bytes.Buffer
	lines := pktline.NewEncoder(&question)
	err = errors.Join(
		lines.Encodef("want %s %s %s\n", commit, capability.MultiACKDetailed, capability.Shallow),
		lines.Encodef("shallow %s\n", ancestor), lines.Flush(), // or having the same parent would be enough
		lines.Encodef("have %s\n", ancestor), lines.Flush())
	if err != nil {
		return unknown, err
	}
	reply, err := session.Ask(ctx, question.Bytes())
	if err != nil {
		return unknown, err
	}
	defer reply.Close()
	scanner := pktline.NewScanner(reply)
	for scanner.Scan() {
		switch line := strings.TrimSpace(string(scanner.Bytes())); {
		case line == "ACK "+ancestor.String()+" ready":
			return yes, nil
		case line == "NAK":
			return no, nil
		case !strings.HasPrefix(line, "ACK "):
			return unknown, nil
		}
	}
	return unknown, scanner.Err()
}
