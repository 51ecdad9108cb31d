// Package swarmtest is a Swarm in memory that speaks Docker's HTTP API, so that
// Docker's own client, and the kargo binary over a socket, run against it as
// they run against a manager. It obeys what was seen on a real engine: the
// contract test of package swarm runs the same cases against both.
//
// Time does not pass by itself. In an engine of [New] nothing happens to tasks,
// updates and rollbacks until [Engine.Step] or [Engine.Settle]; with
// [AutoSettle] every write has run its course by the time it is answered. So
// tests need no clock. Ids and times are the same in every run.
//
// People's actions (scaling by hand, removing a network) are done with Docker's
// client, as people do them.
package swarmtest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
)

// Engine is a Swarm and the manager that answers for it. It is an
// [http.Handler] and safe for concurrent use.
type Engine struct {
	mux *http.ServeMux

	mu         sync.Mutex
	autoSettle bool
	newest     bool             // see Newest
	clock      func() time.Time // its own if nil
	index      uint64           // of raft: counts every change of any object
	made       uint64           // objects ever made, for their ids
	nodes      []*swarm.Node
	networks   []*network.Inspect
	services   []*service
	configs    []*swarm.Config
	secrets    []*swarm.Secret
	tasks      []*task // in the order they were made
	images     map[string]Behaviour

	events    []events.Message
	listeners map[*listener]bool

	calls  map[string]int
	writes []string
	fail   Fault
}

// Option changes an engine that New makes.
type Option func(*Engine)

// AutoSettle lets every write run its course before it is answered.
func AutoSettle(e *Engine) { e.autoSettle = true }

// Nodes gives the Swarm nodes of these names in place of the one manager
// "node-1". The first is the manager, the others are workers.
func Nodes(names ...string) Option {
	return func(e *Engine) {
		e.nodes = nil
		for _, name := range names {
			e.addNode(name)
		}
	}
}

// Clock gives the Swarm the time of others in the place of its own, for tests
// of those who compare the two. It must not go back.
func Clock(now func() time.Time) Option { return func(e *Engine) { e.clock = now } }

// Newest makes the engine do as engine 29 does, where that differs from the
// older ones: the filter of networks by name finds any part of a name, and a
// task whose image cannot be pulled tries again by itself.
func Newest(e *Engine) { e.newest = true }

// New makes a Swarm with one node, its ingress network, and nothing else.
func New(options ...Option) *Engine {
	e := &Engine{
		images:    map[string]Behaviour{},
		listeners: map[*listener]bool{},
		calls:     map[string]int{},
	}
	e.addNode("node-1")
	for _, option := range options {
		option(e)
	}
	e.addPredefinedNetworks()
	e.routes()
	return e
}

// Behaviour is what containers of an image do. The zero value pulls, starts,
// turns healthy and runs for ever; as a job it ends at once without error.
type Behaviour struct {
	// Missing: no node has it and no registry knows it.
	Missing bool
	// Unhealthy: its health check fails, so its tasks fail before they run.
	Unhealthy bool
	// Exits: it ends by itself after it ran for one step, with ExitCode.
	Exits    bool
	ExitCode int
	// Unknown: its registry says that it has no such image.
	Unknown bool
	// Unlisted: nodes have it, but no registry can be asked for its digest.
	Unlisted bool
	// Digest is what the registry answers, if not the usual one.
	Digest string
}

// Image sets what containers of an image ("kargo/bad:1") do from now on.
func (e *Engine) Image(image string, behaviour Behaviour) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images[unpinned(image)] = behaviour
}

func (e *Engine) behaviour(image string) Behaviour { return e.images[unpinned(image)] }

// Calls counts the requests so far, by "METHOD /path" with the path as in
// Docker's reference: "POST /services/{id}/update".
func (e *Engine) Calls() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.calls)
}

// Writes lists what was written so far and not refused: "create network net".
func (e *Engine) Writes() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.writes)
}

// bump starts a change: it answers the version of the changed object.
func (e *Engine) bump() swarm.Version {
	e.index++
	return swarm.Version{Index: e.index}
}

// now is the engine's own time, which moves with every change.
func (e *Engine) now() time.Time {
	if e.clock != nil {
		return e.clock()
	}
	return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(e.index) * time.Millisecond)
}

// newID looks as random as a real one, for prefixes of ids match too.
func (e *Engine) newID() string {
	e.made++
	sum := sha256.Sum256(fmt.Append(nil, e.made))
	return new(big.Int).SetBytes(sum[:]).Text(36)[:25]
}

// newMeta is that of an object just made.
func (e *Engine) newMeta() swarm.Meta {
	version := e.bump()
	return swarm.Meta{Version: version, CreatedAt: e.now(), UpdatedAt: e.now()}
}

// touch renews the version of an object just changed.
func (e *Engine) touch(meta *swarm.Meta) {
	meta.Version = e.bump()
	meta.UpdatedAt = e.now()
}

// wrote notes a write that was carried out and lets it run its course.
func (e *Engine) wrote(kind events.Type, action events.Action, id, name string) {
	e.writes = append(e.writes, fmt.Sprintf("%s %s %s", action, kind, name))
	e.tell(kind, action, id, name)
	if e.autoSettle {
		e.settle()
	}
}

// find picks an object by id, by name (Swarm's names ignore case), or by the
// start of its id, in the order that Docker tries them. It answers -1 if there
// is none.
func find[T any](objects []T, wanted string, id, name func(T) string) int {
	for _, matches := range []func(T) bool{
		func(object T) bool { return id(object) == wanted },
		func(object T) bool { return strings.EqualFold(name(object), wanted) },
		func(object T) bool { return strings.HasPrefix(id(object), wanted) },
	} {
		if i := slices.IndexFunc(objects, matches); i >= 0 {
			return i
		}
	}
	return -1
}
