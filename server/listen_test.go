package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kargo/server"
)

// serve runs a server until the test or the returned function ends it. The
// function waits and returns what Serve did.
func serve(t *testing.T, address string, handler http.Handler) (net.Addr, func() error) {
	t.Helper()
	listener, err := server.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener, nil, handler, slog.New(slog.DiscardHandler)) }()
	var result error
	done := false
	stop := func() error {
		cancel()
		if !done {
			result, done = <-ended, true
		}
		return result
	}
	t.Cleanup(func() { _ = stop() })
	return listener.Addr(), stop
}

func TestSocketIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kargo.sock")
	if err := os.WriteFile(path, nil, 0o666); err != nil { // what a killed process left
		t.Fatal(err)
	}
	s, _ := newServer(healthy())
	_, stop := serve(t, "unix:"+path, s.LocalHandler())
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "mode", info.Mode().String(), "Srw-------")

	if _, err := server.Listen("unix:" + path); err == nil {
		t.Error("a second process took the socket over")
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://kargo/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	wantStatus(t, response, http.StatusOK)

	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// A socket that is removed or replaced is made again, and what took its place is kept.
func TestSocketStaysWhereItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kargo.sock")
	made := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	made(os.Mkdir(path+".new", 0o700))
	made(os.WriteFile(filepath.Join(path+".new", "in the way"), nil, 0o600)) // no socket can be made
	log := slog.New(slog.DiscardHandler)
	socket, err := server.OpenSocket(path, log)
	made(err)
	if said := socket.Trouble(); !strings.HasPrefix(said, "the socket of the commands cannot be made: ") {
		t.Errorf("it says %q", said)
	}
	made(os.RemoveAll(path + ".new"))
	s, _ := newServer(healthy())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- socket.Serve(ctx, s.LocalHandler()) }()
	answers := func(when string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if connection, err := net.Dial("unix", path); err == nil {
				connection.Close()
				return
			}
		}
		t.Fatalf("%s: nobody listens", when)
	}
	answers("when there is room")
	if said := socket.Trouble(); said != "" {
		t.Errorf("it says %q", said)
	}
	if _, err := server.OpenSocket(path, log); err == nil {
		t.Error("a second process took the socket over")
	}
	made(os.Remove(path))
	answers("after it was removed")
	made(os.Remove(path))
	made(os.Mkdir(path, 0o700))
	answers("after a directory took its place")
	if aside, err := filepath.Glob(path + ".replaced-*"); err != nil || len(aside) != 1 {
		t.Errorf("set aside are %q, %v", aside, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// A request under way may end; one that does not is cut off.
func TestServeEndsGracefully(t *testing.T) {
	for name, stubborn := range map[string]bool{"quick": false, "stubborn": true} {
		t.Run(name, func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				select {
				case <-release:
					_, _ = io.WriteString(w, "done")
				case <-r.Context().Done():
				}
			})
			address, stop := serve(t, "127.0.0.1:0", handler)
			answer := make(chan string, 1)
			go func() {
				response, err := http.Get("http://" + address.String())
				if err != nil {
					answer <- "cut off"
					return
				}
				defer response.Body.Close()
				body, _ := io.ReadAll(response.Body)
				answer <- string(body)
			}()
			<-entered
			want := "cut off"
			if !stubborn {
				want = "done"
				time.AfterFunc(10*time.Millisecond, func() { close(release) })
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			wantText(t, "answer", <-answer, want)
		})
	}
}

func TestListenOnTakenAddress(t *testing.T) {
	address, _ := serve(t, "127.0.0.1:0", http.NotFoundHandler())
	if _, err := server.Listen(address.String()); err == nil {
		t.Error("no error for an address that is taken")
	}
}
