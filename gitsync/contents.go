package gitsync

import (
	"bytes"
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
	data  map[plumbing.Hash][]byte
	bytes int
}

func newContents() *contents {
	return &contents{sizes: map[plumbing.Hash]int64{}, data: map[plumbing.Hash][]byte{}}
}

// size returns the size of a content, if it is kept. A nil contents has nothing.
func (c *contents) size(hash plumbing.Hash) (size int64, known bool) {
	if c == nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	size, known = c.sizes[hash]
	return size, known
}

// get returns a copy of a content, if it is kept.
func (c *contents) get(hash plumbing.Hash) (data []byte, known bool) {
	if c == nil {
		return nil, false
	}
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

// keep keeps a copy of a content, unless that would be too much.
func (c *contents) keep(hash plumbing.Hash, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.data[hash]; known || c.bytes+len(data) > mostKept {
		return
	}
	c.data[hash] = bytes.Clone(data)
	c.bytes += len(data)
}
