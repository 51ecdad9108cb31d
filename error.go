package kargo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Fault says what happens after an error. Each package classifies the errors
// that come from outside. One switch makes a fault the loop's timing, one a
// status code of HTTP, one an exit code.
type Fault int

// The four faults.
const (
	// Internal is a bug, a panic. It is the zero value: an error
	// that nobody classified is a bug.
	Internal Fault = iota
	// Invalid: the workspace is wrong. Nothing of that revision is applied;
	// the last good one stays in force.
	Invalid
	// Unavailable: git or Swarm is out of reach. Try again, with back-off.
	Unavailable
	// Conflict: Swarm changed since it was looked at. Look and plan again.
	Conflict
)

var faultNames = map[Fault]string{Internal: "internal", Invalid: "invalid", Unavailable: "unavailable", Conflict: "conflict"}

// String returns the fault's name, as status, metrics and the API show it.
func (f Fault) String() string { return faultNames[f] }

// MarshalText returns the fault's name.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText sets the fault with that name. An unknown name is an error.
func (f *Fault) UnmarshalText(name []byte) error {
	for fault, known := range faultNames {
		if known == string(name) {
			*f = fault
			return nil
		}
	}
	return fmt.Errorf("unknown fault %q", name)
}

// Error is an error with its fault, its place and a hint for the reader.
type Error struct {
	Fault Fault
	Where Place
	// Hint says what the reader can do; it may be empty. It is no part of the
	// text, which other errors may quote in the middle of theirs: see HintOf
	// and Explain.
	Hint string
	Err  error
}

// Error returns "where: message", without the hint.
func (e *Error) Error() string {
	if e.Where.IsZero() {
		return e.Err.Error()
	}
	return e.Where.String() + ": " + e.Err.Error()
}

// Unwrap returns the wrapped error, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// HintOf returns what the reader can do about an error: the hints of all Errors
// in it, the outermost first, without duplicates, separated by "; ". It is
// empty if there is none. The hints of Problems are part of their text.
func HintOf(err error) string { return strings.Join(hints(err, nil), "; ") }

// hints adds the hints in an error to those that were found before.
func hints(err error, found []string) []string {
	if known, ok := err.(*Error); ok && known.Hint != "" && !slices.Contains(found, known.Hint) {
		found = append(found, known.Hint)
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return hints(err.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, part := range err.Unwrap() {
			found = hints(part, found)
		}
	}
	return found
}

// Explain returns an error as one text for a person, with its hint in brackets.
// It is for a log, the status or a record, where the hint has no line of its
// own. Each of several joined errors has its own line.
func Explain(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var plain, explained []string
		for _, part := range joined.Unwrap() {
			plain = append(plain, part.Error())
			explained = append(explained, Explain(part))
		}
		if err.Error() == strings.Join(plain, "\n") { // fmt.Errorf with several %w has a text of its own
			return strings.Join(explained, "\n")
		}
	}
	if hint := HintOf(err); hint != "" {
		return err.Error() + " (" + hint + ")"
	}
	return err.Error()
}

// Errorf makes an Error without a place or a hint.
func Errorf(fault Fault, format string, args ...any) error {
	return &Error{Fault: fault, Err: fmt.Errorf(format, args...)}
}

// precedence orders the faults of joined errors. The first one present decides
// what happens next:
//
//   - Unavailable first: while git or Swarm is out of reach, nothing else can
//     be done. The retry shows again whatever else was wrong.
//   - Conflict next: planning again settles it, and shows the rest again.
//   - Internal before Invalid: a bug must not hide behind a workspace that is
//     wrong, because a revision whose only fault is Invalid is put in force.
var precedence = []Fault{Unavailable, Conflict, Internal, Invalid}

// FaultOf returns the fault of an error: that of the outermost Error or
// Problems in the chain, and Internal where there is none. Of joined errors it
// returns the fault that decides what happens next (see precedence).
func FaultOf(err error) Fault {
	switch err := err.(type) {
	case *Error:
		return err.Fault
	case Problems:
		return Invalid
	case interface{ Unwrap() error }:
		return FaultOf(err.Unwrap())
	case interface{ Unwrap() []error }:
		return faultOfAny(err.Unwrap())
	}
	return Internal
}

// faultOfAny returns the fault that comes first in precedence.
func faultOfAny(errs []error) Fault {
	found := map[Fault]bool{}
	for _, err := range errs {
		found[FaultOf(err)] = true
	}
	for _, fault := range precedence {
		if found[fault] {
			return fault
		}
	}
	return Internal
}

// Problem is one error or warning about a workspace.
type Problem struct {
	Where   Place
	Message string
	Hint    string // what the reader can do, or empty
	// Warning problems do not make the workspace invalid.
	Warning bool
	// Rule is the rule of the operator's policy that this is about, if it is
	// about one.
	Rule string
}

// problemJSON is a problem as the API has it.
type problemJSON struct {
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Warning bool   `json:"warning,omitempty"`
	Rule    string `json:"rule,omitempty"`
}

// MarshalJSON writes the place as two fields, path and line.
func (p Problem) MarshalJSON() ([]byte, error) {
	return json.Marshal(problemJSON{p.Where.File, p.Where.Line, p.Message, p.Hint, p.Warning, p.Rule})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Problem) UnmarshalJSON(data []byte) error {
	var read problemJSON
	err := json.Unmarshal(data, &read)
	*p = Problem{Place{read.Path, read.Line}, read.Message, read.Hint, read.Warning, read.Rule}
	return err
}

// String returns "file:line: message (hint)", with "warning: " before a
// warning's message.
func (p Problem) String() string {
	text := p.Message
	if p.Warning {
		text = "warning: " + text
	}
	if !p.Where.IsZero() {
		text = p.Where.String() + ": " + text
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

// Problems are the errors and warnings about a workspace. As an error value it
// contains only those that are not warnings.
type Problems []Problem

// Err returns nil if all problems are warnings, and otherwise the Problems
// themselves.
func (ps Problems) Err() error {
	if slices.ContainsFunc(ps, func(p Problem) bool { return !p.Warning }) {
		return ps
	}
	return nil
}

// Error returns one line for each problem that is not a warning.
func (ps Problems) Error() string {
	var lines []string
	for _, problem := range ps {
		if !problem.Warning {
			lines = append(lines, problem.String())
		}
	}
	return strings.Join(lines, "\n")
}

// Printable returns the problems as a terminal and a log can show them. The
// text that they quote from a workspace can contain any characters, and can be
// long.
func (ps Problems) Printable() Problems {
	for i := range ps {
		for _, text := range []*string{&ps[i].Where.File, &ps[i].Message, &ps[i].Hint} {
			if len(*text) > maxMessage {
				*text = strings.ToValidUTF8((*text)[:maxMessage], "") + "…"
			}
			*text = Printable(*text)
		}
	}
	return ps
}

const maxMessage = 500 // bytes

// Sort sorts the problems by place and then by message. It removes duplicates,
// because the same file can be read for several stacks.
func (ps Problems) Sort() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if c := strings.Compare(a.Where.File, b.Where.File); c != 0 {
			return c
		}
		if a.Where.Line != b.Where.Line {
			return a.Where.Line - b.Where.Line
		}
		return strings.Compare(a.Message, b.Message)
	})
	return slices.Compact(ps)
}
