package server

import (
	"cmp"
	"context"
	"net/http"
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
}

func (s *Server) inspectRoutes() []route {
	return []route{
		{"GET /api/v1/diff", needsToken, inspecting(s, func(ctx context.Context, r *http.Request) (kargo.Diff, error) {
			return s.Inspector.Diff(ctx, cmp.Or(r.FormValue("from"), kargo.StateLive), cmp.Or(r.FormValue("to"), kargo.StateGit), r.FormValue("stack"))
		})},
		{"GET /api/v1/rendering", needsToken, inspecting(s, func(ctx context.Context, r *http.Request) (kargo.RenderedState, error) {
			return s.Inspector.Rendering(ctx, cmp.Or(r.FormValue("of"), kargo.StateGit), r.FormValue("stack"))
		})},
	}
}

// inspecting returns the handler of a question that the inspector answers in JSON.
func inspecting[T any](s *Server, ask func(context.Context, *http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.Inspector == nil {
			turnAway(w, http.StatusServiceUnavailable, "nothing answers this here", "")
			return
		}
		if s.refersToLeader(w) {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), previewTime)
		defer cancel()
		// A test's recorder has no deadlines; that of a connection can be moved.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(previewTime + time.Minute))
		found, err := ask(ctx, r)
		if err != nil {
			s.fail(w, err)
			return
		}
		answer(w, http.StatusOK, found)
	}
}
