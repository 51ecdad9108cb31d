package server_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"kargo"
)

// stream opens the stream of changes, and returns its events.
func stream(t *testing.T, address string) (response *http.Response, next func() (event string, err error)) {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), "GET", address+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	sent.Header.Set("Authorization", "Bearer "+token)
	response, err = http.DefaultClient.Do(sent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewReader(response.Body)
	return response, func() (string, error) {
		for {
			line, err := lines.ReadString('\n')
			if event, found := strings.CutPrefix(line, "event: "); found || err != nil {
				return strings.TrimSpace(event), err
			}
		}
	}
}

// A page is told that something has changed, and not what.
func TestLiveTellsOfChanges(t *testing.T) {
	t.Parallel()
	s, controller := newServer(healthy())
	address, _ := serve(t, "127.0.0.1:0", s.Handler())
	response, next := stream(t, "http://"+address.String())
	wantText(t, "type", response.Header.Get("Content-Type"), "text/event-stream")
	for _, c := range []struct {
		status kargo.Status
		want   string
	}{{healthy(), "open"}, {troubled(), "changed"}, {healthy(), "changed"}} {
		controller.set(c.status)
		event, err := next()
		if err != nil || event != c.want {
			t.Fatalf("event %q, %v; want %q", event, err, c.want)
		}
	}
}

// A stream is let in with the token, and ends when that is another one.
func TestLiveEndsWithTheToken(t *testing.T) {
	t.Parallel()
	s, _ := newServer(healthy())
	var renewed atomic.Bool
	s.Token = func() ([]byte, error) {
		if renewed.Load() {
			return []byte("another"), nil
		}
		return []byte(token), nil
	}
	address, _ := serve(t, "127.0.0.1:0", s.Handler())
	_, next := stream(t, "http://"+address.String())
	if event, err := next(); err != nil || event != "open" {
		t.Fatalf("event %q, %v", event, err)
	}
	renewed.Store(true)
	if event, err := next(); err != io.EOF {
		t.Errorf("event %q, %v; want the end", event, err)
	}
}

// Streams of one address leave room for others, and end with the server.
func TestLiveIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := newServer(healthy())
	address, end := serve(t, "127.0.0.1:0", s.Handler())
	var events []func() (string, error)
	for {
		response, next := stream(t, "http://"+address.String())
		if response.StatusCode == http.StatusServiceUnavailable {
			break
		}
		if events = append(events, next); len(events) > 100 {
			t.Fatal("there is no bound")
		}
		if event, err := next(); err != nil || event != "open" {
			t.Fatalf("event %q, %v", event, err)
		}
	}
	if len(events) < 6 {
		t.Errorf("%d pages are too few for one person", len(events))
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	for _, next := range events {
		if event, err := next(); err != io.EOF {
			t.Errorf("event %q, %v; want the end", event, err)
		}
	}
}
