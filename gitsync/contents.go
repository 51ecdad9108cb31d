package gitsync

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// mostKept is how many bytes of contents are kept of one commit. A workspace of 1,000
// stacks has about two million. mostListed is how many entries of directories are kept.
const (
	mostKept   = 8 << 20
	mostListed = 50_000
)

// contents keeps what was read of the files and directories of one commit, by hash. The
// next commit takes it over: most of it is the same, and to read an object means to open
// and unpack a pack and to compare it with its hash. What is kept depends on nothing but
// the hash.
type contents struct {
	mu          sync.Mutex
	sizes       map[plumbing.Hash]int64
	data        map[plumbing.Hash][]byte             // never changed once they are here
	directories map[plumbing.Hash][]object.TreeEntry // never changed, either
	bytes       int                                  // in data
	entries     int                                  // in directories
}

func newContents() *contents {
	return &contents{sizes: map[plumbing.Hash]int64{}, data: map[plumbing.Hash][]byte{}, directories: map[plumbing.Hash][]object.TreeEntry{}}
}

// takeOver takes what earlier contents keep of a hash, and returns its size if they know
// it. nil are contents that keep nothing.
func (c *contents) takeOver(earlier *contents, hash plumbing.Hash) (size int64, known bool) {
	if earlier == nil {
		return 0, false
	}
	earlier.mu.Lock()
	size, known = earlier.sizes[hash]
	data, read := earlier.data[hash]
	earlier.mu.Unlock()
	if known {
		c.keepSize(hash, size)
	}
	if read {
		c.keep(hash, data)
	}
	return size, known
}

// takeOverDirectory does the same for a directory, and returns its entries.
func (c *contents) takeOverDirectory(earlier *contents, hash plumbing.Hash) (entries []object.TreeEntry, known bool) {
	if earlier == nil {
		return nil, false
	}
	earlier.mu.Lock()
	entries, known = earlier.directories[hash]
	earlier.mu.Unlock()
	if known {
		c.keepDirectory(hash, entries)
	}
	return entries, known
}

// keepDirectory keeps the entries of a directory, unless that would be too many.
func (c *contents) keepDirectory(hash plumbing.Hash, entries []object.TreeEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.directories[hash]; known || c.entries+len(entries) > mostListed {
		return
	}
	c.directories[hash] = entries
	c.entries += len(entries)
}

// get returns a copy of a content, if it is kept.
func (c *contents) get(hash plumbing.Hash) (data []byte, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, known = c.data[hash]
	return bytes.Clone(data), known
}

func (c *contents) keepSize(hash plumbing.Hash, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes[hash] = size
}

// keep keeps a content, which nobody may change any more, unless that would be too much.
func (c *contents) keep(hash plumbing.Hash, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.data[hash]; known || c.bytes+len(data) > mostKept {
		return
	}
	c.data[hash] = data
	c.bytes += len(data)
}

// remembered returns the directories and the sizes of all contents, or those contents that
// were read, for another process; see [Repository.Remembered].
func (c *contents) remembered(read bool) []byte {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if read {
		all := make([]byte, 0, len(c.data)*(len(plumbing.ZeroHash)+2)+c.bytes)
		for hash, data := range c.data {
			all = append(binary.AppendUvarint(append(all, hash[:]...), uint64(len(data))), data...)
		}
		return all
	}
	all := binary.AppendUvarint(nil, uint64(len(c.directories)))
	for hash, entries := range c.directories {
		all = binary.AppendUvarint(append(all, hash[:]...), uint64(len(entries)))
		for _, entry := range entries {
			all = binary.AppendUvarint(append(all, entry.Hash[:]...), uint64(entry.Mode))
			all = append(binary.AppendUvarint(all, uint64(len(entry.Name))), entry.Name...)
		}
	}
	for hash, size := range c.sizes {
		all = binary.AppendUvarint(append(all, hash[:]...), uint64(size))
	}
	return all
}

// remember takes what another process remembers.
func (c *contents) remember(all []byte, read bool) error {
	from := &rememberedBytes{left: all}
	if !read && len(all) > 0 {
		for range from.number() {
			if hash, entries := from.directory(); !from.cutOff {
				c.keepDirectory(hash, entries)
			}
			if from.cutOff {
				break
			}
		}
	}
	for len(from.left) > 0 && !from.cutOff {
		hash, size := from.hash(), from.number()
		switch {
		case from.cutOff:
		case read:
			if data := from.bytes(size); !from.cutOff {
				c.keep(hash, data)
			}
		default:
			c.keepSize(hash, int64(size))
		}
	}
	if from.cutOff {
		return errors.New("what was read elsewhere is cut off")
	}
	return nil
}

// rememberedBytes reads what another process remembers.
type rememberedBytes struct {
	left   []byte
	cutOff bool // there was less than there should be
}

// bytes returns so many bytes, or none if there are fewer.
func (r *rememberedBytes) bytes(count uint64) []byte {
	if count > uint64(len(r.left)) {
		r.left, r.cutOff = nil, true
		return nil
	}
	taken := r.left[:count:count]
	r.left = r.left[count:]
	return taken
}

func (r *rememberedBytes) hash() (hash plumbing.Hash) {
	copy(hash[:], r.bytes(uint64(len(hash))))
	return hash
}

// number returns a number that is no more than an int64 can hold.
func (r *rememberedBytes) number() uint64 {
	number, width := binary.Uvarint(r.left)
	if width <= 0 || int64(number) < 0 {
		r.left, r.cutOff = nil, true
		return 0
	}
	r.left = r.left[width:]
	return number
}

// directory returns a directory and its entries.
func (r *rememberedBytes) directory() (hash plumbing.Hash, entries []object.TreeEntry) {
	hash = r.hash()
	count := r.number()
	entries = make([]object.TreeEntry, 0, min(count, mostListed))
	for range count {
		entry := object.TreeEntry{Hash: r.hash(), Mode: filemode.FileMode(r.number())}
		entry.Name = string(r.bytes(r.number()))
		if r.cutOff {
			break
		}
		entries = append(entries, entry)
	}
	return hash, entries
}

// Remembered returns what another process need not read again: the directories and the size
// of each file of the commit that was fetched last, or the contents of its files that were
// read. It is what the repository has, with nothing opened, 8 MiB of contents at most.
func (r *Repository) Remembered(contents bool) []byte {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	return r.contents.remembered(contents)
}

// Remember takes what another process remembers. These must be directories and sizes before
// the first Fetch, or contents after it, which then count for the files that it returned.
// It trusts the other process: nothing is compared with what is on disk.
func (r *Repository) Remember(remembered []byte, contents bool) error {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	if r.contents == nil {
		r.contents = newContents()
	}
	return r.contents.remember(remembered, contents)
}
