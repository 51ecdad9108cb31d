package server

import (
	"container/list"
	"sync"
)

// recent remembers the things that were added last, up to a limit.
type recent struct {
	mu    sync.Mutex
	limit int
	order *list.List // oldest first
	known map[string]bool
}

func newRecent(limit int) *recent {
	return &recent{limit: limit, order: list.New(), known: map[string]bool{}}
}

// add adds a thing and reports whether it is new.
func (r *recent) add(thing string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[thing] {
		return false
	}
	r.known[thing] = true
	r.order.PushBack(thing)
	if r.order.Len() > r.limit {
		oldest := r.order.Remove(r.order.Front())
		delete(r.known, oldest.(string))
	}
	return true
}

// has reports whether a thing is remembered.
func (r *recent) has(thing string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[thing]
}
