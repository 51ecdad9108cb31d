package gitsync

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// request is a request for a pack.
type request struct {
	offered *capability.List // what the remote supports
	want    plumbing.Hash
	haves   []plumbing.Hash // these and their ancestors are on disk
	depth   int             // number of commits; 0 means all
	filter  packp.Filter    // which objects are left out; empty means none
	base    *base           // is on disk without history; nil means nothing is
}

func (r request) encode() (*packp.UploadPackRequest, error) {
	request := packp.NewUploadPackRequestFromCapabilities(r.offered)
	request.Wants, request.Haves = []plumbing.Hash{r.want}, r.haves
	if r.base != nil {
		request.Haves, request.Shallows = append(request.Haves, r.base.commit), r.base.shallows
	} else {
		request.Capabilities.Delete(capability.ThinPack)
	}
	if len(request.Haves) > 0 { // go-git cannot decode the answers to haves; see wire
		request.Capabilities.Delete(capability.MultiACK)
		request.Capabilities.Delete(capability.MultiACKDetailed)
	}
	var err error
	if r.depth > 0 && r.offered.Supports(capability.Shallow) {
		request.Depth = packp.DepthCommits(r.depth)
		err = request.Capabilities.Set(capability.Shallow)
	}
	if r.filter != "" {
		request.Filter = r.filter
		err = errors.Join(err, request.Capabilities.Set(capability.Filter))
	}
	if r.offered.Supports(capability.NoProgress) {
		err = errors.Join(err, request.Capabilities.Set(capability.NoProgress))
	}
	return request, err
}

// requestPack writes the requested pack to a file, and returns the commits at which
// the history is cut off.
func requestPack(ctx context.Context, path string, session session, wanted request) ([]plumbing.Hash, error) {
	request, err := wanted.encode()
	if err != nil {
		return nil, err
	}
	response, err := session.UploadPack(ctx, request)
	if err != nil {
		return nil, err
	}
	defer response.Close()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(file, unwrap(response, request.Capabilities))
	return response.Shallows, errors.Join(err, file.Close())
}

// unwrap takes the pack out of the sideband in which it may be sent.
func unwrap(response io.Reader, agreed *capability.List) io.Reader {
	switch {
	case agreed.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, response)
	case agreed.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, response)
	}
	return response
}

func storePack(storage *filesystem.Storage, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return packfile.UpdateObjectStorage(storage, file)
}

// unpacked is what packs unpack to.
type unpacked struct {
	objects int64
	bytes   int64
}

// within returns an error if there is more of it than a commit may have.
func (u unpacked) within(limits Limits) error {
	// The root, the commit and tags are objects, too.
	const others = 16
	switch {
	case u.objects > int64(limits.Files)+others:
		return tooMuch("%d files and directories, the limit is %d", u.objects, limits.Files)
	case u.bytes > limits.Bytes:
		return tooMuch("more than %d bytes", limits.Bytes)
	}
	return nil
}

// checkPack refuses a pack that would unpack to more than the limits. go-git holds
// every object of a pack in memory once, and a few kilobytes can unpack to
// gigabytes, so this comes first. With history, only the size of each object is
// bounded: not all of its files exist at once. It returns what the pack unpacks to.
func checkPack(path string, limits Limits, history bool) (unpacked, error) {
	all, err := unpackedBy(path, limits, history)
	if err != nil && kargo.FaultOf(err) == kargo.Invalid { // and not because of a byte that arrived as another one
		err = cmp.Or(checkSum(path), err)
	}
	return all, err
}

// checkSum compares a pack with the checksum at its end.
func checkSum(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	sum, end := sha1.New(), make([]byte, packTrailer)
	if _, err := io.CopyN(sum, file, info.Size()-packTrailer); err != nil {
		return fmt.Errorf("read the checksum of the pack: %w", err)
	}
	if _, err := io.ReadFull(file, end); err != nil {
		return fmt.Errorf("read the checksum of the pack: %w", err)
	}
	if !bytes.Equal(sum.Sum(nil), end) {
		return errors.New("the pack was damaged on its way: its checksum is another one")
	}
	return nil
}

// unpackedBy returns what a pack unpacks to, up to where that is too much.
func unpackedBy(path string, limits Limits, history bool) (unpacked, error) {
	file, err := os.Open(path)
	if err != nil {
		return unpacked{}, err
	}
	defer file.Close()
	scanner := packfile.NewScanner(file)
	_, count, err := scanner.Header()
	if err != nil {
		return unpacked{}, err
	}
	all := unpacked{objects: int64(count)}
	if !history {
		err = all.within(limits)
	}
	for i := 0; i < int(count) && err == nil; i++ {
		var size int64
		if size, err = objectSize(scanner, limits.File); err != nil {
			break
		}
		if all.bytes += size; !history {
			err = all.within(limits)
		}
	}
	return all, err
}

// objectSize returns the unpacked size of the next object of the scanner.
func objectSize(scanner *packfile.Scanner, limit int64) (int64, error) {
	header, err := scanner.NextObjectHeader()
	if err != nil {
		return 0, err
	}
	size := header.Length
	start := &head{limit: 2 * binary.MaxVarintLen64}
	if size <= limit {
		if _, _, err := scanner.NextObject(start); err != nil {
			return 0, err
		}
	}
	if header.Type.IsDelta() && size <= limit {
		// A delta begins with the size of its base and the size of its result.
		varints := bytes.NewReader(start.kept)
		_, err := binary.ReadUvarint(varints)
		made, err2 := binary.ReadUvarint(varints)
		if errors.Join(err, err2) != nil || int64(made) < 0 {
			return 0, packfile.ErrMalformedPackFile
		}
		size = max(size, int64(made))
	}
	if size > limit {
		return 0, tooMuch("a file of %d bytes, the limit is %d", size, limit)
	}
	return size, nil
}

// head keeps the first bytes of what is written to it.
type head struct {
	limit int
	kept  []byte
}

func (h *head) Write(data []byte) (int, error) {
	h.kept = append(h.kept, data[:min(len(data), h.limit-len(h.kept))]...)
	return len(data), nil
}

// tooMuch returns the error of an exceeded limit. It is Invalid: the workspace
// must change.
func tooMuch(format string, args ...any) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "repository"},
		Hint: "keep data out of the workspace, or raise the limit",
		Err:  fmt.Errorf("the commit holds "+format, args...)}
}
