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
	answer(w, httpStatus(problem.Fault), problem)
}

// reject refuses a request that is wrong in itself.
func reject(w http.ResponseWriter, status int, message, hint string) {
	answer(w, status, Problem{Fault: kargo.Invalid, Message: message, Hint: hint})
}

// turnAway refuses a request that may be right at another time.
func turnAway(w http.ResponseWriter, status int, message, hint string) {
	answer(w, status, Problem{Fault: kargo.Unavailable, Message: message, Hint: hint})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	reject(w, http.StatusNotFound, "there is nothing here", "")
}
