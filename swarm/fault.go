package swarm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	dockerclient "github.com/docker/docker/client"

	"kargo"
	"kargo/pattern"
)

// Docker has no error type for most of what Swarm says: gRPC codes arrive as status
// 500 with a text. Where the type says nothing, these words decide.
var (
	// noQuorum: the daemon runs, and the managers have no leader.
	noQuorum = []string{
		"does not have a leader", "lost leader status", "code = DeadlineExceeded", "context deadline exceeded",
		"code = Unavailable", "code = Canceled",
	}
	// gateway is what a proxy in front of the daemon says, as text or as a page,
	// where it does not reach the daemon: statuses 502, 503 and 504.
	gateway = pattern.Lazy(`(?i)bad gateway|gateway time-?out|service (temporarily )?unavailable`)
	// movedOn: Swarm is not what it was when the plan was made.
	movedOn = []string{
		"update out of sequence", inUse, "already exists", "name conflicts",
		"is already in use by service", // a published port
	}
	// missing: an object of the plan did not exist any more when Swarm read it.
	missing = pattern.Lazy(`(configs?|secrets?) not found: |(network|service) \S+ not found`)
	// malformed: the daemon refused the spec, but without the status for it.
	malformed = pattern.Lazy(`constraint expected|invalid expr|(key|value) '.*' is invalid`)

	// decoration matches what the library and gRPC put before the daemon's words.
	decoration = pattern.Lazy(`^(Error response from daemon: )?(rpc error: code = \w+ desc = )?`)
)

// inUse is part of the refusal to remove an object that a service or task uses.
const inUse = "is in use by"

const tooOld = "Kargo needs Docker 20.10, API " + minimumAPI + ", or newer"

// daemonError is an error of Docker's in the daemon's own words.
type daemonError struct {
	err error
	// outOfReach reports that other calls would fail as well.
	outOfReach bool
}

func (e daemonError) Error() string { return decoration().ReplaceAllString(e.err.Error(), "") }
func (e daemonError) Unwrap() error { return e.err }

// classify returns an error of Docker's library with its fault; nil for nil.
func classify(err error) error {
	if err == nil {
		return nil
	}
	fault, hint := judge(err)
	return &kargo.Error{Fault: fault, Hint: hint, Err: daemonError{err, fault == kargo.Unavailable && outOfReach(err)}}
}

// isOutOfReach reports whether a classified error means that other calls would fail
// as well.
func isOutOfReach(err error) bool {
	var daemon daemonError
	return errors.As(err, &daemon) && daemon.outOfReach
}

// judge returns the fault of an error of Docker's library, and a hint. An unknown
// failure of the daemon is Unavailable and is tried again later: its cause is
// outside Kargo, either for a moment or as a bug of the daemon.
func judge(err error) (kargo.Fault, string) {
	text := err.Error()
	switch {
	case errors.Is(err, context.Canceled):
		return kargo.Unavailable, ""
	case errors.Is(err, context.DeadlineExceeded):
		return kargo.Unavailable, "the Docker daemon did not answer in time"
	case dockerclient.IsErrConnectionFailed(err):
		return kargo.Unavailable, "does Docker run there, and may this process open its socket?"
	case strings.Contains(text, "not a swarm manager"), strings.Contains(text, "not part of a swarm"):
		return kargo.Unavailable, "this node is not a swarm manager: run Kargo on a manager, or name one in DOCKER_HOST"
	case strings.Contains(text, "requires API version"):
		return kargo.Unavailable, tooOld
	case outOfReach(err):
		return kargo.Unavailable, whyOutOfReach(err)
	case errors.As(err, new(*json.SyntaxError)):
		return kargo.Unavailable, "the answer is not Docker's: does a proxy change it?"
	case errdefs.IsConflict(err), errdefs.IsNotFound(err), containsAny(text, movedOn), missing().MatchString(text):
		return kargo.Conflict, ""
	case errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return kargo.Unavailable, "the proxy in front of the Docker socket must allow services, networks, configs, secrets, tasks, nodes, distribution and events"
	case errdefs.IsInvalidArgument(err), errdefs.IsNotImplemented(err), malformed().MatchString(text):
		return kargo.Invalid, ""
	case isFromDaemon(err):
		return kargo.Unavailable, "the Docker daemon failed; it is asked again"
	}
	return kargo.Internal, ""
}

// outOfReach reports whether the daemon, or a Swarm with a leader behind it, was
// not reached at all.
func outOfReach(err error) bool {
	text := err.Error()
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		dockerclient.IsErrConnectionFailed(err) || errdefs.IsUnavailable(err) || cutOff(err) ||
		containsAny(text, noQuorum) || gateway().MatchString(text)
}

// whyOutOfReach names what is between Kargo and the Swarm's leader.
func whyOutOfReach(err error) string {
	switch text := err.Error(); {
	case containsAny(text, noQuorum):
		return "the managers have no leader for the moment, or too few of them are up; they are asked again"
	case gateway().MatchString(text):
		return "a proxy in front of Docker does not reach it"
	case cutOff(err):
		return "the connection to Docker broke off; it is made again"
	}
	return ""
}

// isFromDaemon reports whether the daemon, or a proxy in front of it, answered
// with a status that says that it failed.
func isFromDaemon(err error) bool {
	return errdefs.IsInternal(err) || errdefs.IsUnknown(err) || errdefs.IsDataLoss(err) ||
		errdefs.IsAborted(err) || errdefs.IsResourceExhausted(err)
}

// cutOff reports whether the connection broke in the middle of an answer.
func cutOff(err error) bool {
	var broken *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken)
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
