package gitsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"kargo"
	"kargo/gitsync/wire"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"
)

// push sends a commit to the remote, which moves the branch if it is still
// where the commit begins.
func (r *Repository) push(ctx context.Context, branch plumbing.ReferenceName, made made) error {
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
			return errors.New("the server does not tell what becomes of a push")
		}
		request := packp.NewReferenceUpdateRequestFromCapabilities(offered)
		request.Commands = []*packp.Command{{Name: branch, Old: made.base, New: made.commit}}
		request.Packfile = io.NopCloser(bytes.NewReader(pack))
		report, err := session.ReceivePack(ctx, request)
		return refusedPush(report, err)
	}
	err = r.remote.Push(ctx, send)
	if errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed) {
		return &kargo.Error{Fault: kargo.Unavailable, Hint: "give credentials that may push to the branch",
			Err: errors.New("the server does not let this account write")}
	}
	return err
}

// refusedPush puts into words why a server did not take a push. Somebody who
// pushes at the same moment is no reason to give up.
func refusedPush(report *packp.ReportStatus, err error) error {
	if report == nil || err == nil {
		return err
	}
	for _, status := range report.CommandStatuses {
		for _, race := range []string{"fetch first", "non-fast-forward", "failed to update ref", "incorrect old value", "stale info", "failed to lock"} {
			if strings.Contains(status.Status, race) {
				return errMoved
			}
		}
		if status.Error() != nil {
			return &kargo.Error{Fault: kargo.Unavailable, Hint: "is the branch protected?",
				Err: fmt.Errorf("the server refuses the push: %s", status.Status)}
		}
	}
	return err
}

// packOf is the new objects of a commit as git sends them.
func packOf(made made) ([]byte, error) {
	storage := memory.NewStorage()
	var hashes []plumbing.Hash
	for _, object := range made.objects {
		hash, err := storage.SetEncodedObject(object)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	var pack bytes.Buffer
	_, err := packfile.NewEncoder(&pack, storage, false).Encode(hashes, 0)
	return pack.Bytes(), err
}
