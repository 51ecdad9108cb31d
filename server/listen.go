package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// graceful is how long requests may take to end when the server has to.
const graceful = 1500 * time.Millisecond

// Listen listens on host:port, or on a unix socket if the address is "unix:"
// and a path. From the first moment only the owner can open a socket. A socket
// of a dead process is replaced. If another process still listens there, that
// is an error.
func Listen(address string) (net.Listener, error) {
	path, isSocket := strings.CutPrefix(address, "unix:")
	if !isSocket {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		return listener, nil
	}
	return listenOnSocket(path)
}

var errInUse = errors.New("another process listens there")

// listenOnSocket also sets aside what has the name of the socket and is none.
func listenOnSocket(path string) (*socket, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, errInUse)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		if err := os.Rename(path, fmt.Sprintf("%s.replaced-%d", path, time.Now().Unix())); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
	}
	listener, err := listenPrivately(path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return listener, nil
}

// listenPrivately sets the mode under another name, so that there is no
// moment at which the socket has its name and the wrong mode.
func listenPrivately(path string) (*socket, error) {
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // it would remove the temporary name
	err = os.Chmod(temporary, 0o600)
	var made os.FileInfo
	if err == nil {
		made, err = os.Lstat(temporary)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		listener.Close()
		os.Remove(temporary)
		return nil, err
	}
	return &socket{listener, path, made}, nil
}

// socket removes its file when it is closed.
type socket struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// inPlace reports whether the file of the socket is still there.
func (s *socket) inPlace() bool {
	found, err := os.Lstat(s.path)
	return err == nil && os.SameFile(found, s.made)
}

func (s *socket) Close() error {
	var err error
	if s.inPlace() { // else it is somebody else's
		err = os.Remove(s.path)
	}
	return errors.Join(err, s.UnixListener.Close())
}

// Serve serves requests until the context ends, and then lets those that have
// begun finish for a moment. It closes the listener. It returns nil if the
// context ended. With settings of TLS, see [WithTLS], it serves https.
func Serve(ctx context.Context, listener net.Listener, secure *tls.Config, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		TLSConfig:         secure,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxRequestsOfOne},
		ConnContext:       withConnection,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), serving, ctx.Done())
		},
	}
	ended := make(chan error, 1)
	go func() {
		if bounded := newBounded(listener, maxConnections); secure == nil {
			ended <- server.Serve(bounded)
		} else {
			ended <- server.ServeTLS(bounded, "", "")
		}
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	if err := server.Shutdown(waiting); err != nil {
		// A client is slow; nothing that is served here is worth waiting for.
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	return nil
}

// contextKey is of the values that the server gives to the contexts of requests.
type contextKey int

const (
	serving    contextKey = iota // a channel that is closed when the server has to end
	letIn                        // set if the request had to have the token
	connection                   // the *boundedConn of the request
)

// ending returns a channel that is closed when the server of a request has to end. It
// is for what would not end by itself.
func ending(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(serving).(<-chan struct{})
	return done
}
