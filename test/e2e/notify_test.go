package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// sink is where a controller sends its notifications.
type sink struct {
	url string

	mu       sync.Mutex
	received []string // headers and bodies
}

func notificationSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.received = append(s.received, fmt.Sprint(r.Header, string(body), err))
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/deployments"
	return s
}

// text is all that was received.
func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.received, "\n")
}
