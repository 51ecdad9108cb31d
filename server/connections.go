package server

import (
	"net"
	"net/netip"
	"sync"
)

const (
	// maxConnections is how many connections are open at once.
	maxConnections = 512
	// maxRequestsOfOne is how many requests one of them has at once, with HTTP/2.
	maxRequestsOfOne = 16
)

// bounded is a listener with a bound on its open connections. A new connection is
// always accepted: where there are too many, the oldest one of the address that has
// most is closed for it, and of several such addresses the oldest of all. So slow
// clients cannot keep others out, from whichever addresses, and what they cost has a
// limit.
type bounded struct {
	net.Listener
	limit int

	mu       sync.Mutex
	open     map[string][]*boundedConn // by address, oldest first
	all      int
	accepted uint64
}

func newBounded(listener net.Listener, limit int) *bounded {
	return &bounded{Listener: listener, limit: limit, open: map[string][]*boundedConn{}}
}

// Accept returns the next connection.
func (b *bounded) Accept() (net.Conn, error) {
	accepted, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &boundedConn{Conn: accepted, listener: b, from: network(accepted.RemoteAddr().String())}
	if tooMany := b.add(conn); tooMany != nil {
		_ = tooMany.Close() // it was given up; there is nobody to tell
	}
	return conn, nil
}

// add notes a connection. It returns the one that must be closed for it, if any.
func (b *bounded) add(conn *boundedConn) (tooMany *boundedConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted++
	conn.number = b.accepted
	b.open[conn.from] = append(b.open[conn.from], conn)
	if b.all++; b.all <= b.limit {
		return nil
	}
	for _, open := range b.open {
		if tooMany == nil || len(open) > len(b.open[tooMany.from]) ||
			len(open) == len(b.open[tooMany.from]) && open[0].number < tooMany.number {
			tooMany = open[0]
		}
	}
	return tooMany
}

// remove forgets a connection that was closed.
func (b *bounded) remove(conn *boundedConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := b.open[conn.from]
	for i, other := range open {
		if other != conn {
			continue
		}
		b.all--
		if b.open[conn.from] = append(open[:i:i], open[i+1:]...); len(open) == 1 {
			delete(b.open, conn.from)
		}
		return
	}
}

// boundedConn is a connection of a bounded listener.
type boundedConn struct {
	net.Conn
	listener *bounded
	from     string
	number   uint64 // in the order of acceptance
}

// Close closes the connection and makes its place free.
func (c *boundedConn) Close() error {
	c.listener.remove(c)
	return c.Conn.Close()
}

// network returns the part of an address that stands for whoever has it: the address
// without its port, or of an IPv6 address the network of 64 bits. Whoever has one address
// there has all of them.
func network(address string) string {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return address // of a socket in the file system
	}
	if ip, err := netip.ParseAddr(name); err == nil && ip.Is6() && !ip.Is4In6() {
		return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
	}
	return name
}
