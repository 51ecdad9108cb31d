package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Socket is a unix socket that stays where it is: if its file is removed or replaced,
// it is made again.
type Socket struct {
	path string
	log  *slog.Logger

	listener *socket // belongs to Serve; nil while there is none

	mu      sync.Mutex
	trouble string
}

// lookAtSocket is the time between two looks at the file of a socket.
const lookAtSocket = 2 * time.Second

// errNotInPlace ends the serving on a socket whose file is gone.
var errNotInPlace = errors.New("the socket was removed or replaced")

// OpenSocket makes a socket that only the owner can open. A file that has its name and
// is no socket is set aside. If another process listens there, that is an error. A disk
// that takes no socket is none: Serve makes it as soon as that is possible.
func OpenSocket(path string, log *slog.Logger) (*Socket, error) {
	s := &Socket{path: path, log: log}
	listener, err := listenOnSocket(path)
	switch {
	case errors.Is(err, errInUse):
		return nil, err
	case err != nil:
		s.say(err)
	default:
		s.listener = listener
	}
	return s, nil
}

// Close removes the socket where it was not served on to the end.
func (s *Socket) Close() {
	if s.listener != nil {
		_ = s.listener.Close()
	}
}

// Trouble says in words what is wrong with the socket. It is empty if nothing is.
func (s *Socket) Trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// Serve serves requests until the context ends, see [Serve]. An error means that the
// socket is in its place and cannot be served on.
func (s *Socket) Serve(ctx context.Context, handler http.Handler) error {
	for s.listener != nil || s.reopen(ctx) {
		within, leave := context.WithCancelCause(ctx)
		go watchSocket(within, s.listener, leave)
		err := Serve(within, s.listener, nil, handler, s.log)
		lost := errors.Is(context.Cause(within), errNotInPlace)
		leave(nil)
		if err != nil || !lost {
			return err
		}
		s.log.Warn(errNotInPlace.Error(), "path", s.path)
		s.listener = nil
	}
	return nil
}

// watchSocket leaves when the file of a socket is not in its place any more.
func watchSocket(ctx context.Context, listener *socket, leave context.CancelCauseFunc) {
	for listener.inPlace() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAtSocket):
		}
	}
	leave(errNotInPlace)
}

// reopen makes the socket again, as soon as that is possible, and its directory, which may
// have been removed as well. It returns false if ctx ends before.
func (s *Socket) reopen(ctx context.Context) bool {
	for {
		_ = os.MkdirAll(filepath.Dir(s.path), 0o700) // else the socket says why not
		listener, err := listenOnSocket(s.path)
		s.say(err)
		if err == nil {
			s.listener = listener
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(lookAtSocket):
		}
	}
}

// say notes why the socket cannot be made; nil if it can.
func (s *Socket) say(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = ""
	if err != nil {
		s.trouble = "the socket of the commands cannot be made: " + err.Error()
	}
}
