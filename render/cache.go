package render

import (
	"sync"

	"kargo"
	"kargo/render/view"
)

// Cache holds how the stacks of one workspace were rendered. In another workspace,
// [Cache.Trace] renders anew only those that read something which differs there. Its
// result is the same as that of [Trace].
//
// The zero value is empty. Several goroutines may use a Cache, one after another.
type Cache struct {
	mutex  sync.Mutex
	root   string // of the workspace
	stacks map[string]*rendered
	anew   int              // of the stacks, how many were not taken over
	known  map[string]Known // of a trial
	// mentions are the variables that the workspace's files mention.
	mentions mentions
}

// Trace does the same as the function Trace, and keeps the result. A nil cache keeps
// nothing.
func (c *Cache) Trace(ws kargo.Workspace, names ...string) ([]kargo.Stack, *Provenance, kargo.Problems) {
	if c == nil {
		return trace(ws, names, nil)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.root != ws.Root {
		c.root, c.stacks = ws.Root, nil
	}
	return trace(ws, names, c)
}

// Anew returns how many stacks the last Trace did not take over.
func (c *Cache) Anew() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.anew
}

// has returns how a stack was rendered before, or nil.
func (c *Cache) has(name string) *rendered {
	if c == nil {
		return nil
	}
	return c.stacks[name]
}

// index returns the index of what files mention; a new one if there is no cache.
func (c *Cache) index() *mentions {
	if c == nil {
		return &mentions{}
	}
	return &c.mentions
}

// keep replaces what the cache holds. A nil cache keeps nothing.
func (c *Cache) keep(r *renderer) {
	if c != nil {
		c.stacks, c.anew = r.done, r.anewCount
	}
}

// takeOver returns how a stack was rendered before, if it would be rendered to the
// same again. Errors are never taken over.
func (r *renderer) takeOver(own view.View, name string) *rendered {
	before := r.cache.has(name)
	if before == nil || before.source == nil || before.report.Errors() > 0 ||
		!before.reads.SameIn(own) || r.reader.Exceeded() || !r.reader.TakeOver(before.source.size) {
		return nil
	}
	same := *before
	same.source = before.source.in(own)
	return &same
}
