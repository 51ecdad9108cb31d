package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
