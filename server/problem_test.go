package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"kargo"
	"kargo/server"
)

// TestProblemsTravel has each kind of error answered by the API and decoded
// again: fault, text, hint and problems are the same on the other side.
func TestProblemsTravel(t *testing.T) {
	problems := kargo.Problems{{Where: kargo.Place{File: ".env", Line: 2}, Message: "there is no stack file", Hint: "did you mean web?"}}
	for _, test := range []struct {
		about  string
		err    error
		status int
	}{
		{"with a hint", &kargo.Error{Fault: kargo.Conflict, Err: errors.New("plan x is not the pending one"), Hint: "the pending one is y"}, http.StatusConflict},
		{"with a place", &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: ".env", Line: 2}, Err: errors.New("no such stack")}, http.StatusUnprocessableEntity},
		{"wrapped", fmt.Errorf("read: %w", &kargo.Error{Fault: kargo.Unavailable, Where: kargo.Place{File: "history.journal"}, Err: errors.New("locked"), Hint: "is another one running?"}), http.StatusServiceUnavailable},
		{"problems", fmt.Errorf("read: %w", problems), http.StatusUnprocessableEntity},
		{"joined", errors.Join(kargo.Errorf(kargo.Invalid, "a"), kargo.Errorf(kargo.Internal, "b")), http.StatusInternalServerError},
		{"of nobody", errors.New("a bug"), http.StatusInternalServerError},
	} {
		s, controller := newServer(healthy())
		controller.approval = test.err
		response, body := send(t, s.Handler(), request{"POST", "/api/v1/approve", withToken(), `{"plan": "x"}`})
		wantStatus(t, response, test.status)
		var problem server.Problem
		if err := json.Unmarshal([]byte(body), &problem); err != nil {
			t.Fatalf("%s: %v", test.about, err)
		}
		got := problem.Err()
		wantText(t, test.about, got.Error(), test.err.Error())
		wantText(t, test.about+": hint", kargo.HintOf(got), kargo.HintOf(test.err))
		wantText(t, test.about+": fault", kargo.FaultOf(got).String(), kargo.FaultOf(test.err).String())
		var want, decoded kargo.Problems
		errors.As(test.err, &want)
		errors.As(got, &decoded)
		wantText(t, test.about+": problems", decoded.Error(), want.Error())
	}
}
