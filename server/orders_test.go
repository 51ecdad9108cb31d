package server_test

import (
	"net/http"
	"testing"
)

// Each order reaches the controller with who gave it, until when and why; one that
// makes no sense does not.
func TestOrders(t *testing.T) {
	s, controller := newServer(healthy())
	handler := s.Handler()
	for _, c := range []struct {
		path, body string
		status     int
		asked      string
	}{
		{"hold", `{"stack": "dbs", "reason": "a\tsale"}`, 200, "hold dbs held by 192.0.2.1: a sale"},
		{"hold", `{"stack": "dbs", "for": "2h"}`, 200, "hold dbs held by 192.0.2.1 until 2025-03-14T17:09:26Z"},
		{"hold", `{"stack": "dbs", "for": "soon"}`, 422, ""},
		{"hold", `{"stack": "dbs", "for": "-1h"}`, 422, ""},
		{"hold", `{"name": "dbs"}`, 400, ""},
		{"release", `{"stack": "dbs", "reason": "fixed"}`, 200, "release dbs: fixed"},
		{"rollback", `{"stack": "dbs", "to": "e242ed3"}`, 200, "rollback dbs to e242ed3 held by 192.0.2.1"},
		{"rollback", `{"stack": "dbs", "plan": true}`, 200, "plan of rollback dbs to "},
		{"rollback", `{"stack": "dbs", "to": "4711"}`, 422, ""},
		{"suspend", `{"reason": "network"}`, 200, "suspended by 192.0.2.1: network"},
		{"resume", `{}`, 200, "resume: "},
	} {
		response, _ := send(t, handler, request{"POST", "/api/v1/" + c.path, withToken(), c.body})
		if response.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.path, c.body, response.StatusCode, c.status)
		}
		wantText(t, c.path+" "+c.body, controller.askedFor(), c.asked)
	}
	response, _ := send(t, handler, request{"POST", "/api/v1/hold", nil, `{"stack": "dbs"}`})
	wantStatus(t, response, http.StatusUnauthorized)
}
