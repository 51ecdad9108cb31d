package gitsync

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
)

// mostKept is how many bytes of contents are kept of one commit. A workspace of 1,000
// stacks has about two million.
const mostKept = 8 << 20

// contents keeps what was read of the files of one commit, by hash. The next commit takes
// it over: most of its files are the same, and to read one means to unpack it and to
// compare it with its hash. What is kept depends on nothing but the hash.
type contents struct {
	mu    sync.Mutex
	sizes map[plumbing.Hash]int64
	data  map[plumbing.Hash][]byte // never changed once they are here
	bytes int
}

func newContents() *contents {
	return &contents{sizes: map[plumbing.Hash]int64{}, data: map[plumbing.Hash][]byte{}}
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

// remembered returns the sizes of all contents, or those contents that were read, for
// another process; see [Repository.Remembered]. Each is its hash, its size as a varint,
// and its bytes unless these are the sizes alone.
func (c *contents) remembered(read bool) []byte {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !read {
		all := make([]byte, 0, len(c.sizes)*(len(plumbing.ZeroHash)+2))
		for hash, size := range c.sizes {
			all = binary.AppendUvarint(append(all, hash[:]...), uint64(size))
		}
		return all
	}
	all := make([]byte, 0, len(c.data)*(len(plumbing.ZeroHash)+2)+c.bytes)
	for hash, data := range c.data {
		all = append(binary.AppendUvarint(append(all, hash[:]...), uint64(len(data))), data...)
	}
	return all
}

var errRemembered = errors.New("what was read elsewhere is cut off")

// remember takes what another process remembers.
func (c *contents) remember(all []byte, read bool) error {
	for len(all) > 0 {
		var hash plumbing.Hash
		size, width := uint64(0), 0
		if len(all) > len(hash) {
			size, width = binary.Uvarint(all[len(hash):])
		}
		if width <= 0 || int64(size) < 0 {
			return errRemembered
		}
		copy(hash[:], all)
		all = all[len(hash)+width:]
		if !read {
			c.keepSize(hash, int64(size))
			continue
		}
		if size > uint64(len(all)) {
			return errRemembered
		}
		c.keep(hash, all[:size:size])
		all = all[size:]
	}
	return nil
}

// Remembered returns what another process need not read again: the size of each file of
// the commit that was fetched last, or the contents of its files that were read. It is
// what the repository has, with nothing opened, 8 MiB of contents at most.
func (r *Repository) Remembered(contents bool) []byte {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	return r.contents.remembered(contents)
}

// Remember takes what another process remembers. These must be sizes before the first
// Fetch, or contents after it, which then count for the files that it returned. It trusts
// the other process: neither is compared with what is on disk.
func (r *Repository) Remember(remembered []byte, contents bool) error {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	if r.contents == nil {
		r.contents = newContents()
	}
	return r.contents.remember(remembered, contents)
}
