package compose

import (
	"fmt"

	"kargo"
)

// maxProblems are reported of a workspace; nobody would read more.
const maxProblems = 1000

// Report collects the problems of a workspace. Its zero value is empty.
type Report struct {
	problems kargo.Problems
	errors   int
	// causes say for a place what is probably the cause of an error there.
	causes map[kargo.Place]func() string
}

// anEmptyVariable is the hint of an error that an empty variable has caused, where it is
// not known which one.
const anEmptyVariable = "the variable it reads is empty or not set"

// suspect notes the cause that an error at a place would have. It is asked for only where
// there is an error.
func (r *Report) suspect(at kargo.Place, cause func() string) {
	if r.causes == nil {
		r.causes = map[kargo.Place]func() string{}
	}
	r.causes[at] = cause
}

// hintAt adds the cause of an error to its hint.
func (r *Report) hintAt(at kargo.Place, hint string) string {
	cause, known := r.causes[at]
	switch {
	case !known:
		return hint
	case hint == "" || hint == anEmptyVariable:
		return cause()
	}
	return hint + "; " + cause()
}

// Fail reports an error. The hint may be empty.
func (r *Report) Fail(at kargo.Place, hint, format string, args ...any) {
	r.errors++
	r.add(kargo.Problem{Where: at, Message: fmt.Sprintf(format, args...), Hint: r.hintAt(at, hint)})
}

// Warn reports what is odd and does not harm the rendering.
func (r *Report) Warn(at kargo.Place, hint, format string, args ...any) {
	r.add(kargo.Problem{Where: at, Message: fmt.Sprintf(format, args...), Hint: hint, Warning: true})
}

// add keeps a problem while there is room. The first error is kept always.
func (r *Report) add(problem kargo.Problem) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, problem)
	} else if !problem.Warning && r.problems.Err() == nil {
		r.problems[maxProblems-1] = problem
	}
}

// Append adds what another report has.
func (r *Report) Append(other *Report) {
	r.errors += other.errors
	for _, problem := range other.problems {
		r.add(problem)
	}
}

// IsEmpty reports whether nothing was reported.
func (r *Report) IsEmpty() bool { return len(r.problems) == 0 }

// Errors returns how many errors were reported so far.
func (r *Report) Errors() int { return r.errors }

// Problems returns what was reported, sorted by place.
func (r *Report) Problems() kargo.Problems { return r.problems.Sort() }
