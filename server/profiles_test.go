package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Without the setting the routes do not exist. With it, each needs the token.
func TestProfilesAreOffAndNeedTheToken(t *testing.T) {
	for _, route := range (&Server{}).routes() {
		if strings.Contains(route.pattern, "/debug/") {
			t.Errorf("without the setting there is %s", route.pattern)
		}
	}
	s := &Server{Controller: idle{}, History: idle{}, Token: secretOf("right"), Profiles: true}
	handler := s.Handler()
	found := 0
	for _, route := range s.routes() {
		if _, path, _ := strings.Cut(route.pattern, " "); strings.Contains(path, "/debug/") {
			found++
			if code, _ := status(handler, "GET", strings.TrimSuffix(path, "{$}")); code != http.StatusUnauthorized {
				t.Errorf("%s without the token: %d", path, code)
			}
		}
	}
	if want := 1 + len(profiles); found != want {
		t.Errorf("%d routes, want %d", found, want)
	}
	request := httptest.NewRequest(http.MethodGet, "/debug/pprof/heap", nil)
	request.Header.Set("Authorization", "Bearer right")
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	if zipped := "\x1f\x8b"; response.Code != http.StatusOK || !strings.HasPrefix(response.Body.String(), zipped) {
		t.Errorf("with the token: %d", response.Code)
	}
}

func TestProfilesAreBounded(t *testing.T) {
	handler := (&Server{Profiles: true}).LocalHandler()
	for _, seconds := range []string{"0", "-1", "61", "0.5", "many", "99999999999999999999"} {
		for _, profile := range profiles {
			code, body := status(handler, "GET", "/debug/pprof/"+profile.name+"?seconds="+seconds)
			if code != http.StatusBadRequest || !strings.Contains(body, "from 1 to 60") {
				t.Errorf("%s of %s seconds: %d %s", profile.name, seconds, code, body)
			}
		}
	}
	if code, body := status(handler, "GET", "/debug/pprof/"); code != http.StatusOK || !strings.Contains(body, "/debug/pprof/trace\n") {
		t.Errorf("list: %d %s", code, body)
	}
	if code, _ := status(handler, "GET", "/debug/pprof/cmdline"); code != http.StatusNotFound {
		t.Errorf("command line: %d", code)
	}
}

// A second profile is refused until the first one has ended, also if its client left.
func TestOneProfileAtATime(t *testing.T) {
	handler := (&Server{Profiles: true}).LocalHandler()
	begun := make(chan struct{})
	asked, leave := context.WithCancel(t.Context())
	first := make(chan struct{})
	go func() {
		defer close(first)
		oneProfile(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
		})(httptest.NewRecorder(), httptest.NewRequestWithContext(asked, http.MethodGet, "/?seconds=60", nil))
	}()
	<-begun
	if code, body := status(handler, "GET", "/debug/pprof/heap"); code != http.StatusConflict || !strings.Contains(body, "another profile is being made") {
		t.Errorf("during another one: %d %s", code, body)
	}
	leave()
	<-first
	if code, body := status(handler, "GET", "/debug/pprof/heap"); code != http.StatusOK {
		t.Errorf("afterwards: %d %s", code, body)
	}
}
