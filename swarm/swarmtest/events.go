package swarmtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
)

// listener is one open stream of events.
type listener struct {
	news chan struct{} // has room for one: "look again"
	gone chan struct{} // closed by Disconnect
}

// Disconnect ends all event streams, as a restart of the daemon does.
func (e *Engine) Disconnect() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.listeners {
		close(l.gone)
		delete(e.listeners, l)
	}
}

// tell adds an event and wakes the listeners.
func (e *Engine) tell(kind events.Type, action events.Action, id, name string) {
	e.tellMore(kind, action, id, map[string]string{"name": name})
}

// tellMore is tell for an event that says more than the name of its object.
func (e *Engine) tellMore(kind events.Type, action events.Action, id string, attributes map[string]string) {
	now := e.now()
	e.events = append(e.events, events.Message{
		Type:     kind,
		Action:   action,
		Actor:    events.Actor{ID: id, Attributes: attributes},
		Scope:    "swarm",
		Time:     now.Unix(),
		TimeNano: now.UnixNano(),
	})
	for l := range e.listeners {
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
}

// eventsAfter copies the events from a position on.
func (e *Engine) eventsAfter(position int) []events.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]events.Message(nil), e.events[position:]...)
}

func (e *Engine) streamEvents(w http.ResponseWriter, r *http.Request) {
	only, err := filtersOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l := &listener{news: make(chan struct{}, 1), gone: make(chan struct{})}
	e.mu.Lock()
	position := len(e.events)
	if since, ok := sinceOf(r); ok {
		position = 0
		for position < len(e.events) && e.events[position].TimeNano < since.UnixNano() {
			position++
		}
	}
	e.listeners[l] = true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.listeners, l)
		e.mu.Unlock()
	}()

	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush(w)
	encoder := json.NewEncoder(w)
	for {
		for _, message := range e.eventsAfter(position) {
			position++
			if wanted(only, message) && encoder.Encode(message) != nil {
				return
			}
		}
		flush(w)
		select {
		case <-l.news:
		case <-l.gone:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func flush(w http.ResponseWriter) {
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
}

func wanted(only filters.Args, message events.Message) bool {
	return only.ExactMatch("type", string(message.Type)) &&
		only.ExactMatch("scope", message.Scope) &&
		only.ExactMatch("event", string(message.Action))
}

// sinceOf reads the time as Docker's client writes it: seconds, a dot, nanoseconds.
func sinceOf(r *http.Request) (time.Time, bool) {
	raw := r.URL.Query().Get("since")
	if raw == "" {
		return time.Time{}, false
	}
	seconds, rest, _ := strings.Cut(raw, ".")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	nanos, err := strconv.ParseInt((rest + "000000000")[:9], 10, 64)
	if err != nil {
		nanos = 0
	}
	return time.Unix(unix, nanos), true
}
