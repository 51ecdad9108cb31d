package gitsync

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// upstream is a repository on another host, followed at one ref.
type upstream struct {
	remote  *wire.Remote
	tracked tracked
	limits  Limits
	timeout time.Duration // of a download
}

// session is a conversation with a repository that provides commits: a
// [wire.Session], or a local repository.
type session interface {
	Refs(ctx context.Context, visit func(wire.Ref)) (*capability.List, error)
	UploadPack(ctx context.Context, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
}

// find lists the refs and returns the tracked one. It returns what the other side
// supports, too.
func (t tracked) find(ctx context.Context, session session) (target, *capability.List, error) {
	choice := &choice{tracked: t}
	capabilities, err := session.Refs(ctx, choice.see)
	if err != nil {
		return target{}, nil, err
	}
	found, err := choice.choose(capabilities)
	return found, capabilities, err
}

func (u upstream) head(ctx context.Context) (found target, err error) {
	err = u.remote.Fetch(ctx, func(session *wire.Session) (err error) {
		found, _, err = u.tracked.find(ctx, session)
		return err
	})
	return found, err
}

// comesAfter asks the remote, because the history is not on disk.
func (u upstream) comesAfter(ctx context.Context, commit *object.Commit, ancestor plumbing.Hash) answer {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	result := unknown
	err := u.remote.Fetch(ctx, func(session *wire.Session) (err error) {
		result, err = askAncestor(ctx, session, commit.Hash, ancestor)
		return err
	})
	if err != nil {
		return unknown
	}
	return result
}

// askAncestor asks the remote: a client that wants a commit and has another one is
// answered "ready" if the wanted commit comes after the one it has, and only then
// (gitprotocol-pack(5), multi_ack_detailed). Nothing but these lines is sent.
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
		lines.Encodef("shallow %s\n", ancestor), lines.Flush(), // otherwise a common parent would be enough
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

// publish pushes a commit to a branch that is still at made.base.
func (u upstream) publish(ctx context.Context, branch plumbing.ReferenceName, made made) error {
	pack, err := packOf(made)
	if err != nil {
		return err
	}
	send := func(session *wire.Session) error {
		var at plumbing.Hash
		offered, err := session.Refs(ctx, func(ref wire.Ref) {
			if ref.Name == branch.String() {
				at = ref.Hash
			}
		})
		if err != nil {
			return err
		}
		if at != made.base {
			return errMoved
		}
		if !offered.Supports(capability.ReportStatus) {
			return errors.New("the server does not report the result of a push")
		}
		request := packp.NewReferenceUpdateRequestFromCapabilities(offered)
		request.Commands = []*packp.Command{{Name: branch, Old: made.base, New: made.commit}}
		request.Packfile = io.NopCloser(bytes.NewReader(pack))
		report, err := session.ReceivePack(ctx, request)
		return refusedPush(report, err)
	}
	err = u.remote.Push(ctx, send)
	if errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed) {
		return &kargo.Error{Fault: kargo.Unavailable, Hint: "give credentials that may push to the branch",
			Err: errors.New("the server does not allow this account to write")}
	}
	return err
}
