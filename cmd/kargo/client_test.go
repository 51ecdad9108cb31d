package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// What a controller refuses arrives with its hint, and with the exit code of its
// fault, whatever the status code of the answer is.
func TestTheControllersErrorIsTheCommands(t *testing.T) {
	for _, test := range []struct {
		about, body string
		status      int
		code        int
		stderr      string
	}{
		{
			"a refusal", `{"fault": "conflict", "error": "plan x is not the pending one", "hint": "the pending one is y"}`, http.StatusConflict, 3,
			"kargo: plan x is not the pending one\nhint: the pending one is y\n",
		},
		{
			"a bug", `{"fault": "internal", "error": "a bug; the log has more"}`, http.StatusInternalServerError, 1,
			"kargo: a bug; the log has more\n",
		},
		{
			"a place", `{"fault": "invalid", "error": "no such stack", "place": ".env:2"}`, http.StatusConflict, 2,
			"kargo: .env:2: no such stack\n",
		},
		{
			"a proxy", `<h1>Bad Gateway</h1>`, http.StatusBadGateway, 3,
			"kargo: not the response of a controller: 502 Bad Gateway\nhint: does the address lead to Kargo, or to a proxy before it?\n",
		},
	} {
		t.Run(test.about, func(t *testing.T) {
			controller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer controller.Close()
			dir := workspaceIn(t, "token=secret\n")
			code, _, stderr := kargoIn(t, dir, "approve", "x", "--url", controller.URL, "--api-token-file", dir+"/token")
			if code != test.code || stderr != test.stderr {
				t.Errorf("exit %d, %q\nwant %d, %q", code, stderr, test.code, test.stderr)
			}
		})
	}
}
