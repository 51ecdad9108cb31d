package gitsync

import (
	"bytes"
	"fmt"
	"strings"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/storage/memory"
)

// refusedPush returns the reason why a server refused a push. If somebody else
// pushed at the same moment it is errMoved, and the push can be tried again.
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

// packOf returns the new objects of a commit as git sends them.
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
