package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"kargo"
)

type idle struct{}

func (idle) Status() kargo.Status                           { return kargo.Status{} }
func (idle) Preview(context.Context) (kargo.Preview, error) { return kargo.Preview{}, nil }
func (idle) Hold(context.Context, string, kargo.Stop) error { panic("held without permission") }
func (idle) Rollback(context.Context, string, kargo.BackTo, kargo.Stop) error {
	panic("rolled back without permission")
}
func (idle) Release(context.Context, string, kargo.Person, string) error {
	panic("released without permission")
}
func (idle) Suspend(context.Context, kargo.Stop) error          { panic("suspended without permission") }
func (idle) Resume(context.Context, kargo.Person, string) error { panic("resumed without permission") }
func (idle) PreviewRollback(context.Context, string, kargo.BackTo) (kargo.Preview, error) {
	panic("planned without permission")
}
func (idle) Nudge(string) { panic("nudged without permission") }
func (idle) Approve(context.Context, string, kargo.Person) error {
	panic("approved without permission")
}
func (idle) Retry(string, kargo.Person)                          { panic("retried without permission") }
func (idle) Adopt(string, kargo.Person)                          { panic("adopted without permission") }
func (idle) KeptDigests(string) []string                         { return nil }
func (idle) Kept(string) ([]kargo.KeptRendering, error)          { return nil, nil }
func (idle) Deployment(uint64) (*kargo.Deployment, error)        { return nil, nil }
func (idle) Deployments(uint64, int) ([]kargo.Deployment, error) { return nil, nil }
func (idle) DeploymentsAbout(string, uint64, int) ([]kargo.Deployment, error) {
	return nil, nil
}
func (idle) DeploymentsOf(string, int) ([]kargo.Deployment, error) { return nil, nil }
func secretOf(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}
func status(h http.Handler, method, path string) (int, string) {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
	return recorder.Code, recorder.Body.String()
}

// TestS27 enumerates the table: what is open is listed here by name, and
// everything else refuses a stranger, in the same words.
func TestS27EveryRouteHasADecision(t *testing.T) {
	s := &Server{Controller: idle{}, History: idle{}, Token: secretOf("right"), WebhookSecret: secretOf("right")}
	handler := s.Handler()
	_, unauthorized := status(handler, "GET", "/no/such/path")
	var opened []string
	for _, route := range s.routes() {
		method, path, found := strings.Cut(route.pattern, " ")
		if !found {
			method, path = "GET", route.pattern
		}
		path = strings.NewReplacer("{$}", "", "{number}", "1", "{action}", "sync", "{name}", "dbs").Replace(path)
		code, body := status(handler, method, path)
		switch route.access {
		case open:
			opened = append(opened, route.pattern)
		case needsSignature:
			if code != http.StatusUnauthorized {
				t.Errorf("%s without a signature: %d", route.pattern, code)
			}
		case needsToken, needsForm:
			if code != http.StatusUnauthorized || body != unauthorized {
				t.Errorf("%s without the token: %d %s", route.pattern, code, body)
			}
		}
	}
	want := []string{"GET /healthz", "GET /readyz", "POST /sign-in", "GET /static/"}
	if !slices.Equal(opened, want) {
		t.Errorf("open routes %q, want %q", opened, want)
	}
}

func TestOpenMetricsOpensNothingElse(t *testing.T) {
	closed, opened := (&Server{}).routes(), (&Server{OpenMetrics: true}).routes()
	for i := range closed {
		if isMetrics := closed[i].pattern == "GET /metrics"; (closed[i].access != opened[i].access) != isMetrics {
			t.Errorf("%s: access %d and %d", closed[i].pattern, closed[i].access, opened[i].access)
		}
	}
}

// The guide's table of webhooks has a line for each provider.
func TestWebhooksAreInTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, provider := range providers {
		if line := "| " + provider.title + " | `/hooks/" + provider.name + "` | "; !strings.Contains(string(guide), line) {
			t.Errorf("docs/operating.md has no line that begins with %q", line)
		}
	}
}
