package render

import (
	"slices"
	"strings"
	"time"

	"kargo"
)

// Where a stack says nothing: long enough for a large image on a slow line,
// and long enough for a crash at start-up to show.
const (
	defaultDeadline = 10 * time.Minute
	defaultStable   = 5 * time.Second
)

// options reads the stack variables that say how a stack is treated.
func (r *renderer) options(stack string) kargo.StackOptions {
	prefix := kargo.EnvName(stack) + "_"
	return kargo.StackOptions{
		Adopt:    r.yesNo(prefix + "ADOPT"),
		Protect:  r.yesNo(prefix + "PROTECT"),
		Recreate: r.yesNo(prefix + "RECREATE"),
		Resolve: kargo.ResolveMode(r.oneOf(prefix+"RESOLVE",
			string(kargo.ResolveOnce), string(kargo.ResolveAlways), string(kargo.ResolveNever))),
		OnFailure: kargo.OnFailure(r.oneOf(prefix+"ON_FAILURE",
			string(kargo.FailureRollback), string(kargo.FailureHold), string(kargo.FailureContinue))),
		Drift: kargo.DriftMode(r.oneOf(prefix+"DRIFT",
			string(kargo.DriftEnforce), string(kargo.DriftWarn), string(kargo.DriftOff))),
		Ignore:   r.pointers(prefix + "IGNORE"),
		Deadline: r.duration(prefix+"DEADLINE", defaultDeadline),
		Stable:   r.duration(prefix+"STABLE", defaultStable),
	}
}

func (r *renderer) yesNo(variable string) bool {
	switch value := r.ws.Env[variable]; value {
	case "", "false":
		return false
	case "true":
		return true
	default:
		r.fail(r.variable(variable), "", "%s is %q, neither true nor false", variable, value)
		return false
	}
}

// oneOf is the variable's value, which must be one of the words; the first one
// where it is not set.
func (r *renderer) oneOf(variable string, words ...string) string {
	value := r.ws.Env[variable]
	if value == "" {
		return words[0]
	}
	if !slices.Contains(words, value) {
		r.fail(r.variable(variable), kargo.DidYouMean(value, words), "%s is %q, not one of %s", variable, value, strings.Join(words, ", "))
	}
	return value
}

func (r *renderer) duration(variable string, standard time.Duration) time.Duration {
	value := r.ws.Env[variable]
	if value == "" {
		return standard
	}
	duration, err := time.ParseDuration(value)
	if err != nil || duration < 0 {
		r.fail(r.variable(variable), `write it as "90s" or "10m"`, "%s is %q, which is no duration", variable, value)
		return standard
	}
	return duration
}

// pointers are JSON pointers (RFC 6901) into a service.
func (r *renderer) pointers(variable string) []string {
	pointers := r.ws.Env.List(variable)
	for _, pointer := range pointers {
		if !strings.HasPrefix(pointer, "/Spec/") {
			r.fail(r.variable(variable), `write it as "/Spec/Mode/Replicated/Replicas"`, "%s: %q is no JSON pointer into a service", variable, pointer)
		}
	}
	return pointers
}
