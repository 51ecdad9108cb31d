package server

import (
	"slices"
	"testing"
)

// Whose connection is closed, if one more than two is open. All wait for their clients,
// but for those that are busy.
func TestS47_WhoseConnectionIsClosed(t *testing.T) {
	for _, test := range []struct {
		name   string
		from   []string // in the order of their arrival
		closed int      // which of them the last one takes the place of
		busy   []int    // which of them do not wait for their clients
	}{
		{"the oldest of the address that has most", []string{"1.1.1.1:1", "2.2.2.2:1", "2.2.2.2:2"}, 1, nil},
		{"the oldest of all, if nobody has more than one", []string{"1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"}, 0, nil},
		{"the own one of whoever has most", []string{"1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:3"}, 0, nil},
		{"the addresses of one IPv6 network are one", []string{"[2001:db8::1]:1", "1.1.1.1:1", "[2001:db8::2]:1"}, 0, nil},
		{"another IPv6 network is another one", []string{"1.1.1.1:1", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"}, 0, nil},
		{"an IPv4 address in the form of IPv6 is itself", []string{"[::ffff:1.1.1.1]:1", "[::ffff:2.2.2.2]:1", "[::ffff:2.2.2.2]:2"}, 1, nil},
		{"the oldest that waits for its client", []string{"1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"}, 1, []int{0}},
		{"of the address that has most of those", []string{"1.1.1.1:1", "1.1.1.1:2", "2.2.2.2:1"}, 1, []int{0}},
		{"the oldest, if none waits", []string{"1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"}, 0, []int{0, 1, 2}},
	} {
		b := newBounded(nil, 2)
		var conns []*boundedConn
		var closed *boundedConn
		for i, address := range test.from {
			conn := &boundedConn{listener: b, from: network(address)}
			conn.reading.Store(!slices.Contains(test.busy, i))
			conns = append(conns, conn)
			closed = b.add(conn)
		}
		if closed != conns[test.closed] {
			t.Errorf("%s: closed is %v", test.name, closed)
		}
	}
}
