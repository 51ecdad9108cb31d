package server

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"sync"
	"time"

	"kargo"
)

const (
	// maxStreams is how many pages may be told of changes at once, and
	// maxStreamsOfOne how many of them from one address. They are far fewer than
	// maxConnections, so that open pages never keep webhooks out.
	maxStreams      = 128
	maxStreamsOfOne = 24
	// liveTick is how often a stream looks for a change, and liveBeat after how long
	// a page is asked to refresh without one: it shows how long ago things were.
	liveTick = time.Second
	liveBeat = 30 * time.Second
)

// streams counts the pages that are told of changes.
type streams struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by address
}

// take takes a place for a stream, if there is one. The caller gives it back.
func (s *streams) take(address string) (giveBack func(), taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.of[address] >= maxStreamsOfOne {
		return nil, false
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.all++
	s.of[address]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.of[address]--; s.of[address] == 0 {
			delete(s.of, address)
		}
	}, true
}

// live tells a page of each change, as server-sent events, so that it asks for itself
// anew. The events say nothing else. The stream ends when the token or the session of
// the request is no longer valid.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	giveBack, taken := s.streams.take(address)
	if !taken {
		turnAway(w, http.StatusServiceUnavailable, "too many pages are open", "close some; a page that is not told of changes must be loaded again")
		return
	}
	defer giveBack()
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Time{}) // a test's recorder has none
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep the events back
	seen, told := s.changes.mark(s), time.Now()
	if !tell(w, connection, "open") {
		return
	}
	ticker := time.NewTicker(liveTick)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-ending(r.Context()):
			return
		case <-ticker.C:
		}
		if !s.mayStay(r) {
			return
		}
		now := s.changes.mark(s)
		if now == seen && time.Since(told) < liveBeat {
			continue
		}
		if seen, told = now, time.Now(); !tell(w, connection, "changed") {
			return
		}
	}
}

// tell sends one event, and reports whether the client took it.
func tell(w http.ResponseWriter, connection *http.ResponseController, event string) bool {
	_ = connection.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(w, "event: %s\ndata: -\n\n", event); err != nil {
		return false
	}
	return connection.Flush() == nil
}

// changes marks what the pages show, so that two marks differ if the pages do. The
// mark is made at most once in a tick, for all streams.
type changes struct {
	mu   sync.Mutex
	made time.Time
	last uint64
}

func (c *changes) mark(s *Server) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.made) < liveTick/2 {
		return c.last
	}
	status := s.Controller.Status()
	// These change with every round, and say nothing new by themselves.
	status.Rounds, status.LastRound, status.RoundBegan, status.ReadingBegan, status.NextRound = 0, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	status.LastFetched, status.LastVerified, status.Pending.Time = time.Time{}, time.Time{}, time.Time{}
	stacks := make([]kargo.StackStatus, len(status.Stacks))
	for i, stack := range status.Stacks {
		stack.LastVerified = time.Time{}
		stacks[i] = stack
	}
	status.Stacks = stacks
	newest, _ := s.History.Deployments(0, 1) // what cannot be read does not change
	hash := fnv.New64a()
	_ = json.NewEncoder(hash).Encode([]any{status, newest})
	c.made, c.last = time.Now(), hash.Sum64()
	return c.last
}
