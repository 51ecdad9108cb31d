package gitsync

import (
	"bufio"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// A commit is fetched on top of one that is on disk: the remote is told of that one, and
// sends only objects that it does not have. The new directory links the packs of the other
// one, so each directory stays complete by itself, and may be removed alone.
//
// A server leaves shared objects out of a commit without history only if it may send a
// thin pack: deltas in it may refer to objects of the other commit. go-git cannot store
// such a pack. So these objects are put in front of it.

const (
	// mostPacksOfCommit is how many packs the directory of a commit may have. The next
	// commit is fetched as a whole then: each pack makes reading a little slower, and may
	// have objects that the commit does not need any more.
	mostPacksOfCommit = 32
	// smallIncrements is up to how many bytes of increments a directory may have whose
	// first pack is small. It may have as many as its first pack otherwise.
	smallIncrements = 1 << 20
)

// errIncrement is the error of a fetch on top of another commit. The commit may still be
// fetched as a whole.
var errIncrement = errors.New("fetch what is new")

// base is a commit on disk on top of which another one is fetched.
type base struct {
	commit  plumbing.Hash
	packs   string // the directory of its packs
	objects *filesystem.Storage
	// shallows is the commit, if its history is cut off there. Otherwise the remote would
	// leave out what only earlier commits have.
	shallows []plumbing.Hash
	unpacked unpacked // all of its packs
}

// base returns the commit on top of which the next one is fetched: the one that was used
// last. It returns nil if the next one is to be fetched as a whole.
func (s snapshots) base() *base {
	commit, known := s.store.newest()
	if !known || s.store.distrusted() {
		return nil
	}
	dir := s.store.path(commit)
	found := &base{commit: plumbing.NewHash(commit), packs: filepath.Join(dir, "objects", "pack"), objects: openStorage(dir)}
	if tooManyPacks(found.packs) || !holds(found.objects, found.commit) {
		return nil
	}
	shallows, err := found.objects.Shallow()
	if err != nil {
		return nil
	}
	if slices.Contains(shallows, found.commit) {
		found.shallows = []plumbing.Hash{found.commit}
	}
	if found.unpacked, err = readUnpacked(dir); err != nil {
		return nil // an earlier version fetched it, or it is damaged
	}
	return found
}

// errManyBytes is the error of a commit that may have more than the limits allow. Packs
// may have objects that it does not need, so only the whole commit tells.
var errManyBytes = errors.New("all packs together have more than a commit may have")

// with returns what the packs of the base and another one unpack to. What was fetched at
// once is bounded by the limits, so the same must hold of what came bit by bit.
func (b *base) with(pack unpacked, limits Limits) (unpacked, error) {
	all := unpacked{b.unpacked.objects + pack.objects, b.unpacked.bytes + pack.bytes}
	if all.within(limits) != nil {
		return all, errManyBytes
	}
	return all, nil
}

// unpackedName is the file in the directory of a commit that says what its packs unpack
// to.
const unpackedName = "unpacked"

// write writes it beside the packs.
func (u unpacked) write(dir string) error {
	return os.WriteFile(filepath.Join(dir, unpackedName), fmt.Appendf(nil, "%d %d\n", u.objects, u.bytes), 0o600)
}

// readUnpacked reads what the packs of a commit unpack to.
func readUnpacked(dir string) (u unpacked, err error) {
	data, err := os.ReadFile(filepath.Join(dir, unpackedName))
	if err != nil {
		return unpacked{}, err
	}
	if _, err := fmt.Sscanf(string(data), "%d %d\n", &u.objects, &u.bytes); err != nil || u.objects < 0 || u.bytes < 0 {
		return unpacked{}, fmt.Errorf("%s does not hold two numbers: %w", unpackedName, err)
	}
	return u, nil
}

// tooManyPacks reports whether a directory of packs should not get another one. The
// largest pack is the one that was fetched as a whole, or has as much as that.
func tooManyPacks(dir string) bool {
	packs, err := filepath.Glob(escape(dir) + "/*.pack")
	if err != nil || len(packs) == 0 || len(packs) >= mostPacksOfCommit {
		return true
	}
	var all, largest int64
	for _, pack := range packs {
		info, err := os.Stat(pack)
		if err != nil {
			return true
		}
		all, largest = all+info.Size(), max(largest, info.Size())
	}
	return all-largest > max(largest, smallIncrements)
}

// linkPacks makes the packs of one directory those of another one, too.
func linkPacks(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Link(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

const (
	packHeader  = 12        // bytes: "PACK", the version, the number of objects
	packTrailer = sha1.Size // the checksum at the end
)

// completePack puts objects of the base in front of a thin pack: those that deltas of the
// pack refer to.
func completePack(path string, objects storer.EncodedObjectStorer) error {
	missing, count, err := references(path, objects)
	if err != nil || len(missing) == 0 {
		return err
	}
	thin, err := os.Open(path)
	if err != nil {
		return err
	}
	defer thin.Close()
	info, err := thin.Stat()
	if err != nil {
		return err
	}
	complete, err := os.OpenFile(path+".complete", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	own := io.NewSectionReader(thin, packHeader, info.Size()-packHeader-packTrailer)
	if err := errors.Join(writePack(complete, count+len(missing), missing, own), complete.Close()); err != nil {
		return err
	}
	return os.Rename(complete.Name(), path)
}

// references returns the objects that deltas of a pack refer to by hash and that are among
// those given, and how many objects the pack has.
func references(path string, objects storer.EncodedObjectStorer) (found []plumbing.EncodedObject, count int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	scanner := packfile.NewScanner(file)
	_, all, err := scanner.Header()
	if err != nil {
		return nil, 0, err
	}
	seen := map[plumbing.Hash]bool{}
	for range all {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return nil, 0, err
		}
		if header.Type != plumbing.REFDeltaObject || seen[header.Reference] {
			continue
		}
		seen[header.Reference] = true
		switch object, err := objects.EncodedObject(plumbing.AnyObject, header.Reference); {
		case err == nil:
			found = append(found, object)
		case !errors.Is(err, plumbing.ErrObjectNotFound): // otherwise it is in the pack
			return nil, 0, err
		}
	}
	return found, int(all), nil
}

// writePack writes a pack of so many objects: those given, and what rest has.
func writePack(to io.Writer, count int, objects []plumbing.EncodedObject, rest io.Reader) error {
	sum := sha1.New()
	buffered := bufio.NewWriter(to)
	out := io.MultiWriter(buffered, sum)
	header := binary.BigEndian.AppendUint32([]byte("PACK"), packfile.VersionSupported)
	if _, err := out.Write(binary.BigEndian.AppendUint32(header, uint32(count))); err != nil {
		return err
	}
	for _, object := range objects {
		if err := writeObject(out, object); err != nil {
			return err
		}
	}
	if _, err := io.Copy(out, rest); err != nil {
		return err
	}
	if _, err := buffered.Write(sum.Sum(nil)); err != nil {
		return err
	}
	return buffered.Flush()
}

// writeObject writes one object of a pack; see gitformat-pack(5).
func writeObject(out io.Writer, object plumbing.EncodedObject) error {
	size := uint64(object.Size())
	header := []byte{byte(object.Type())<<4 | byte(size&0x0f)}
	for size >>= 4; size > 0; size >>= 7 {
		header[len(header)-1] |= 0x80 // another byte follows
		header = append(header, byte(size&0x7f))
	}
	if _, err := out.Write(header); err != nil {
		return err
	}
	reader, err := object.Reader()
	if err != nil {
		return err
	}
	compressed := zlib.NewWriter(out)
	_, err = io.Copy(compressed, reader)
	return errors.Join(err, compressed.Close(), reader.Close())
}

// addition is a commit that was fetched on top of another one.
type addition struct {
	objects *filesystem.Storage
	limits  Limits
	checked map[plumbing.Hash]bool // directories
}

// checkComplete returns an error unless everything of a commit is on disk. What its base
// has in the same place is there: the base is complete.
func checkComplete(objects *filesystem.Storage, commit plumbing.Hash, base *base, limits Limits) error {
	added, err := object.GetCommit(objects, commit)
	if err != nil {
		return err
	}
	before, err := object.GetCommit(base.objects, base.commit)
	if err != nil {
		return err
	}
	return addition{objects, limits, map[plumbing.Hash]bool{}}.check(added.TreeHash, before.TreeHash, 0)
}

// check looks at a directory; before is the one in its place, or zero.
func (a addition) check(directory, before plumbing.Hash, depth int) error {
	if directory == before || a.checked[directory] || depth > a.limits.Depth {
		return nil // a tree that is too deep is refused when it is read
	}
	a.checked[directory] = true
	listing, err := readListing(a.objects, directory, directory.String())
	if err != nil {
		return err
	}
	earlier, err := a.entries(before)
	if err != nil {
		return err
	}
	for _, entry := range listing.Entries {
		was := earlier[entry.Name]
		switch {
		case entry.Mode == filemode.Submodule, entry.Hash == was.Hash:
		case entry.Mode != filemode.Dir:
			_, err = a.objects.EncodedObjectSize(entry.Hash)
		case was.Mode == filemode.Dir:
			err = a.check(entry.Hash, was.Hash, depth+1)
		default:
			err = a.check(entry.Hash, plumbing.ZeroHash, depth+1)
		}
		if err != nil {
			return fmt.Errorf("%s of directory %s: %w", entry.Hash, directory, err)
		}
	}
	return nil
}

// entries returns the files and directories of a directory by name. Submodules are left
// out: their objects are those of another repository.
func (a addition) entries(directory plumbing.Hash) (map[string]object.TreeEntry, error) {
	if directory.IsZero() {
		return nil, nil
	}
	listing, err := readListing(a.objects, directory, directory.String())
	if err != nil {
		return nil, err
	}
	entries := make(map[string]object.TreeEntry, len(listing.Entries))
	for _, entry := range listing.Entries {
		if entry.Mode != filemode.Submodule {
			entries[entry.Name] = entry
		}
	}
	return entries, nil
}
