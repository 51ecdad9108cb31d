// Package lease decides which of several controllers of an instance works.
//
// One controller holds the lease and renews it. The others watch it. If it is not
// renewed for longer than [TTL], one of them takes it over. A controller that could
// not renew it in time stops writing earlier than that, by [Margin].
//
// The package is pure. It never compares the clocks of two controllers: each
// measures how long it has seen no renewal, by a clock of its own that only goes
// forward. Times are durations since an arbitrary start. The lease itself is one
// object in Swarm that is written with its version (compare and swap), so of two
// controllers that take it at once one fails.
package lease

import (
	"time"

	"kargo"
)

// The times of the lease. A renewal is one write to Raft: 14,400 a day.
const (
	// TTL is how long a lease is valid without a renewal.
	TTL = 15 * time.Second
	// Margin is how much earlier its holder stops writing.
	Margin = 3 * time.Second
	// Renew is the time between two renewals, and Watch that between two looks of a
	// standby.
	Renew = 6 * time.Second
	Watch = 2 * time.Second
)

// Role is what a controller may do.
type Role int

// The roles.
const (
	// Unknown: the lease could not be read yet.
	Unknown Role = iota
	// Leader: the controller holds the lease, as far as it knows. See MayWrite.
	Leader
	// Standby: another controller holds it.
	Standby
)

// Candidate is one controller's view of the lease. It belongs to one goroutine.
type Candidate struct {
	id, name string
	seen     kargo.Lease
	changed  time.Duration // when the lease was last seen to have changed
	until    time.Duration // until when the controller may write
	role     Role
	own      uint64 // epoch of this process; 0 if it never held the lease
}

// NewCandidate returns a candidate. A controller that ends and begins again has the
// same id: it needs not wait for itself. The name is for people.
func NewCandidate(id, name string) *Candidate { return &Candidate{id: id, name: name} }

// Observe takes the lease as it was read. One that is gone, because somebody removed
// it, counts as not renewed: its holder writes it again, or another controller does
// after TTL, with the next epoch.
func (c *Candidate) Observe(seen kargo.Lease, now time.Duration) {
	if seen.Version == 0 && c.seen.Holder != "" {
		seen = c.seen
		seen.Version = 0
		c.seen.Version = 0
	}
	if seen.Version < c.seen.Version {
		return // an older answer that arrives late
	}
	if c.role == Unknown || seen.Epoch != c.seen.Epoch || seen.Renewal != c.seen.Renewal || seen.Released != c.seen.Released {
		c.changed = now
	}
	c.seen = seen
	if c.mine() {
		c.role = Leader
		return
	}
	c.role, c.until = Standby, 0
}

// mine reports whether this process holds the lease.
func (c *Candidate) mine() bool {
	return c.seen.Holder == c.id && c.seen.Epoch == c.own && c.own != 0 && !c.seen.Released
}

// Next returns the lease as it is to be written now. It returns false if nothing is to
// be written.
func (c *Candidate) Next(now time.Duration) (write kargo.Lease, due bool) {
	switch {
	case c.role == Unknown:
		return write, false
	case c.mine():
		write = c.seen
		write.Renewal++
		return write, true
	case c.seen.Holder == "", c.seen.Holder == c.id, c.seen.Released, now-c.changed > TTL:
		write = c.seen
		write.Holder, write.Name, write.Released = c.id, c.name, false
		write.Epoch, write.Renewal = c.seen.Epoch+1, 0
		return write, true
	}
	return write, false
}

// Wrote notes that a lease was written, with the version that it has now. sent is when
// the write was sent: what happened between is not known.
func (c *Candidate) Wrote(written kargo.Lease, sent, now time.Duration) {
	c.own, c.role = written.Epoch, Leader
	c.seen, c.changed, c.until = written, now, sent+TTL-Margin
}

// Release returns the lease as it is to be written when the controller ends. It returns
// false if the controller does not hold it.
func (c *Candidate) Release() (write kargo.Lease, held bool) {
	write = c.seen
	write.Released = true
	return write, c.mine()
}

// Role returns what the controller may do.
func (c *Candidate) Role() Role { return c.role }

// Until returns until when the controller may write.
func (c *Candidate) Until() time.Duration { return c.until }

// MayWrite reports whether the controller holds the lease for certain.
func (c *Candidate) MayWrite(now time.Duration) bool { return c.role == Leader && now < c.until }

// Seen returns the lease as it was last read or written.
func (c *Candidate) Seen() kargo.Lease { return c.seen }

// Foreign reports whether another controller than this one was the last to hold the
// lease: what this one remembers may be outdated.
func (c *Candidate) Foreign() bool { return c.seen.Holder != "" && c.seen.Holder != c.id }
