package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"kargo"
)

// moves are the repositories that a git host has moved: it redirects from the address of the
// settings to another one. Whoever gets the old name later would decide what runs.
type moves struct {
	mu  sync.Mutex
	to  map[string]string // by the address of the settings
	log *slog.Logger      // nil: nothing is logged
}

const afterMove = "name the new address in the settings: the host may give the old one to somebody else"

// note takes a redirect that was followed.
func (m *moves) note(from, to string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.to[from] == to {
		return
	}
	if m.to == nil {
		m.to = map[string]string{}
	}
	m.to[from] = to
	if m.log != nil {
		m.log.Warn("the repository was moved; "+afterMove, "from", from, "to", to)
	}
}

func (m *moves) findings() (found []kargo.Finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, from := range slices.Sorted(maps.Keys(m.to)) {
		found = append(found, kargo.Odd("git", fmt.Sprintf("the host moved %s to %s", from, m.to[from]), afterMove))
	}
	return found
}
