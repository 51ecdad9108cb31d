package swarm

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
	dockerclient "github.com/docker/docker/client"

	"kargo"
)

// Docker has no typed error for most of what Swarm says: gRPC codes arrive as
// status 500 and a text. So where the type says nothing, these words do.
var (
	// unreachable: the daemon is up, its raft is not.
	unreachable = []string{
		"does not have a leader", "code = DeadlineExceeded", "context deadline exceeded",
		"code = Unavailable", "code = Canceled",
	}
	// movedOn: Swarm is not what it was when the plan was made.
	movedOn = []string{
		"update out of sequence", "is in use by", "already exists", "name conflicts",
	}
	// missing: a plan named an object that was gone by the time Swarm read it.
	missing = regexp.MustCompile(`(configs?|secrets?) not found: |(network|service) \S+ not found`)
	// malformed: the daemon judged the spec, but without the code for it.
	malformed = regexp.MustCompile(`constraint expected|invalid expr|(key|value) '.*' is invalid`)

	// decoration is what the library and gRPC put before the daemon's words.
	decoration = regexp.MustCompile(`^(Error response from daemon: )?(rpc error: code = \w+ desc = )?`)
)

const tooOld = "Kargo needs Docker 20.10, API " + minimumAPI + ", or newer"

// daemonError is an error of Docker's in the daemon's own words.
type daemonError struct{ err error }

func (e daemonError) Error() string { return decoration.ReplaceAllString(e.err.Error(), "") }
func (e daemonError) Unwrap() error { return e.err }

// classify gives an error of Docker's library its fault. nil stays nil.
func classify(err error) error {
	if err == nil {
		return nil
	}
	fault, hint := judge(err)
	return &kargo.Error{Fault: fault, Hint: hint, Err: daemonError{err}}
}

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
	case errdefs.IsUnavailable(err), cutOff(err), containsAny(text, unreachable):
		return kargo.Unavailable, ""
	case errdefs.IsConflict(err), errdefs.IsNotFound(err), containsAny(text, movedOn), missing.MatchString(text):
		return kargo.Conflict, ""
	case errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return kargo.Unavailable, "the proxy in front of the Docker socket must allow services, networks, configs, secrets, tasks, nodes, distribution and events"
	case errdefs.IsInvalidArgument(err), errdefs.IsNotImplemented(err), malformed.MatchString(text):
		return kargo.Invalid, ""
	}
	return kargo.Internal, ""
}

// cutOff reports whether the connection broke in the middle of an answer.
func cutOff(err error) bool {
	var broken *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken)
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
