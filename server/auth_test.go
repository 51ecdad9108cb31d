package server_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestS15 takes the token from the header only: what is in an address is in logs.
func TestS15TheTokenIsNoPartOfAnAddress(t *testing.T) {
	s, _ := newServer(healthy())
	for _, path := range []string{"/api/v1/status?token=" + token, "/api/v1/status?access_token=" + token, "/?token=" + token} {
		response, body := send(t, s.Handler(), request{"GET", path, nil, ""})
		wantStatus(t, response, http.StatusUnauthorized)
		if strings.Contains(body, token) {
			t.Errorf("%s: the answer repeats the token", path)
		}
	}
}

func TestTokenAsBearerOrPassword(t *testing.T) {
	s, _ := newServer(healthy())
	handler := s.Handler()
	for authorization, want := range map[string]int{
		"":                    http.StatusUnauthorized,
		"Bearer " + token:     http.StatusOK,
		"bearer  " + token:    http.StatusOK,
		"Bearer wrong":        http.StatusUnauthorized,
		"Bearer ":             http.StatusUnauthorized,
		"Bearer":              http.StatusUnauthorized,
		"Token " + token:      http.StatusUnauthorized,
		"Bearer " + token[1:]: http.StatusUnauthorized,
	} {
		response, body := send(t, handler, request{"GET", "/api/v1/status", map[string]string{"Authorization": authorization}, ""})
		if response.StatusCode != want {
			t.Errorf("%q: status %d, want %d", authorization, response.StatusCode, want)
		}
		if want == http.StatusUnauthorized && !strings.Contains(response.Header.Get("WWW-Authenticate"), "Basic") {
			t.Errorf("%q: a browser is not asked for the token: %s", authorization, body)
		}
	}
	sent, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	sent.SetBasicAuth("ada", token)
	response, _ := send(t, handler, request{"GET", "/", map[string]string{"Authorization": sent.Header.Get("Authorization")}, ""})
	wantStatus(t, response, http.StatusOK)
}

// TestS28 has no default token: without one nobody gets in, nor with an empty one.
func TestS28NoTokenNoAccess(t *testing.T) {
	for name, read := range map[string]func() ([]byte, error){
		"none": nil, "empty": fixed("\n"), "unreadable": func() ([]byte, error) { return nil, errors.New("gone") },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newServer(healthy())
			s.Token = read
			response, body := send(t, s.Handler(), request{"GET", "/api/v1/status", map[string]string{"Authorization": "Bearer "}, ""})
			wantStatus(t, response, http.StatusServiceUnavailable)
			wantText(t, "answer", body, `{
  "fault": "unavailable",
  "error": "there is no token to check requests against",
  "hint": "set the file that holds the token"
}`)
		})
	}
}

// TestS29 slows guessing down, and never who knows the token.
func TestS29GuessingIsSlow(t *testing.T) {
	s, _ := newServer(healthy())
	handler := s.Handler()
	limited := false
	for range 50 {
		response, _ := send(t, handler, request{"GET", "/", map[string]string{"Authorization": "Bearer guess"}, ""})
		limited = limited || response.StatusCode == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("50 guesses in a row were not slowed down")
	}
	response, _ := send(t, handler, request{"GET", "/", withToken(), ""})
	wantStatus(t, response, http.StatusOK)
}

// A page of another site can make a browser send the password along; it must
// not be able to do anything with it.
func TestCrossSiteRequestsAreRefused(t *testing.T) {
	s, controller := newServer(healthy())
	header := withToken()
	header["Sec-Fetch-Site"] = "cross-site"
	response, _ := send(t, s.Handler(), request{"POST", "/api/v1/sync", header, ""})
	wantStatus(t, response, http.StatusForbidden)
	wantText(t, "asked", controller.askedFor(), "")
}

// TestS32 holds every answer to headers that let a browser run nothing but the program's own scripts.
func TestS32Headers(t *testing.T) {
	s, _ := newServer(healthy())
	for _, path := range []string{"/", "/api/v1/status", "/healthz", "/nowhere"} {
		for _, header := range []map[string]string{withToken(), nil} {
			response, _ := send(t, s.Handler(), request{"GET", path, header, ""})
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
				"Cache-Control":           "no-store",
			} {
				wantText(t, path+" "+name, response.Header.Get(name), want)
			}
		}
	}
}

func TestLocalHandlerNeedsNoToken(t *testing.T) {
	s, controller := newServer(healthy())
	s.Token = nil
	response, _ := send(t, s.LocalHandler(), request{"POST", "/api/v1/sync", nil, ""})
	wantStatus(t, response, http.StatusAccepted)
	wantText(t, "asked", controller.askedFor(), "nudge: sync")
	send(t, s.LocalHandler(), request{"POST", "/api/v1/approve", nil, `{"plan": "5ebe2294ecd0"}`})
	wantText(t, "asked", controller.askedFor(), "approve: 5ebe2294ecd0 by local socket")
	send(t, s.LocalHandler(), request{"POST", "/api/v1/approve", map[string]string{"Authorization": "Basic YWRhOg=="}, `{"plan": "5ebe2294ecd0"}`}) // ada, without a token
	wantText(t, "asked", controller.askedFor(), "approve: 5ebe2294ecd0 by ada (local socket)")
	response, _ = send(t, s.LocalHandler(), request{"POST", "/hooks/github", nil, "{}"})
	wantStatus(t, response, http.StatusUnauthorized) // webhooks stay signed
}
