package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/server"
	"kargo/test/browser"
)

// open serves a status to a browser that sends the token.
func open(t *testing.T, status kargo.Status) (address string, controller *loop) {
	t.Helper()
	s, controller := newServer(status)
	return withTheToken(t, s), controller
}

// withTheToken serves to a browser that sends the token.
func withTheToken(t *testing.T, s *server.Server) (address string) {
	t.Helper()
	handler := s.Handler()
	listening, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+token)
		handler.ServeHTTP(w, r)
	}))
	return "http://" + listening.String()
}

func needsBrowser(t *testing.T) *browser.Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("needs chromium")
	}
	t.Parallel()
	return browser.Start(t)
}

// TestBrowserPages holds each page in each state to the guidelines on accessibility,
// in narrow and wide windows, light and dark: nothing is blocked, nothing is wider
// than the window.
func TestBrowserPages(t *testing.T) {
	chromium := needsBrowser(t)
	broken := func(s *server.Server) { s.History = records{err: errors.New("the file is locked")} }
	for _, c := range []struct {
		state  string
		status kargo.Status
		change func(*server.Server)
		paths  []string
	}{
		{"healthy", healthy(), nil, []string{"/"}},
		{"empty", empty(), nil, []string{"/", "/deployments?q=nothing"}},
		{"starting", starting(), nil, []string{"/"}},
		{"first deployment", first(), nil, []string{"/", "/stacks/dbs"}},
		{"held", held(), nil, []string{"/", "/stacks/maps", "/actions/release?stack=maps"}},
		{"frozen", frozen(), nil, []string{"/", "/settings", "/actions/lift"}},
		{"rewinding", rewinding(), nil, []string{"/", "/actions/rewind"}},
		{"suspended", suspended(), nil, []string{"/", "/actions/resume"}},
		{"standing by", standby(), nil, []string{"/"}},
		{"git away", gitAway(), nil, []string{"/"}},
		{"all away", away(), nil, []string{"/", "/stacks/dbs"}},
		{"500", healthy(), broken, []string{"/stacks/dbs"}},
		{"troubled", troubled(), nil, []string{"/", "/?q=nothing+has+this", "/stacks/dbs", "/stacks/dbs/why", "/deployments", "/deployments/41", "/actions/rollback?stack=dbs", "/actions/approve",
			"/nowhere", "/compare?from=41", "/compare?from=4711", "/revisions/9c1185a", "/stacks/dbs/rendering", "/settings", "/nodes"}},
	} {
		t.Run(c.state, func(t *testing.T) {
			t.Parallel()
			s, _ := newServer(c.status)
			if c.change != nil {
				c.change(s)
			}
			page := chromium.Page(t)
			address := withTheToken(t, s)
			for _, path := range c.paths {
				page.Size(1280, 900, "light")
				page.Open(address + path)
				wantAccessible(t, page, path)
			}
			wantText(t, "console", withoutStatus(page.Console(), 404, 422, 500, 503), "")
		})
	}
}

// TestBrowserSignIn does the same with the pages of somebody who is not signed in, and
// with one that runs no scripts.
func TestBrowserSignIn(t *testing.T) {
	page := needsBrowser(t).Page(t)
	s, _ := newServer(healthy())
	listening, _ := serve(t, "127.0.0.1:0", s.Handler())
	page.Open("http://" + listening.String() + "/stacks/dbs")
	wantAccessible(t, page, "sign in")
	page.Size(1280, 900, "light")
	page.Type("#name", "ada")
	page.Type("#token", "wrong")
	page.Click("button")
	page.Wait("document.querySelector('[role=alert]')")
	wantAccessible(t, page, "wrong token")
	wantText(t, "console", withoutStatus(page.Console(), 401), "")

	// Axe is a script itself, so the page comes without its own.
	scripts := regexp.MustCompile(`<script [^>]*></script>|</?noscript>`)
	plain, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding")
		recorder := httptest.NewRecorder()
		s.LocalHandler().ServeHTTP(recorder, r)
		w.Header().Set("Content-Type", recorder.Header().Get("Content-Type"))
		_, _ = w.Write(scripts.ReplaceAll(recorder.Body.Bytes(), nil))
	}))
	for _, path := range []string{"/", "/deployments"} {
		page.Size(1280, 900, "light")
		page.Open("http://" + plain.String() + path)
		wantAccessible(t, page, "without scripts "+path)
	}
	wantText(t, "console", page.Console(), "")
}

// wantAccessible holds the page that is open to the guidelines: the overview three times,
// each other page light in a wide window and dark in a narrow one.
func wantAccessible(t *testing.T, page *browser.Page, name string) {
	t.Helper()
	page.Run("document.querySelectorAll('details').forEach(d => d.open = true)", nil)
	for _, size := range []struct {
		width  int
		scheme string
		axe    bool
	}{{2560, "light", false}, {1280, "light", true}, {1280, "dark", name == "/"}, {390, "dark", true}} {
		page.Size(size.width, 900, size.scheme)
		if size.axe {
			for _, fault := range page.Accessible() {
				t.Errorf("%s, %d pixels, %s: %s", name, size.width, size.scheme, fault)
			}
		}
		var wide int
		if page.Run("document.documentElement.scrollWidth", &wide); wide > size.width {
			t.Errorf("%s is %d pixels wide in a window of %d", name, wide, size.width)
		}
	}
}

// withoutStatus leaves out what Chromium says of a page that comes with a status.
func withoutStatus(console string, statuses ...int) string {
	var lines []string
	for line := range strings.Lines(console) {
		if !slices.ContainsFunc(statuses, func(status int) bool {
			return strings.Contains(line, fmt.Sprintf("the server responded with a status of %d", status))
		}) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// TestBrowserActions signs in, approves a plan, and has a stack go back: with the
// cookie and the form, as a person does, and no request is blocked.
func TestBrowserActions(t *testing.T) {
	page := needsBrowser(t).Page(t)
	s, controller := newServer(troubled())
	controller.preview = kargo.Preview{Plan: kargo.Plan{Revision: newest, Changes: rolledOut}}
	listening, _ := serve(t, "127.0.0.1:0", s.Handler())
	page.Open("http://" + listening.String() + "/stacks/dbs")
	for _, fault := range page.Accessible() {
		t.Error(fault)
	}
	page.Type("#name", "ada")
	page.Type("#token", token)
	page.Click("button")
	page.Wait("document.title.startsWith('dbs failed')")
	page.ClickText("Roll back dbs")
	page.WaitText("Renderings that came up")
	page.Click("button.main")
	page.Wait("document.querySelector('#reason:invalid')") // the browser asks why
	page.Type("#reason", "slow")
	page.Click("button.main")
	page.WaitText("The stack goes back.")
	page.Wait("location.search === ''")
	page.ClickText("Stacks")
	page.ClickText("Look, and approve")
	page.WaitText("owns the volume archive_data")
	page.Type("#reason", "checked")
	page.Click("button.main")
	page.WaitText("The plan was approved.")
	wantText(t, "asked", controller.askedFor(), "plan of rollback dbs to ; plan of rollback dbs to ; "+
		"rollback dbs to  held by ada (127.0.0.1): slow; approve: 5ebe2294ecd0 by ada (127.0.0.1)")
	page.ClickText("Sign out")
	page.WaitText("Sign in")
	wantText(t, "console", withoutStatus(page.Console(), 401), "")
}

// TestBrowserLive watches a rollout and its failure. The page changes without a
// reload, and what the person has opened, typed and scrolled to stays.
func TestBrowserLive(t *testing.T) {
	page := needsBrowser(t).Page(t)
	status := many(100)
	address, controller := open(t, status)
	page.Open(address)
	page.Run("window.mine = 'not loaded again'", nil)
	page.Click("#deployment-41 > summary")
	page.Click("#group-held > summary, #group-progressing > summary")
	page.Type("#q", "a")
	page.Wait("location.search === '?q=a'")
	page.Run("window.scrollTo(0, 300)", nil)

	status = many(100)
	status.Stacks[1].Health, status.Stacks[1].Operation = kargo.HealthHealthy, ""
	status.Stacks[1].Services[0].Health, status.Stacks[1].Services[0].Operation, status.Stacks[1].Services[0].Running = kargo.HealthHealthy, "", 3
	status.Stacks[1].Failure = &kargo.Failure{Revision: newest.ID(), Reason: "maps_tileserver: 3 tasks failed", Time: now}
	controller.set(status)
	page.WaitText("maps_tileserver: 3 tasks failed")

	for what, expression := range map[string]string{
		"the page was not loaded again": "window.mine === 'not loaded again'",
		"an entry stays open":           "document.querySelector('#deployment-41').open",
		"the search keeps the focus":    "document.activeElement.id === 'q' && document.activeElement.value === 'a'",
		"the page stays where it is":    "window.scrollY === 300",
		"the title says the state":      "document.title.startsWith('(2) Failed')",
		"the icon says the state":       "document.getElementById('icon').href.endsWith('/static/icon-bad.svg')",
	} {
		var is bool
		if page.Run(expression, &is); !is {
			t.Errorf("not so: %s", what)
		}
	}
	controller.set(healthy())
	page.Wait("document.title.startsWith('In sync')")
	page.Wait("document.getElementById('icon').href.endsWith('/static/icon-good.svg')")
	wantText(t, "console", page.Console(), "")
}

// TestBrowserHistoryHasNoEnd scrolls down a history: more is shown as its end is reached,
// in the address, too; what was opened stays, and so does all that when something changes.
func TestBrowserHistoryHasNoEnd(t *testing.T) {
	page := needsBrowser(t).Page(t)
	s, controller := newServer(healthy())
	s.History = records{deployments: manyDeployments(400)}
	listening, _ := serve(t, "127.0.0.1:0", s.LocalHandler())
	page.Open("http://" + listening.String() + "/deployments?q=shop")
	shows := func(n int) { page.Wait(fmt.Sprintf("document.querySelectorAll('.deployment').length === %d", n)) }
	shows(30)
	page.Click("#deployment-399 > summary")
	for _, n := range []int{60, 90} {
		page.Run("document.querySelector('[id^=earlier]').scrollIntoView()", nil)
		shows(n)
	}
	page.Wait("location.search === '?q=shop&shown=90'")
	page.Run("window.scrollTo(0, 0); document.querySelector('main').dataset.old = 'yes'", nil)
	controller.set(frozen())
	page.Wait("!document.querySelector('main').dataset.old")
	shows(90)
	page.Wait("document.getElementById('deployment-399').open")
	page.Run("document.querySelector('[id^=earlier]').click()", nil) // also without scrolling
	shows(120)
	page.Open("http://" + listening.String() + "/deployments?shown=300")
	shows(300)
	page.ClickText("Earlier deployments")
	page.Wait("location.search === '?before=101'")
	shows(30)
	wantText(t, "console", page.Console(), "")
}

// TestBrowserLost says that the page is old as soon as the controller is gone.
func TestBrowserLost(t *testing.T) {
	page := needsBrowser(t).Page(t)
	s, _ := newServer(healthy())
	listening, end := serve(t, "127.0.0.1:0", s.LocalHandler())
	page.Open("http://" + listening.String())
	page.Wait("!document.documentElement.classList.contains('lost')")
	end()
	page.WaitText("this page is old")
}

// TestBrowserWithoutScripts reads and searches with plain HTML.
func TestBrowserWithoutScripts(t *testing.T) {
	page := needsBrowser(t).Page(t)
	address, _ := open(t, many(300))
	page.WithoutScripts()
	page.Open(address + "/?q=maps-200")
	if text := page.Text("#page"); strings.Count(text, "maps-2") != 0 || !strings.Contains(text, "No stack fits") {
		t.Errorf("the search found something:\n%s", text)
	}
	page.Click("#page a[href='/']")
	page.WaitText("well 301")
	page.Run("document.querySelector('#q').value = 'maps-298'; document.querySelector('form[role=search]').submit()", nil)
	page.Wait("location.search === '?q=maps-298'")
	page.WaitText("well 1")
}

// TestBrowserSearch finds one of 300 stacks while it is typed, and reaches what is
// broken first by the keyboard.
func TestBrowserSearch(t *testing.T) {
	page := needsBrowser(t).Page(t)
	address, _ := open(t, many(300))
	page.Open(address)
	wantText(t, "first stop", page.Tab(), "Skip to what is not well")
	page.Run("document.activeElement.click()", nil)
	var stops []string
	for len(stops) < 40 && (len(stops) == 0 || stops[len(stops)-1] != "dbs") {
		stops = append(stops, page.Tab())
	}
	if last := stops[len(stops)-1]; last != "dbs" || len(stops) > 2 {
		t.Errorf("the failed stack is not among the first stops: %q", stops)
	}
	page.Type("#q", "MONITORING prometheus 299")
	page.Wait("document.querySelectorAll('.stack, tbody tr[id], #group-well-found tbody tr').length === 1")
	wantText(t, "found", page.Text("#group-well-found tbody th"), "monitoring-299")
	page.Open(address + "/?state=failed")
	page.Wait("document.querySelectorAll('article.stack').length === 1")
	wantText(t, "console", page.Console(), "")
}

// TestBrowserConsole proves that the tests would see what is blocked.
func TestBrowserConsole(t *testing.T) {
	page := needsBrowser(t).Page(t)
	address, _ := serve(t, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprint(w, "<!DOCTYPE html><title>blocked</title><script>alert(1)</script><img src=/x>")
	}))
	page.Open("http://" + address.String() + "/")
	if console := page.Console(); !strings.Contains(console, "Content Security Policy") {
		t.Errorf("the console says nothing of the blocked script: %q", console)
	}
	if faults := page.Accessible(); len(faults) == 0 {
		t.Error("a page without a language and a picture without a text are called accessible")
	}
}
