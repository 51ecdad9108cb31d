// Package server answers over HTTP: webhooks that nudge the controller, a
// small JSON API, metrics, and a page for people. It reads the controller's
// status and the history and changes nothing itself.
//
// Access is decided in one table, [Server.routes]. A route that says nothing
// needs the token, and so does every path that is not in the table: without
// the token, what exists cannot be told from what does not.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"kargo"
)

// Controller is what the server needs of the loop.
type Controller interface {
	// Status is what the controller knows now.
	Status() kargo.Status
	// Preview returns the plan that a round would carry out now. It may take as
	// long as reading git and Swarm does.
	Preview(ctx context.Context) (kargo.Preview, error)
	// Nudge asks for a round soon, and names the reason for the history. It
	// returns at once; nudges that come close together are one.
	Nudge(trigger string)
	// Approve lifts the approvable holds of the plan with that ID, and of no
	// other. by names who did it.
	Approve(plan, by string) error
	// Retry lifts the quarantine of a stack's failed rendering, Adopt takes
	// over what carries no owner under its names; both soon, not at once.
	Retry(stack string)
	Adopt(stack string)
}

// History is what the server needs of the records.
type History interface {
	// Deployment returns the deployment with that number, or nil where none
	// is kept.
	Deployment(number uint64) (*kargo.Deployment, error)
	// Deployments returns those with numbers below before, the newest first,
	// and limit of them at most. 0 for before begins with the newest of all.
	Deployments(before uint64, limit int) ([]kargo.Deployment, error)
}

// Server makes the handlers. Its fields are set once, before.
type Server struct {
	Controller Controller
	History    History

	// Token is read at each request. Where it is nil, fails or is empty,
	// everything that needs it answers 503.
	Token func() ([]byte, error)
	// WebhookSecret is read at each request. Where it is nil, fails or is
	// empty, webhooks answer 503: there are no unsigned ones.
	WebhookSecret func() ([]byte, error)
	// Ref is the tracked branch or tag. A push of another one is acknowledged
	// and does not nudge. Empty means that every push nudges.
	Ref string
	// OpenMetrics serves /metrics without the token, for a network where only
	// Prometheus can reach it.
	OpenMetrics bool

	Metrics *Metrics         // nil: no /metrics
	Log     *slog.Logger     // nil: slog.Default
	Now     func() time.Time // nil: time.Now
}

// access is what a route asks of a request.
type access int

const (
	needsToken     access = iota // the zero value: deny by default
	needsSignature               // a webhook; its handler verifies the body
	open                         // says nothing about the installation
)

// route is one line of the table. The pattern is http.ServeMux's.
type route struct {
	pattern string
	access  access
	handle  http.HandlerFunc
}

func (s *Server) routes() []route {
	metrics := needsToken
	if s.OpenMetrics {
		metrics = open
	}
	routes := []route{
		{"GET /healthz", open, s.alive},
		{"GET /readyz", open, s.ready},
		{"GET /metrics", metrics, s.serveMetrics},

		{"GET /api/v1/status", needsToken, s.serveStatus},
		{"GET /api/v1/plan", needsToken, s.servePlan},
		{"GET /api/v1/deployments", needsToken, s.serveDeployments},
		{"GET /api/v1/deployments/{number}", needsToken, s.serveDeployment},
		{"POST /api/v1/sync", needsToken, s.sync},
		{"POST /api/v1/approve", needsToken, s.approve},
		{"POST /api/v1/retry", needsToken, s.retry},
		{"POST /api/v1/adopt", needsToken, s.adopt},

		{"GET /{$}", needsToken, s.overviewPage},
		{"GET /deployments", needsToken, s.deploymentsPage},
		{"GET /deployments/{number}", needsToken, s.deploymentPage},
		{"GET /static/", needsToken, serveStatic},
		{"/", needsToken, notFound},
	}
	webhooks := newReceiver(s)
	for _, provider := range providers {
		routes = append(routes, route{"POST /hooks/" + provider.name, needsSignature, webhooks.handler(provider)})
	}
	return routes
}

// Handler serves everything, to whoever has the token.
func (s *Server) Handler() http.Handler { return s.handler(s.requireToken) }

// LocalHandler serves the same without the token. It is for a unix socket that
// only the owner can open, see [Listen].
func (s *Server) LocalHandler() http.Handler {
	return s.handler(func(next http.Handler) http.Handler { return next })
}

// handler puts the table behind its guards. guard is what stands before the
// routes that need the token.
func (s *Server) handler(guard func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, route := range s.routes() {
		var handler http.Handler = route.handle
		if route.access == needsToken {
			handler = guard(handler)
		}
		mux.Handle(route.pattern, handler)
	}
	// A browser sends the password along with what another site makes it
	// post; that is refused by where the request says it comes from.
	return s.recoverPanics(secureHeaders(http.NewCrossOriginProtection().Handler(mux)))
}

// secureHeaders says what a browser may do with an answer: as good as nothing.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// recoverPanics turns a bug into a 500. The stack goes to the log, not out.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler {
					panic(cause)
				}
				s.log().Error("panic in a handler", "path", r.URL.Path, "cause", cause)
				answer(w, http.StatusInternalServerError, Problem{Fault: kargo.Internal, Message: "a bug; the log has more"})
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
