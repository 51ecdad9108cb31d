// Package swarmtest is a Swarm in memory for tests. It speaks Docker's HTTP API, so
// that Docker's own client works with it as with a manager, and so does the kargo
// program over a socket. It behaves as a real engine was seen to: the contract test
// of package swarm runs the same cases against both.
//
// # What to call
//
//   - [New] makes an engine; [Engine.Client] returns a Docker client of it. The
//     engine is an [http.Handler] as well.
//   - [Engine.Step] and [Engine.Settle] let time pass. Until then nothing happens to
//     tasks, updates and rollbacks. With [AutoSettle] each write has its full effect
//     before it returns. So tests need no clock.
//   - [Engine.Image] says what the containers of an image do.
//   - [Engine.Fail] makes requests fail; [Engine.Disconnect] ends event streams.
//   - [Engine.Writes] and [Engine.Calls] return what was done.
//
// Do the actions of people, such as to scale a service by hand, with Docker's client.
// Ids and times are the same in every run.
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
	"github.com/docker/docker/api/types/volume"
)

// Engine is a Swarm and its manager. It is an [http.Handler] and safe for concurrent
// use.
type Engine struct {
	mux *http.ServeMux

	mu         sync.Mutex
	autoSettle bool
	newest     bool             // see Newest
	clock      func() time.Time // its own if nil
	index      uint64           // of raft: counts every change of any object
	leases     uint64           // versions of leases
	made       uint64           // objects ever made, for their ids
	rotations  int              // of the join token of managers
	nodes      []*swarm.Node
	networks   []*network.Inspect
	services   []*service
	configs    []*swarm.Config
	secrets    []*swarm.Secret
	tasks      []*task // in the order they were made
	volumes    []*volume.Volume
	images     map[string]Behaviour

	events    []events.Message
	listeners map[*listener]bool

	calls  map[string]int
	writes []string
	fail   Fault
}

// Option changes an engine that New makes.
type Option func(*Engine)

// AutoSettle lets every write have its full effect before it returns.
func AutoSettle(e *Engine) { e.autoSettle = true }

// Nodes makes the Swarm of nodes with these names, in place of the one manager
// "node-1". The first is the manager, the others are workers.
func Nodes(names ...string) Option {
	return func(e *Engine) {
		e.nodes = nil
		for _, name := range names {
			e.addNode(name)
		}
	}
}

// Clock sets the clock of the Swarm, for tests that compare its times with their own.
// It may be set forward or back, as that of a real manager.
func Clock(now func() time.Time) Option { return func(e *Engine) { e.clock = now } }

// Newest makes the engine behave like engine 29 where that differs from older ones:
// the name filter of networks matches any part of a name, and a task whose image
// cannot be pulled stays preparing and tries again.
func Newest(e *Engine) { e.newest = true }

// New returns a Swarm with one node, its ingress network, and nothing else.
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

// Behaviour is what the containers of an image do. With the zero value the image is
// pulled, and its containers start, become healthy and run without end; as a job they
// end at once with success.
type Behaviour struct {
	// Missing: no node and no registry has the image.
	Missing bool
	// Unhealthy: its health check fails, so its tasks fail before they run.
	Unhealthy bool
	// Exits: it ends by itself with ExitCode after it ran for one step.
	Exits    bool
	ExitCode int
	// Unknown: its registry says that it has no such image.
	Unknown bool
	// Unlisted: nodes have it, but no registry can be asked for its digest.
	Unlisted bool
	// Digest is the digest that the registry returns, in place of the usual one.
	Digest string
}

// Image sets what containers of an image ("kargo/bad:1") do from now on.
func (e *Engine) Image(image string, behaviour Behaviour) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images[unpinned(image)] = behaviour
}

func (e *Engine) behaviour(image string) Behaviour { return e.images[unpinned(image)] }

// Calls returns the numbers of requests so far, by "METHOD /path" with the path as in
// Docker's reference: "POST /services/{id}/update".
func (e *Engine) Calls() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.calls)
}

// Writes returns the writes so far that were not refused: "create network net". The
// lease of an instance is left out: it is renewed all the time.
func (e *Engine) Writes() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.writes)
}

// bump starts a change and returns the version of the changed object.
func (e *Engine) bump() swarm.Version {
	e.index++
	return swarm.Version{Index: e.index}
}

// now returns the engine's own time, which moves with every change.
func (e *Engine) now() time.Time {
	if e.clock != nil {
		return e.clock()
	}
	return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(e.index) * time.Millisecond)
}

// newID returns an id that looks as random as a real one, because requests may name
// an object by the start of its id.
func (e *Engine) newID() string {
	e.made++
	sum := sha256.Sum256(fmt.Append(nil, e.made))
	return new(big.Int).SetBytes(sum[:]).Text(36)[:25]
}

// newMeta returns the metadata of a new object.
func (e *Engine) newMeta() swarm.Meta {
	version := e.bump()
	return swarm.Meta{Version: version, CreatedAt: e.now(), UpdatedAt: e.now()}
}

// touch gives a changed object a new version.
func (e *Engine) touch(meta *swarm.Meta) {
	meta.Version = e.bump()
	meta.UpdatedAt = e.now()
}

// wrote records a write, and with AutoSettle lets it have its full effect.
func (e *Engine) wrote(kind events.Type, action events.Action, id, name string) {
	if !isLease(name) {
		e.writes = append(e.writes, fmt.Sprintf("%s %s %s", action, kind, name))
	}
	e.tell(kind, action, id, name)
	if e.autoSettle && !isLease(name) {
		e.settle()
	}
}

// find returns the position of an object by its id, its name (Swarm ignores case) or
// the start of its id, in the order in which Docker tries them; -1 if there is none.
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
