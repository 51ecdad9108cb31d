package server_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"kargo/server"
)

// person is somebody at a browser.
type person struct {
	t       *testing.T
	handler http.Handler
	cookie  *http.Cookie
}

// asks sends a request as the browser of a person would.
func (p *person) asks(method, path string, form url.Values, change ...func(*http.Request)) (*http.Response, string) {
	p.t.Helper()
	sent := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	sent.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	sent.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		sent.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if p.cookie != nil {
		sent.AddCookie(p.cookie)
	}
	for _, change := range change {
		change(sent)
	}
	recorder := httptest.NewRecorder()
	p.handler.ServeHTTP(recorder, sent)
	return recorder.Result(), recorder.Body.String()
}

// signsIn gives a name and the token, and keeps the cookie.
func (p *person) signsIn(name string) {
	p.t.Helper()
	response, _ := p.asks("POST", "/sign-in", url.Values{"name": {name}, "token": {token}})
	wantStatus(p.t, response, http.StatusSeeOther)
	p.cookie = response.Cookies()[0]
}

// form returns the hidden fields of a page's form.
func form(page string) url.Values {
	values := url.Values{}
	for _, field := range regexp.MustCompile(`type="hidden" name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		values.Set(field[1], field[2])
	}
	return values
}

func TestSignIn(t *testing.T) {
	s, controller := newServer(troubled())
	p := &person{t: t, handler: s.Handler()}

	response, page := p.asks("GET", "/stacks/dbs?x=1", nil)
	wantStatus(t, response, http.StatusUnauthorized)
	if response.Header.Get("WWW-Authenticate") != "" || !strings.Contains(page, `name="next" value="/stacks/dbs?x=1"`) {
		t.Errorf("a browser is asked by itself, or does not go on from there:\n%s", page)
	}
	for _, word := range []string{"production", "git.example.org", "dbs_", "maps"} {
		if strings.Contains(page, word) {
			t.Errorf("the sign-in page tells strangers of %s", word)
		}
	}
	response, page = p.asks("POST", "/sign-in", url.Values{"name": {"ada"}, "token": {"guess"}})
	if response.StatusCode != http.StatusUnauthorized || !strings.Contains(page, "This is not the token.") || strings.Contains(page, "guess") {
		t.Errorf("status %d:\n%s", response.StatusCode, page)
	}
	for next, want := range map[string]string{
		"/stacks/dbs?x=1": "/stacks/dbs?x=1", "": "/", "https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/", "/sign-in": "/",
	} {
		response, _ = p.asks("POST", "/sign-in", url.Values{"name": {" ada\n "}, "token": {token + " "}, "next": {next}})
		wantStatus(t, response, http.StatusSeeOther)
		wantText(t, "goes on to", response.Header.Get("Location"), want)
	}
	p.cookie = response.Cookies()[0]
	if c := p.cookie; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || strings.Contains(c.Value, token) {
		t.Errorf("cookie %+v", c)
	}
	response, page = p.asks("GET", "/stacks/dbs", nil)
	wantStatus(t, response, http.StatusOK)
	if !strings.Contains(page, "<span>ada</span>") {
		t.Errorf("the page does not say who looks at it:\n%s", page)
	}

	// The session reads the API, and does not write to it.
	response, _ = p.asks("GET", "/api/v1/status", nil)
	wantStatus(t, response, http.StatusOK)
	response, _ = p.asks("POST", "/api/v1/sync", nil)
	wantStatus(t, response, http.StatusUnauthorized)
	wantText(t, "asked", controller.askedFor(), "")

	// It ends.
	kept := *p.cookie
	response, _ = p.asks("POST", "/sign-out", form(page))
	wantStatus(t, response, http.StatusSeeOther)
	if c := response.Cookies()[0]; c.Value != "" || c.MaxAge >= 0 {
		t.Errorf("cookie %+v", c)
	}
	p.cookie = &kept
	response, _ = p.asks("GET", "/", nil)
	wantStatus(t, response, http.StatusUnauthorized)
}

// TestS30SessionsEndWithTheProcess: the next one does not know who signed out, so no
// session outlives its process. A browser may be signed in to several controllers at one
// address.
func TestS30SessionsEndWithTheProcess(t *testing.T) {
	before, _ := newServer(healthy())
	after, _ := newServer(healthy())
	p := &person{t: t, handler: before.Handler()}
	p.signsIn("ada")
	kept := *p.cookie
	_, page := p.asks("GET", "/", nil)
	response, _ := p.asks("POST", "/sign-out", form(page))
	wantStatus(t, response, http.StatusSeeOther)

	p.handler, p.cookie = after.Handler(), &kept
	response, _ = p.asks("GET", "/", nil)
	wantStatus(t, response, http.StatusUnauthorized)
	p.signsIn("ada")
	if p.cookie.Name == kept.Name {
		t.Errorf("both processes call their cookie %s", kept.Name)
	}
	renamed := kept
	renamed.Name = p.cookie.Name
	response, _ = p.asks("GET", "/", nil)
	wantStatus(t, response, http.StatusOK)
	p.cookie = &renamed
	response, _ = p.asks("GET", "/", nil)
	wantStatus(t, response, http.StatusUnauthorized)
}

func TestCookieIsSecureOverTLS(t *testing.T) {
	s, _ := newServer(healthy())
	p := &person{t: t, handler: s.Handler()}
	for name, change := range map[string]func(*http.Request){
		"own":     func(r *http.Request) { r.TLS = &tls.ConnectionState{} },
		"a proxy": func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") },
	} {
		response, _ := p.asks("POST", "/sign-in", url.Values{"name": {"ada"}, "token": {token}}, change)
		if !response.Cookies()[0].Secure {
			t.Errorf("the cookie is not secure over TLS of %s", name)
		}
	}
}

// TestS30SessionsEnd: what is not signed with the token, or is over, is worth nothing.
func TestS30SessionsEnd(t *testing.T) {
	clock := now
	for name, change := range map[string]func(*server.Server, *http.Cookie){
		"a changed name": func(_ *server.Server, c *http.Cookie) { c.Value = "e" + c.Value },
		"no signature":   func(_ *server.Server, c *http.Cookie) { c.Value, _, _ = strings.Cut(c.Value, ".") },
		"nothing":        func(_ *server.Server, c *http.Cookie) { c.Value = "." },
		"another token":  func(s *server.Server, _ *http.Cookie) { s.Token = fixed("another") },
		"no token":       func(s *server.Server, _ *http.Cookie) { s.Token = fixed("") },
		"its time":       func(*server.Server, *http.Cookie) { clock = now.Add(12 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			clock = now
			s, _ := newServer(healthy())
			s.Now = func() time.Time { return clock }
			p := &person{t: t, handler: s.Handler()}
			p.signsIn("ada")
			response, _ := p.asks("GET", "/", nil)
			wantStatus(t, response, http.StatusOK)
			change(s, p.cookie)
			if response, _ := p.asks("GET", "/", nil); response.StatusCode == http.StatusOK {
				t.Error("the session is still valid")
			}
		})
	}
}

// Guessing at the sign-in is as slow as anywhere else.
func TestS29GuessingAtTheSignInIsSlow(t *testing.T) {
	s, _ := newServer(healthy())
	p := &person{t: t, handler: s.Handler()}
	limited := false
	for range 50 {
		response, _ := p.asks("POST", "/sign-in", url.Values{"token": {"guess"}})
		limited = limited || response.StatusCode == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("50 guesses in a row were not slowed down")
	}
	p.signsIn("ada")
}

// What goes wrong is a page for a browser, and JSON for a program.
func TestProblemsArePages(t *testing.T) {
	s, _ := newServer(healthy())
	s.History = records{}
	p := &person{t: t, handler: s.Handler()}
	p.signsIn("ada")
	stranger := func(r *http.Request) { r.Header.Del("Cookie") }
	foreign := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, c := range []struct {
		method, path string
		change       func(*http.Request)
		status       int
		says         string
	}{
		{"GET", "/", stranger, 401, "Sign in"},
		{"POST", "/actions/sync", foreign, 403, "the request comes from a page of another site"},
		{"POST", "/actions/sync", nil, 403, "the form is not one of this session"},
		{"GET", "/nowhere", nil, 404, "there is nothing here"},
		{"GET", "/stacks/none", nil, 404, "there is no stack"},
		{"GET", "/deployments/4711", nil, 404, "there is no deployment 4711"},
		{"GET", "/deployments?before=x", nil, 400, "before is not the number of a deployment"},
	} {
		var changes []func(*http.Request)
		if c.change != nil {
			changes = append(changes, c.change)
		}
		response, page := p.asks(c.method, c.path, nil, changes...)
		if response.StatusCode != c.status || !strings.Contains(page, c.says) || !strings.HasPrefix(page, "<!DOCTYPE html>") {
			t.Errorf("%s %s: status %d\n%s", c.method, c.path, response.StatusCode, page)
		}
	}
	s.History = broken{}
	response, page := p.asks("GET", "/deployments", nil)
	if response.StatusCode != 500 || !strings.Contains(page, "a bug; the log has more") || !strings.HasPrefix(page, "<!DOCTYPE html>") {
		t.Errorf("status %d\n%s", response.StatusCode, page)
	}
}
