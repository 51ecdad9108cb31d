package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"kargo"
)

// maxRequest is how many bytes a request to the API may have.
const maxRequest = 64 << 10

// longestRound is how long a round or a reading may take before it counts as one that
// hangs: far beyond its deadline.
const longestRound = kargo.RoundTime * 3 / 2

// alive reports that the process runs, and that neither its round nor its reading of the
// repository hangs.
func (s *Server) alive(w http.ResponseWriter, _ *http.Request) {
	status := s.Controller.Status()
	for _, work := range []struct {
		what  string
		began time.Time
	}{{"a round", status.RoundBegan}, {"reading the repository", status.ReadingBegan}} {
		if took := s.now().Sub(work.began); !work.began.IsZero() && took > longestRound {
			say(w, http.StatusServiceUnavailable, fmt.Sprintf("not alive: %s has taken %s so far", work.what, took.Round(time.Second)))
			return
		}
	}
	say(w, http.StatusOK, "alive")
}

// ready responds with 200 once a revision is in force and this process has seen Swarm,
// and while the controller stands by.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	switch status := s.Controller.Status(); {
	case !status.Ready():
		say(w, http.StatusServiceUnavailable, "not ready: no revision was applied yet")
	case status.Leader == "" && status.LastVerified.IsZero():
		say(w, http.StatusServiceUnavailable, "not ready: the Swarm was not seen yet")
	default:
		say(w, http.StatusOK, "ready")
	}
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if s.Metrics == nil {
		notFound(w, r)
		return
	}
	s.Metrics.handler.ServeHTTP(w, r)
}

func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.Controller.Status())
}

// previewTime is how long a plan may take: a round may be under way, and git
// and Swarm are read for it.
const previewTime = 3 * time.Minute

func (s *Server) servePlan(w http.ResponseWriter, r *http.Request) {
	preview, err := s.Controller.Preview(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
	answer(w, http.StatusOK, preview)
}

func (s *Server) sync(w http.ResponseWriter, r *http.Request) {
	s.Controller.Nudge(who(r).Did("sync"))
	answer(w, http.StatusAccepted, result{"accepted"})
}

// retry takes {"stack": NAME, "reason": TEXT}.
func (s *Server) retry(w http.ResponseWriter, r *http.Request) {
	if stack, reason, ok := s.stackOf(w, r); ok {
		s.Controller.Retry(stack, because(who(r), reason))
		answer(w, http.StatusAccepted, result{"accepted"})
	}
}

// adopt takes {"stack": NAME, "reason": TEXT}.
func (s *Server) adopt(w http.ResponseWriter, r *http.Request) {
	if stack, reason, ok := s.stackOf(w, r); ok {
		s.Controller.Adopt(stack, because(who(r), reason))
		answer(w, http.StatusAccepted, result{"accepted"})
	}
}

// stackOf returns the stack that a request names, and the reason it gives. If there is
// no such stack, it sends the response itself and returns false.
func (s *Server) stackOf(w http.ResponseWriter, r *http.Request) (stack, reason string, known bool) {
	var request struct {
		Stack  string `json:"stack"`
		Reason string `json:"reason"`
	}
	if !decode(w, r, &request) || request.Stack == "" {
		reject(w, http.StatusBadRequest, "the request names no stack", `send {"stack": "NAME"}`)
		return "", "", false
	}
	if s.refersToLeader(w) {
		return "", "", false
	}
	known = slices.ContainsFunc(s.Controller.Status().Stacks, func(stack kargo.StackStatus) bool { return stack.Name == request.Stack })
	if !known {
		s.fail(w, kargo.Errorf(kargo.Invalid, "there is no stack %q", request.Stack))
	}
	return request.Stack, request.Reason, known
}

// refersToLeader responds with the name of the controller that works, if this one
// stands by, and reports whether it did.
func (s *Server) refersToLeader(w http.ResponseWriter) bool {
	leader := s.Controller.Status().Leader
	if leader == "" {
		return false
	}
	s.fail(w, &kargo.Error{Fault: kargo.Conflict, Err: fmt.Errorf("this controller stands by: %s leads", leader), Hint: "ask the controller on " + leader})
	return true
}

// decode reads the JSON of a request and reports whether it has the wanted form,
// and nothing besides.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into) == nil
}

// approve takes {"plan": ID, "reason": TEXT}.
func (s *Server) approve(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Plan   string `json:"plan"`
		Reason string `json:"reason"`
	}
	if !decode(w, r, &request) || request.Plan == "" {
		reject(w, http.StatusBadRequest, "the request names no plan", `send {"plan": "ID"}`)
		return
	}
	if s.refersToLeader(w) {
		return
	}
	if err := s.Controller.Approve(r.Context(), request.Plan, because(who(r), request.Reason)); err != nil {
		s.fail(w, err)
		return
	}
	answer(w, http.StatusOK, result{"approved"})
}

// who returns the person behind a request, for the history: the name that was said at
// the sign-in or sent with the token, which nothing proves, and where the request came
// from.
func who(r *http.Request) kargo.Person {
	sender, known := identityOf(r)
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !known {
		host = "local socket" // only there a request without a token comes this far
		name, _, _ := r.BasicAuth()
		sender.Name = shortName(name)
	}
	return kargo.Person{Name: sender.Name, From: host}
}

// because returns the person with the reason that was given.
func because(by kargo.Person, reason string) kargo.Person {
	by.Why = shortReason(reason)
	return by
}

// shortName returns a name that somebody else sent as it may be kept: printable,
// and of 64 characters at most.
func shortName(name string) string {
	runes := []rune(kargo.PrintableLine(strings.TrimSpace(name)))
	return string(runes[:min(len(runes), 64)])
}

// result is the body of a response that has no other.
type result struct {
	Result string `json:"result"`
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // the client has gone
}
