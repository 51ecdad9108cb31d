package server

import (
	"io"
	"sync"
)

// maxBodies is how many bytes of webhooks are kept at once, before they are verified.
const maxBodies = 32 << 20

// bodies keeps what has arrived of webhooks below a limit. Whoever sends one need not
// know the secret, so large bodies that do not end could take all memory. If they become
// too much, the largest one of the address that has most is given up. An ordinary webhook
// is small, so it is not that one.
type bodies struct {
	limit int

	mu   sync.Mutex
	open map[*body]bool
	all  int // bytes
}

func newBodies(limit int) *bodies { return &bodies{limit: limit, open: map[*body]bool{}} }

// body is one that arrives.
type body struct {
	reader io.Reader
	of     *bodies
	from   string // address
	size   int    // bytes so far
	giveUp func() // ends its reading; it is called once at most, and not after close
	lost   bool   // it was given up
}

// add returns a body that is read through the bodies. It must be closed.
func (b *bodies) add(reader io.Reader, from string, giveUp func()) *body {
	b.mu.Lock()
	defer b.mu.Unlock()
	added := &body{reader: reader, of: b, from: from, giveUp: giveUp}
	b.open[added] = true
	return added
}

// Read reads more of the body. It returns io.ErrUnexpectedEOF once the body was given up.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p)
	if !b.of.grow(b, n) {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// grow counts bytes of a body, and reports whether it may go on.
func (b *bodies) grow(one *body, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one.lost {
		return false
	}
	one.size += n
	for b.all += n; b.all > b.limit; {
		largest := b.largest()
		largest.lost = true
		b.forget(largest)
		largest.giveUp()
	}
	return !one.lost
}

// largest returns the largest body of the address that has most.
func (b *bodies) largest() (found *body) {
	sums := map[string]int{}
	for one := range b.open {
		sums[one.from] += one.size
	}
	for one := range b.open {
		if found == nil || sums[one.from] > sums[found.from] || one.from == found.from && one.size > found.size {
			found = one
		}
	}
	return found
}

func (b *bodies) forget(one *body) {
	if b.open[one] {
		delete(b.open, one)
		b.all -= one.size
	}
}

// close forgets a body, and reports whether it was given up.
func (b *body) close() (lost bool) {
	b.of.mu.Lock()
	defer b.of.mu.Unlock()
	b.of.forget(b)
	return b.lost
}
