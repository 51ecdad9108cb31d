// Package server serves HTTP: webhooks that ask the controller for a round, a
// JSON API, metrics, and a page for people. It reads the controller's status
// and the history. It changes nothing itself: it passes the requests of people
// to the controller.
//
// A [Server] makes handlers, [Listen] opens an address or a socket, and [Serve]
// serves a handler there until its context ends. Handlers may be called from
// any number of goroutines. So the [Controller] and the [History] must be safe
// for concurrent use.
//
// One table decides about access, [Server.routes]. A route without an entry for
// access needs the token, and so does each path that is not in the table. So
// without the token nobody can learn which paths exist.
//
// Every error is a [Problem] in JSON. Its status code follows from the fault:
// 422 invalid, 503 unavailable, 409 conflict, 500 internal. An error of the
// request itself is invalid, with 400, 401, 404 or 413.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"kargo"
)

// Controller is what the server needs of the loop. Its methods are called from
// many goroutines. Status, Nudge, Retry and Adopt return at once.
type Controller interface {
	// Status returns what the controller knows now.
	Status() kargo.Status
	// Preview returns the plan that a round would carry out now. It may take as
	// long as reading git and Swarm does.
	Preview(ctx context.Context) (kargo.Preview, error)
	// Nudge asks for a round soon. trigger is the reason that the history
	// gives. Nudges that come close together are one.
	Nudge(trigger string)
	// Approve lifts those holds of the plan with that ID that wait for a
	// person. It lifts no hold of another plan. The error is a Conflict if the next
	// round's plan is another one.
	Approve(ctx context.Context, plan string, by kargo.Person) error
	// Hold, Rollback, Release, Suspend and Resume do what a person decides, between
	// two rounds. The error is Invalid if it does not fit what there is.
	Hold(ctx context.Context, stack string, stop kargo.Stop) error
	Rollback(ctx context.Context, stack string, to kargo.BackTo, stop kargo.Stop) error
	Release(ctx context.Context, stack string, by kargo.Person, why string) error
	Suspend(ctx context.Context, stop kargo.Stop) error
	Resume(ctx context.Context, by kargo.Person, why string) error
	// PreviewRollback returns the plan that Rollback would lead to.
	PreviewRollback(ctx context.Context, stack string, to kargo.BackTo) (kargo.Preview, error)
	// Retry makes the next round send a stack's failed rendering again.
	Retry(stack string, by kargo.Person)
	// Adopt makes the next round take over objects of a stack's names that have
	// no owner.
	Adopt(stack string, by kargo.Person)
}

// History is what the server needs of the records. Its methods are called from
// many goroutines.
type History interface {
	// Kept returns the renderings of a stack that it can go back to, the newest
	// first.
	Kept(stack string) ([]kargo.KeptRendering, error)
	// KeptDigests returns the digests of these renderings, in no order.
	KeptDigests(stack string) []string
	// Deployment returns the deployment with that number, or nil if it is not
	// stored.
	Deployment(number uint64) (*kargo.Deployment, error)
	// Deployments returns at most limit deployments with numbers below before,
	// the newest first. If before is 0, it starts with the newest of all.
	Deployments(before uint64, limit int) ([]kargo.Deployment, error)
	// DeploymentsAbout returns those of them that were about a stack.
	DeploymentsAbout(stack string, before uint64, limit int) ([]kargo.Deployment, error)
	// DeploymentsOf returns at most limit deployments of the revisions, or with one of
	// the commits, that begin with start; the newest first.
	DeploymentsOf(start string, limit int) ([]kargo.Deployment, error)
}

// Server makes the handlers. Its fields are set before the first handler is
// made, and do not change after that.
//
// It has many methods because each route is one: the table in routes names the
// method that handles it, and all of them need the controller or the history.
type Server struct {
	Controller Controller
	History    History
	// Inspector answers questions that need more than the status. If it is nil, its
	// routes respond with 503.
	Inspector Inspector
	// Doctor examines what the controller depends on; nil where nothing does.
	Doctor func(context.Context) []kargo.Finding

	// Token returns the token of API and page. It is called for each request.
	// If it is nil, fails or returns nothing, each route that needs the token
	// responds with 503.
	Token func() ([]byte, error)
	// WebhookSecret is called for each request. If it is nil, fails or returns
	// nothing, webhooks are refused with 503, because Kargo accepts no unsigned
	// ones.
	WebhookSecret func() ([]byte, error)
	// Ref is the tracked branch or tag. A push of another one is acknowledged
	// and asks for no round. If Ref is empty, each push asks for one.
	Ref string
	// OpenMetrics serves /metrics without the token, for a network where only
	// Prometheus can reach it.
	OpenMetrics bool
	// Profiles serves profiles of the process under /debug/pprof. Profiles contain
	// names of functions, and no data.
	Profiles bool

	// Settings are the operator's, as they may be shown.
	Settings map[string]string
	// CommitURL is the address of a commit for browsers, with {commit} in it. If it is
	// empty, it is made of the repository's address where the forge is known.
	CommitURL string

	Metrics *Metrics         // nil: no /metrics
	Log     *slog.Logger     // nil: slog.Default
	Now     func() time.Time // nil: time.Now

	streams streams
	changes changes
	memory  sessionMemory
}

// sessionMemory is what is remembered of those who sign in.
type sessionMemory struct {
	once    sync.Once
	guesses *rate.Limiter // of the token
	ended   *recent       // sessions that were ended before their time
	process sessionProcess
}

func (s *Server) remembered() *sessionMemory {
	s.memory.once.Do(func() {
		s.memory.guesses, s.memory.ended, s.memory.process = rate.NewLimiter(5, 20), newRecent(maxEnded), newSessionProcess()
	})
	return &s.memory
}

func (s *Server) guesses() *rate.Limiter { return s.remembered().guesses }

func (s *Server) ended() *recent { return s.remembered().ended }

func (s *Server) process() sessionProcess { return s.remembered().process }

// access is what a request needs for a route.
type access int

const (
	needsToken     access = iota // the zero value: deny by default
	needsForm                    // the token, or a session and a form of it
	needsSignature               // a webhook; its handler verifies the body
	open                         // shows nothing of the installation
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
		{"GET /api/v1/plan", needsToken, unhurried(s.servePlan)},
		{"GET /api/v1/deployments", needsToken, s.serveDeployments},
		{"GET /api/v1/deployments/{number}", needsToken, s.serveDeployment},
		{"POST /api/v1/sync", needsToken, s.sync},
		{"POST /api/v1/approve", needsToken, s.approve},
		{"POST /api/v1/retry", needsToken, s.retry},
		{"POST /api/v1/adopt", needsToken, s.adopt},
		{"POST /api/v1/hold", needsToken, s.ordered(s.hold)},
		{"POST /api/v1/rollback", needsToken, s.ordered(s.rollback)},
		{"POST /api/v1/release", needsToken, s.ordered(s.release)},
		{"POST /api/v1/suspend", needsToken, s.ordered(s.suspend)},
		{"POST /api/v1/resume", needsToken, s.ordered(s.resume)},

		{"GET /{$}", needsToken, s.overviewPage},
		{"GET /stacks/{name}", needsToken, s.stackPage},
		{"GET /stacks/{name}/rendering", needsToken, s.inspected(s.renderingPage)},
		{"GET /stacks/{name}/why", needsToken, s.inspected(s.whyPage)},
		{"GET /revisions/{commit}", needsToken, s.revisionPage},
		{"GET /compare", needsToken, s.inspected(s.comparePage)},
		{"GET /settings", needsToken, s.settingsPage},
		{"GET /nodes", needsToken, s.inspected(s.nodesPage)},
		{"GET /deployments", needsToken, s.deploymentsPage},
		{"GET /deployments/{number}", needsToken, s.deploymentPage},
		{"GET /actions/{action}", needsToken, unhurried(s.actionPage)},
		{"POST /actions/{action}", needsForm, s.requireForm(unhurried(s.act))},
		{"POST /sign-in", open, s.signIn},
		{"POST /sign-out", needsForm, s.requireForm(s.signOut)},
		{"GET /live", needsToken, s.live},
		{"GET /static/", open, serveStatic},
		{"/", needsToken, notFound},
	}
	routes = append(routes, s.inspectRoutes()...)
	if s.Profiles {
		routes = append(routes, profileRoutes()...)
	}
	webhooks := newReceiver(s)
	for _, provider := range providers {
		routes = append(routes, route{"POST /hooks/" + provider.name, needsSignature, webhooks.handler(provider)})
	}
	return routes
}

// Handler returns a handler of all routes, for requests with the token.
func (s *Server) Handler() http.Handler { return s.handler(s.require) }

// LocalHandler returns the same without the token. It is for a unix socket that
// only the owner can open, see [Listen].
func (s *Server) LocalHandler() http.Handler {
	return s.handler(func(_ access, next http.Handler) http.Handler { return next })
}

// handler returns a handler of the table. guard wraps the routes that need the
// token.
func (s *Server) handler(guard func(access, http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, route := range s.routes() {
		var handler http.Handler = route.handle
		if route.access == needsToken || route.access == needsForm {
			handler = guard(route.access, handler)
		}
		mux.Handle(route.pattern, handler)
	}
	// A browser also sends the password with a POST that another site causes.
	// Such a request is refused because of its origin.
	ownOrigin := http.NewCrossOriginProtection()
	ownOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sendProblem(w, http.StatusForbidden, Problem{Fault: kargo.Invalid, Message: "the request comes from a page of another site",
			Hint: "a proxy in front of Kargo has to pass on the header Host"})
	}))
	return s.forBrowsers(s.recoverPanics(secureHeaders(ownOrigin.Handler(mux))))
}

// secureHeaders forbids a browser nearly everything that it could do with a
// response.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// recoverPanics responds to a panic with 500. The stack trace is logged, and is
// not in the response.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler {
					panic(cause)
				}
				s.log().Error("panic in a handler", "path", r.URL.Path, "cause", cause)
				sendProblem(w, http.StatusInternalServerError, Problem{Fault: kargo.Internal, Message: "a bug; the log has more"})
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
