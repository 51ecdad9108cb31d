package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

const (
	// maxConnections is how many connections are open at once.
	maxConnections = 512
	// maxRequestsOfOne is how many requests one of them has at once, with HTTP/2.
	maxRequestsOfOne = 16
)

// bounded is a listener with a bound on its open connections. A new connection is
// always accepted: where there are too many, another one is closed for it. That is one
// that waits for its client, of the address that has most of these, the oldest. A client
// that has sent its whole request is not waited for. So slow clients cannot keep others
// out, from whichever addresses and however many, and what they cost has a limit.
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
	if tooMany = b.oldest((*boundedConn).waits); tooMany == nil {
		tooMany = b.oldest(func(*boundedConn) bool { return true })
	}
	return tooMany
}

// oldest returns, of the connections that fit, the oldest one of the address that has
// most of them; nil if none fits.
func (b *bounded) oldest(fits func(*boundedConn) bool) (found *boundedConn) {
	most := 0
	for _, open := range b.open {
		var first *boundedConn
		count := 0
		for _, conn := range open {
			if !fits(conn) {
				continue
			}
			if count++; first == nil {
				first = conn
			}
		}
		if count > most || count == most && count > 0 && first.number < found.number {
			found, most = first, count
		}
	}
	return found
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
	// reading is set while it waits for bytes of its client. served counts the whole
	// requests on it, of those who may make them, that are served now.
	reading atomic.Bool
	served  atomic.Int32
}

// waits reports whether the connection waits for its client.
func (c *boundedConn) waits() bool { return c.reading.Load() && c.served.Load() == 0 }

// Read reads what the client sends.
func (c *boundedConn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	defer c.reading.Store(false)
	return c.Conn.Read(p)
}

// withConnection returns the context of the requests of a connection.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if bounded, ok := conn.(*boundedConn); ok {
		ctx = context.WithValue(ctx, connection, bounded)
	}
	return ctx
}

// serve keeps the connection of a request from being closed for another one, until the
// function that it returns is called. It is for requests of those who may make them.
func serve(ctx context.Context) (served func()) {
	conn, ok := ctx.Value(connection).(*boundedConn)
	if !ok {
		return func() {}
	}
	conn.served.Add(1)
	return func() { conn.served.Add(-1) }
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
