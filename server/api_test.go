package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/server"
)

func TestStatus(t *testing.T) {
	s, _ := newServer(troubled())
	handler := s.Handler()
	_, body := send(t, handler, request{"GET", "/api/v1/status", withToken(), ""})
	var status kargo.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	wantText(t, "head", status.Head.String(), newest.String())
	wantText(t, "problems", status.Problems.Error(), troubled().Problems.Error())

}

// numbered are deployments with the numbers from newest down to oldest.
func numbered(newest, oldest uint64) (all []kargo.Deployment) {
	for number := newest; number >= oldest; number-- {
		all = append(all, kargo.Deployment{Number: number, Outcome: kargo.OutcomeSucceeded})
	}
	return all
}

// Of 520 deployments each opens: as a page of its own, by the API, and by
// following the addresses from page to page.
func TestEveryDeploymentOpens(t *testing.T) {
	s, _ := newServer(healthy())
	s.History = records{deployments: numbered(520, 1)}
	handler := s.Handler()
	for _, path := range []string{"/deployments/1", "/api/v1/deployments/1", "/deployments/520", "/api/v1/deployments/520"} {
		response, body := send(t, handler, request{"GET", path, withToken(), ""})
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d, %s", path, response.StatusCode, body)
		}
	}
	var walked []string
	for next := "/api/v1/deployments?limit=200"; next != ""; {
		_, body := send(t, handler, request{"GET", next, withToken(), ""})
		var page server.Deployments
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		first, last := page.Deployments[0].Number, page.Deployments[len(page.Deployments)-1].Number
		walked = append(walked, fmt.Sprintf("%s: %d to %d", next, first, last))
		next = page.Next
	}
	wantText(t, "walk", strings.Join(walked, "\n"), `
/api/v1/deployments?limit=200: 520 to 321
/api/v1/deployments?before=321&limit=200: 320 to 121
/api/v1/deployments?before=121&limit=200: 120 to 1`)

	response, body := send(t, handler, request{"GET", "/api/v1/deployments/521", withToken(), ""})
	wantStatus(t, response, http.StatusNotFound)
	wantText(t, "none", body, "{\n  \"fault\": \"invalid\",\n  \"error\": \"there is no deployment 521\",\n  \"hint\": \"old ones are removed; `kargo history` lists those that are kept\"\n}")
	for query, want := range map[string]string{
		"limit=0": "limit is not a number from 1 to 500", "limit=-1": "limit is not a number from 1 to 500", "limit=501": "limit is not a number from 1 to 500",
		"limit=many": "limit is not a number from 1 to 500", "before=0": "before is not the number of a deployment", "before=x": "before is not the number of a deployment",
	} {
		response, body := send(t, handler, request{"GET", "/api/v1/deployments?" + query, withToken(), ""})
		wantStatus(t, response, http.StatusBadRequest)
		wantText(t, query, body, "{\n  \"fault\": \"invalid\",\n  \"error\": \""+want+"\"\n}")
	}
	s.History = records{}
	_, body = send(t, s.Handler(), request{"GET", "/api/v1/deployments", withToken(), ""})
	wantText(t, "none at all", body, "{\n  \"deployments\": []\n}")
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
	wantText(t, "asked", controller.askedFor(), "approve: 5ebe2294ecd0 by 192.0.2.1")

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
		{unseen(), "/readyz", 503, "not ready: the Swarm was not seen yet"},
		{troubled(), "/readyz", 200, "ready"}, // the last good revision is in force
		{kargo.Status{Leader: "manager-2"}, "/readyz", 200, "ready"},
		{kargo.Status{RoundBegan: now.Add(-20 * time.Minute)}, "/healthz", 200, "alive"},
		{kargo.Status{RoundBegan: now.Add(-40 * time.Minute)}, "/healthz", 503, "not alive: a round has taken 40m0s so far"},
		{kargo.Status{ReadingBegan: now.Add(-20 * time.Minute)}, "/healthz", 200, "alive"},
		{kargo.Status{ReadingBegan: now.Add(-40 * time.Minute)}, "/healthz", 503, "not alive: reading the repository has taken 40m0s so far"},
	} {
		s, _ := newServer(c.status)
		response, body := send(t, s.Handler(), request{"GET", c.path, nil, ""})
		wantStatus(t, response, c.code)
		wantText(t, c.path, body, c.want)
	}
}

// A standby tells who leads, and takes no orders.
func TestAStandbyRefersToTheLeader(t *testing.T) {
	for _, path := range []string{"/api/v1/retry", "/api/v1/adopt", "/api/v1/approve"} {
		s, loop := newServer(kargo.Status{Leader: "manager-2"})
		response, body := send(t, s.Handler(), request{"POST", path, withToken(), `{"stack": "web"}`})
		if path == "/api/v1/approve" {
			response, body = send(t, s.Handler(), request{"POST", path, withToken(), `{"plan": "0123"}`})
		}
		wantStatus(t, response, 409)
		if !strings.Contains(body, "manager-2 leads") || len(loop.asked) > 0 {
			t.Errorf("%s: %s; asked %q", path, body, loop.asked)
		}
	}
}

type broken struct{}

func (broken) Kept(string) ([]kargo.KeptRendering, error) {
	return nil, errors.New("the file is locked")
}

func (broken) KeptDigests(string) []string { return nil }

func (broken) Deployment(uint64) (*kargo.Deployment, error) { panic("a bug with " + secret) }

func (broken) DeploymentsAbout(string, uint64, int) ([]kargo.Deployment, error) {
	panic("a bug with " + secret)
}

func (broken) DeploymentsOf(string, int) ([]kargo.Deployment, error) { panic("a bug with " + secret) }

func (broken) Deployments(uint64, int) ([]kargo.Deployment, error) { panic("a bug with " + secret) }

// A bug is reported with 500 and a message without details.
func TestPanic(t *testing.T) {
	s, _ := newServer(healthy())
	s.History = broken{}
	response, body := send(t, s.Handler(), request{"GET", "/api/v1/deployments", withToken(), ""})
	wantStatus(t, response, http.StatusInternalServerError)
	wantText(t, "answer", body, "{\n  \"fault\": \"internal\",\n  \"error\": \"a bug; the log has more\"\n}")
}
