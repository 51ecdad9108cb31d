package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"kargo"
)

// Inspector answers questions of people that need a look at git, at Swarm or at what
// was kept. It changes nothing. Its methods may take as long as git and Swarm do.
type Inspector interface {
	// Diff returns how two states of the stacks differ, or of one stack if it is
	// named. A state is "live", "git", the number of a deployment, or the start of a
	// commit; only the first one may be "live".
	Diff(ctx context.Context, from, to, stack string) (kargo.Diff, error)
	// Rendering returns what a state sends to Swarm, with its secrets masked.
	Rendering(ctx context.Context, of, stack string) (kargo.RenderedState, error)
	// Why returns where the values come from that a person names: a variable, a file, a
	// stack, a service, or a field of one; if all, of every value below it.
	Why(ctx context.Context, what string, all bool) (kargo.Explained, error)
	// Details returns the named stacks, or all, with their tasks and what they use.
	Details(ctx context.Context, stacks ...string) ([]kargo.StackDetail, error)
	// Logs calls a function for each line that tasks of a stack wrote, or of one of its
	// services, until the logs or ctx end.
	Logs(ctx context.Context, stack, service string, options kargo.LogOptions, each func(kargo.LogLine)) error
	// Events calls a function for what the controller saw and did since a time, of one
	// stack if it is named; with follow until ctx ends.
	Events(ctx context.Context, stack string, since time.Time, follow bool, each func(kargo.Happening)) error
}

func (s *Server) inspectRoutes() []route {
	return []route{
		{"GET /api/v1/diff", needsToken, inspecting(s, func(ctx context.Context, r *http.Request) (kargo.Diff, error) {
			return s.Inspector.Diff(ctx, cmp.Or(r.FormValue("from"), kargo.StateLive), cmp.Or(r.FormValue("to"), kargo.StateGit), r.FormValue("stack"))
		})},
		{"GET /api/v1/rendering", needsToken, inspecting(s, func(ctx context.Context, r *http.Request) (kargo.RenderedState, error) {
			return s.Inspector.Rendering(ctx, cmp.Or(r.FormValue("of"), kargo.StateGit), r.FormValue("stack"))
		})},
		{"GET /api/v1/why", needsToken, inspecting(s, func(ctx context.Context, r *http.Request) (kargo.Explained, error) {
			return s.Inspector.Why(ctx, r.FormValue("of"), r.FormValue("all") == "true")
		})},
		{"GET /api/v1/stacks", needsToken, inspecting(s, func(ctx context.Context, r *http.Request) ([]kargo.StackDetail, error) {
			return s.Inspector.Details(ctx, slices.DeleteFunc(r.URL.Query()["stack"], func(name string) bool { return name == "" })...)
		})},
		{"GET /api/v1/doctor", needsToken, unhurried(s.examine)},
		{"GET /api/v1/logs", needsToken, s.streaming(s.logs)},
		{"GET /api/v1/events", needsToken, s.streaming(s.events)},
	}
}

// inspecting returns the handler of a question that the inspector answers in JSON.
func inspecting[T any](s *Server, ask func(context.Context, *http.Request) (T, error)) http.HandlerFunc {
	return s.inspected(func(w http.ResponseWriter, r *http.Request) {
		found, err := ask(r.Context(), r)
		if err != nil {
			s.fail(w, err)
			return
		}
		answer(w, http.StatusOK, found)
	})
}

// inspected handles a request only where the inspector can be asked, and gives it time.
func (s *Server) inspected(next http.HandlerFunc) http.HandlerFunc {
	return unhurried(func(w http.ResponseWriter, r *http.Request) {
		if s.canInspect(w) {
			next(w, r)
		}
	})
}

// canInspect reports whether the inspector can be asked. It sends the response itself if
// there is none, or if another controller works.
func (s *Server) canInspect(w http.ResponseWriter) bool {
	if s.Inspector == nil {
		turnAway(w, http.StatusServiceUnavailable, notHere, "")
		return false
	}
	return !s.refersToLeader(w)
}

const notHere = "this controller does not answer questions about Swarm"

// examine responds with what the controller found out about what it depends on.
func (s *Server) examine(w http.ResponseWriter, r *http.Request) {
	if s.Doctor == nil {
		turnAway(w, http.StatusServiceUnavailable, notHere, "")
		return
	}
	answer(w, http.StatusOK, s.Doctor(r.Context()))
}
