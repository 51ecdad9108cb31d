package server

import (
	"errors"
	"net/http"
	"strings"

	"kargo"
)

// Problem is the body of each response that refuses a request or reports an
// error. The server makes it, and a client decodes the same type. So fault and
// hint arrive unchanged.
type Problem struct {
	// Fault says what to do next. A client takes it from here and not from the
	// status code.
	Fault kargo.Fault `json:"fault"`
	// Message says what is wrong, without hint and place.
	Message string `json:"error"`
	// Hint says what the reader can do; it may be empty.
	Hint string `json:"hint,omitempty"`
	// Place is the file and line that is wrong, if there is one.
	Place kargo.Place `json:"place,omitzero"`
	// Problems list the problems of a workspace, if it is refused. Message has
	// the same as text.
	Problems kargo.Problems `json:"problems,omitempty"`
}

// ProblemOf returns an error as a Problem.
func ProblemOf(err error) Problem {
	problem := Problem{Fault: kargo.FaultOf(err), Hint: kargo.HintOf(err), Message: err.Error()}
	errors.As(err, &problem.Problems)
	var placed *kargo.Error
	if errors.As(err, &placed) {
		problem.Place = placed.Where
	}
	if !problem.Place.IsZero() {
		problem.Message = strings.TrimPrefix(problem.Message, problem.Place.String()+": ")
	}
	return problem
}

// Err returns the problem as an error with the same fault, place, hint and
// problems.
func (p Problem) Err() error {
	place := p.Place
	if strings.Contains(p.Message, place.String()+": ") {
		place = kargo.Place{} // the message has it, in the middle
	}
	return &kargo.Error{Fault: p.Fault, Where: place, Hint: p.Hint, Err: reported{p.Message, p.Problems}}
}

// reported is the text of an error of another process.
type reported struct {
	message  string
	problems kargo.Problems
}

func (r reported) Error() string { return r.message }

func (r reported) Unwrap() error { return r.problems.Err() }

// httpStatus returns the status code of a fault. It is the only place that
// decides it.
func httpStatus(fault kargo.Fault) int {
	switch fault {
	case kargo.Invalid:
		return http.StatusUnprocessableEntity
	case kargo.Unavailable:
		return http.StatusServiceUnavailable
	case kargo.Conflict:
		return http.StatusConflict
	case kargo.Internal:
	}
	return http.StatusInternalServerError
}

// fail responds with an error. A bug is also logged.
func (s *Server) fail(w http.ResponseWriter, err error) {
	problem := ProblemOf(err)
	if problem.Fault == kargo.Internal {
		s.log().Error("request failed", "error", err)
	}
	sendProblem(w, httpStatus(problem.Fault), problem)
}

// reject refuses a request that is wrong in itself.
func reject(w http.ResponseWriter, status int, message, hint string) {
	sendProblem(w, status, Problem{Fault: kargo.Invalid, Message: message, Hint: hint})
}

// turnAway refuses a request that may be right at another time.
func turnAway(w http.ResponseWriter, status int, message, hint string) {
	sendProblem(w, status, Problem{Fault: kargo.Unavailable, Message: message, Hint: hint})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	reject(w, http.StatusNotFound, "there is nothing here", "")
}

// sendProblem responds with a problem: as JSON, or as a page if a person looks at it.
func sendProblem(w http.ResponseWriter, status int, problem Problem) {
	if page, isPage := w.(*pageWriter); isPage {
		page.server.problemPage(page, status, problem)
		return
	}
	answer(w, status, problem)
}

// pageWriter is the writer of a request by a browser that wants a page.
type pageWriter struct {
	http.ResponseWriter
	server  *Server
	request *http.Request // with who sent it, once that is known
}

// Unwrap returns the writer below, for http.ResponseController.
func (p *pageWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// forBrowsers notes which requests want a page.
func (s *Server) forBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wantsPage(r) {
			w = &pageWriter{w, s, r}
		}
		next.ServeHTTP(w, r)
	})
}

// wantsPage reports whether a request accepts HTML, at an address for people.
func wantsPage(r *http.Request) bool {
	for _, prefix := range []string{"/api/", "/hooks/", "/metrics", "/live", "/static/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return false
		}
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// problemView is what the page of a problem shows.
type problemView struct {
	frame
	Code    int
	Word    string
	Problem Problem
}

// problemPage responds with a problem as a page. The state of the controller is on it
// for those only who were let in.
func (s *Server) problemPage(w http.ResponseWriter, status int, problem Problem) {
	request := w.(*pageWriter).request
	view := problemView{Code: status, Word: http.StatusText(status), Problem: problem}
	name := "stranger.html"
	if _, known := identityOf(request); known {
		view.frame = s.frame(request, s.Controller.Status())
		name = "problem.html"
	}
	view.Title = view.Word + " – Kargo"
	s.render(w, request, status, name, view)
}

// signInView is what the page shows at which a person signs in.
type signInView struct {
	frame
	Next, Wrong string
}

// askToSignIn responds with the page at which a person signs in, and goes on from
// there.
func (s *Server) askToSignIn(w http.ResponseWriter, r *http.Request, next, wrong string) {
	view := signInView{Next: localPath(next), Wrong: wrong}
	view.Title, view.Summary.Tone = "Sign in – Kargo", "idle"
	s.render(w, r, http.StatusUnauthorized, "sign-in.html", view)
}
