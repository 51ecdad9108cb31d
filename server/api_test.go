package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"kargo"
)

func TestStatusAndHistory(t *testing.T) {
	s, _ := newServer(troubled())
	handler := s.Handler()
	_, body := send(t, handler, request{"GET", "/api/v1/status", withToken(), ""})
	var status kargo.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	wantText(t, "head", status.Head.String(), newest.String())
	wantText(t, "problems", status.Problems.Error(), troubled().Problems.Error())

	_, body = send(t, handler, request{"GET", "/api/v1/history?limit=2", withToken(), ""})
	var list []kargo.Deployment
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Number != 42 {
		t.Errorf("history: %s", body)
	}
	for _, limit := range []string{"0", "-1", "501", "many"} {
		response, body := send(t, handler, request{"GET", "/api/v1/history?limit=" + limit, withToken(), ""})
		wantStatus(t, response, http.StatusBadRequest)
		wantText(t, "answer", body, "{\n  \"fault\": \"invalid\",\n  \"error\": \"limit is not a number from 1 to 500\"\n}")
	}
	s.History = records{}
	_, body = send(t, s.Handler(), request{"GET", "/api/v1/history", withToken(), ""})
	wantText(t, "empty history", body, "[]")
}

func TestSyncAndApprove(t *testing.T) {
	s, controller := newServer(healthy())
	handler := s.Handler()
	response, body := send(t, handler, request{"POST", "/api/v1/sync", withToken(), ""})
	wantStatus(t, response, http.StatusAccepted)
	wantText(t, "answer", body, "{\n  \"result\": \"accepted\"\n}")
	wantText(t, "asked", controller.askedFor(), "nudge: sync")

	response, _ = send(t, handler, request{"POST", "/api/v1/approve", withToken(), `{"plan": "5ebe2294ecd0"}`})
	wantStatus(t, response, http.StatusOK)
	wantText(t, "asked", controller.askedFor(), "approve: 5ebe2294ecd0 by api")

	for _, body := range []string{"", "{}", `{"plan": ""}`, `{"plan": 5}`, `{"plan": "a", "force": true}`, "null"} {
		response, _ := send(t, handler, request{"POST", "/api/v1/approve", withToken(), body})
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("approve %q: status %d", body, response.StatusCode)
		}
	}
	wantText(t, "asked", controller.askedFor(), "")
}

func TestRetryAndAdopt(t *testing.T) {
	s, controller := newServer(healthy())
	handler := s.Handler()
	known := healthy().Stacks[0].Name
	for _, verb := range []string{"retry", "adopt"} {
		path := "/api/v1/" + verb
		response, _ := send(t, handler, request{"POST", path, withToken(), `{"stack": "` + known + `"}`})
		wantStatus(t, response, http.StatusAccepted)
		wantText(t, "asked", controller.askedFor(), verb+": "+known)

		response, body := send(t, handler, request{"POST", path, withToken(), `{"stack": "nosuch"}`})
		wantStatus(t, response, http.StatusUnprocessableEntity)
		wantText(t, "answer", body, "{\n  \"fault\": \"invalid\",\n  \"error\": \"there is no stack \\\"nosuch\\\"\"\n}")
		for _, body := range []string{"", "{}", `{"stack": 5}`, `{"stack": "a", "force": true}`} {
			response, _ := send(t, handler, request{"POST", path, withToken(), body})
			wantStatus(t, response, http.StatusBadRequest)
		}
		wantText(t, "asked", controller.askedFor(), "")
	}
}

// The one table from faults to status codes.
func TestFaultsAsStatusCodes(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{&kargo.Error{Fault: kargo.Conflict, Hint: "look at the plan again", Err: errors.New("no such plan")}, 409,
			`{"fault":"conflict","error":"no such plan","hint":"look at the plan again"}`},
		{&kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "deploy/redis.yml", Line: 3}, Err: errors.New("bad")}, 422,
			`{"fault":"invalid","error":"bad","place":"deploy/redis.yml:3"}`},
		{kargo.Errorf(kargo.Unavailable, "swarm is away"), 503, `{"fault":"unavailable","error":"swarm is away"}`},
		{errors.New("oops"), 500, `{"fault":"internal","error":"oops"}`},
	} {
		s, controller := newServer(healthy())
		controller.approval = c.err
		response, body := send(t, s.Handler(), request{"POST", "/api/v1/approve", withToken(), `{"plan": "x"}`})
		wantStatus(t, response, c.status)
		var answer map[string]string
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		var want map[string]string
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"fault", "error", "hint", "place"} {
			wantText(t, key, answer[key], want[key])
		}
	}
}

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		status kargo.Status
		path   string
		code   int
		want   string
	}{
		{starting(), "/healthz", 200, "alive"},
		{starting(), "/readyz", 503, "not ready: no revision was applied yet"},
		{healthy(), "/readyz", 200, "ready"},
		{troubled(), "/readyz", 200, "ready"}, // the last good revision is in force
	} {
		s, _ := newServer(c.status)
		response, body := send(t, s.Handler(), request{"GET", c.path, nil, ""})
		wantStatus(t, response, c.code)
		wantText(t, c.path, body, c.want)
	}
}

type broken struct{}

func (broken) Deployments(int) ([]kargo.Deployment, error) { panic("a bug with " + secret) }

// A bug answers 500, in words that hold nothing.
func TestPanic(t *testing.T) {
	s, _ := newServer(healthy())
	s.History = broken{}
	response, body := send(t, s.Handler(), request{"GET", "/api/v1/history", withToken(), ""})
	wantStatus(t, response, http.StatusInternalServerError)
	wantText(t, "answer", body, "{\n  \"fault\": \"internal\",\n  \"error\": \"a bug; the log has more\"\n}")
}
