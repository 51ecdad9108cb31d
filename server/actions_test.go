package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kargo"
)

// Each action shows its plan, asks why, and then does what the command does, with who
// asked for it.
func TestActions(t *testing.T) {
	status := troubled()
	for _, c := range []struct {
		path, why, lasts string
		shows, asked     string
	}{
		{"sync", "", "", "redis:7.4-alpine", "nudge: sync by ada"},
		{"sync", "new tag", "", "What would happen", "nudge: sync by ada: new tag"},
		{"approve", "checked", "", "owns the volume archive_data", "approve: 5ebe2294ecd0 by ada (192.0.2.1)"},
		{"retry?stack=dbs", "disk freed", "", "dbs_postgis: 3 tasks failed", "retry: dbs by ada: disk freed"},
		{"adopt?stack=maps", "ours", "", "waits for stack dbs", "adopt: maps by ada: ours"},
		{"hold?stack=maps", "a sale", "2h", "What would wait", "hold maps held by ada (192.0.2.1) until 2025-03-14T17:09:26Z: a sale"},
		{"release?stack=maps", "", "", "waits for stack dbs", "release maps by ada:"},
		{"rollback?stack=dbs", "slow", "", "Renderings that came up",
			"plan of rollback dbs to ; plan of rollback dbs to ; rollback dbs to  held by ada (192.0.2.1): slow"},
		{"rollback?stack=dbs&to=bbbb", "slow", "", `aria-current="true"`,
			"plan of rollback dbs to bbbb; plan of rollback dbs to bbbb; rollback dbs to bbbb held by ada (192.0.2.1): slow"},
		{"suspend", "network", "1h", "What would wait", "suspended by ada (192.0.2.1) until 2025-03-14T16:09:26Z: network"},
		{"resume", "", "", "What would happen", "resume by ada:"},
		{"lift", "an incident", "", "although a freeze window lasts", "resume by ada: an incident"},
	} {
		s, controller := newServer(status)
		controller.preview = kargo.Preview{Plan: kargo.Plan{Revision: newest, Changes: rolledOut}}
		p := &person{t: t, handler: s.Handler()}
		p.signsIn("ada")
		response, page := p.asks("GET", "/actions/"+c.path, nil)
		wantStatus(t, response, http.StatusOK)
		if !strings.Contains(page, c.shows) {
			t.Errorf("%s does not show %q:\n%s", c.path, c.shows, page)
		}
		sent := form(page)
		sent.Set("reason", c.why)
		sent.Set("for", c.lasts)
		name, _, _ := strings.Cut(c.path, "?")
		response, page = p.asks("POST", "/actions/"+name, sent)
		if response.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: status %d\n%s", c.path, response.StatusCode, page)
		}
		wantText(t, c.path, controller.askedFor(), c.asked)
		_, page = p.asks("GET", response.Header.Get("Location"), nil)
		if !strings.Contains(page, `role="status">`) {
			t.Errorf("%s: the page does not say that it was done", c.path)
		}
	}
}

// Nothing is done without a reason, for a stack that is not there, with another plan
// than the person saw, or by a form of somebody else.
func TestActionsThatAreRefused(t *testing.T) {
	s, controller := newServer(troubled())
	controller.preview = kargo.Preview{Plan: kargo.Plan{Revision: newest, Changes: rolledOut}}
	ada, eve := &person{t: t, handler: s.Handler()}, &person{t: t, handler: s.Handler()}
	ada.signsIn("ada")
	eve.signsIn("eve")
	fields := func(p *person) url.Values {
		_, page := p.asks("GET", "/actions/rollback?stack=dbs", nil)
		values := form(page)
		values.Set("reason", "slow")
		return values
	}
	for name, c := range map[string]struct {
		action string
		change func(url.Values)
		status int
		says   string
	}{
		"no reason":      {"rollback", func(v url.Values) { v.Set("reason", " ") }, 422, "say why"},
		"no such stack":  {"hold", func(v url.Values) { v.Set("stack", "none") }, 422, "there is no stack"},
		"another plan":   {"rollback", func(v url.Values) { v.Set("plan", "0f343b0931a1") }, 409, "the plan is another one by now"},
		"no duration":    {"hold", func(v url.Values) { v.Set("for", "soon") }, 422, "is no duration"},
		"no form":        {"rollback", func(v url.Values) { v.Del("form") }, 403, "not one of this session"},
		"a foreign form": {"rollback", func(v url.Values) { v.Set("form", fields(eve).Get("form")) }, 403, "not one of this session"},
		"no such action": {"destroy", func(url.Values) {}, 404, "there is nothing here"},
	} {
		values := fields(ada)
		c.change(values)
		controller.askedFor()
		response, page := ada.asks("POST", "/actions/"+c.action, values)
		if response.StatusCode != c.status || !strings.Contains(page, c.says) {
			t.Errorf("%s: status %d, want %d with %q\n%s", name, response.StatusCode, c.status, c.says, page)
		}
		if asked := controller.askedFor(); strings.Contains(asked, "by ada") {
			t.Errorf("%s: done: %s", name, asked)
		}
	}
	s.Controller = &loop{status: kargo.Status{Leader: "manager-2"}}
	response, page := ada.asks("GET", "/actions/sync", nil)
	if response.StatusCode != 409 || !strings.Contains(page, "manager-2 leads") {
		t.Errorf("status %d\n%s", response.StatusCode, page)
	}
}

// A signed commit that does not come after the one in force is offered for approval, with
// both, and approved is the one that the person has seen.
func TestS46_ThePageApprovesARewind(t *testing.T) {
	status := healthy()
	s, controller := newServer(status)
	p := &person{t: t, handler: s.Handler()}
	p.signsIn("ada")
	const offered = `href="/actions/rewind"`
	if _, page := p.asks("GET", "/", nil); strings.Contains(page, offered) {
		t.Error("an approval is offered, and nothing was refused")
	}
	if response, _ := p.asks("GET", "/actions/rewind", nil); response.StatusCode != http.StatusConflict {
		t.Errorf("nothing was refused: status %d", response.StatusCode)
	}
	status = rewinding()
	controller.status = status
	if _, page := p.asks("GET", "/", nil); !strings.Contains(page, offered) {
		t.Errorf("no approval is offered:\n%s", page)
	}
	_, page := p.asks("GET", "/actions/rewind", nil)
	for _, revision := range []kargo.Revision{older, newest} {
		if !strings.Contains(page, revision.Short()) {
			t.Errorf("the page does not show %s", revision.Short())
		}
	}
	sent := form(page)
	if response, _ := p.asks("POST", "/actions/rewind", sent); response.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: status %d", response.StatusCode)
	}
	sent.Set("reason", "the release was wrong")
	status.Head.Commit = strings.Repeat("e", 40)
	controller.status = status
	if response, page := p.asks("POST", "/actions/rewind", sent); response.StatusCode != http.StatusConflict || !strings.Contains(page, "another one by now") {
		t.Errorf("another commit by now: status %d\n%s", response.StatusCode, page)
	}
	status.Head = older
	controller.status = status
	controller.askedFor()
	if response, page := p.asks("POST", "/actions/rewind", sent); response.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d\n%s", response.StatusCode, page)
	}
	wantText(t, "asked", controller.askedFor(), "approve: "+string(older.ID())+" by ada (192.0.2.1)")
}

// With the token as a password, as before, forms work as well.
func TestActionsWithThePassword(t *testing.T) {
	s, controller := newServer(healthy())
	p := &person{t: t, handler: s.Handler()}
	password := func(r *http.Request) { r.SetBasicAuth("ada", token) }
	_, page := p.asks("GET", "/actions/suspend", nil, password)
	sent := form(page)
	sent.Set("reason", "network")
	response, _ := p.asks("POST", "/actions/suspend", sent, password)
	wantStatus(t, response, http.StatusSeeOther)
	wantText(t, "asked", controller.askedFor(), "suspended by ada (192.0.2.1): network")
	response, _ = p.asks("POST", "/actions/suspend", url.Values{"reason": {"x"}}, password)
	wantStatus(t, response, http.StatusForbidden)
}

// Adoption is offered where it helps.
func TestAdoptionIsOffered(t *testing.T) {
	status := healthy()
	for _, want := range []bool{false, true} {
		s, _ := newServer(status)
		for _, path := range []string{"/", "/stacks/maps"} {
			_, page := send(t, s.Handler(), request{"GET", path, withToken(), ""})
			if got := strings.Contains(page, `href="/actions/adopt?stack=maps"`); got != want {
				t.Errorf("%s: offered is %v, want %v", path, got, want)
			}
		}
		status.Stacks[1].InSync = false
		status.Pending.Held = []kargo.Hold{{Kind: kargo.KindService, Stack: "maps", Name: "maps_mapserver",
			Reason: "exists and is not Kargo's; set MAPS_ADOPT=true to take it over", Until: kargo.UntilRevision}}
	}
}
