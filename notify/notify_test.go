package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kargo"
	"kargo/notify"
)

const secret = "pl4nt3d-s3cret"

// path is the secret part of a chat service's URL.
const path = "/services/T000/B000/pl4nt3d-p4th?key=pl4nt3d-k3y"

// inbox is a receiver that verifies signatures.
type inbox struct {
	t       *testing.T
	status  atomic.Int32
	notices chan notify.Notice
	server  *httptest.Server
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	i := &inbox{t: t, notices: make(chan notify.Notice, 10)}
	i.status.Store(http.StatusNoContent)
	i.server = httptest.NewServer(i)
	t.Cleanup(i.server.Close)
	return i
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		i.t.Error(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if got, want := r.Header.Get("X-Signature-256"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
		i.t.Errorf("signature %s, want %s", got, want)
	}
	var notice notify.Notice
	if err := json.Unmarshal(body, &notice); err != nil {
		i.t.Error(err)
	}
	status := int(i.status.Load())
	if status < 300 {
		i.notices <- notice
	}
	w.WriteHeader(status)
}

// received returns the texts that arrived since the last call.
func (i *inbox) received() string {
	var texts []string
	for {
		select {
		case notice := <-i.notices:
			texts = append(texts, notice.Text)
		default:
			return strings.Join(texts, "\n")
		}
	}
}

func (i *inbox) webhook() *notify.Webhook {
	return &notify.Webhook{URL: i.server.URL + path, Secret: func() ([]byte, error) { return []byte(secret + "\n"), nil }}
}

func deployment(number uint64, outcome kargo.Outcome) kargo.Deployment {
	d := kargo.Deployment{
		Number: number, Outcome: outcome, Trigger: "interval", PlanID: "0f343b0931a1",
		Started: time.Date(2025, 3, 14, 15, 9, 26, 0, time.UTC), Finished: time.Date(2025, 3, 14, 15, 10, 26, 0, time.UTC),
		Revision: kargo.Revision{Commit: "9c1185a5c5e9fc54612808977ee8f548b2258d31", Ref: "main", Subject: "Raise redis"},
		Changes:  []kargo.Change{{Action: kargo.Update, Kind: kargo.KindService, Name: "dbs_redis", Reason: "new image"}},
		Held:     []kargo.Hold{{Name: "archive", Reason: "waits for approval"}},
	}
	if outcome == kargo.OutcomeFailed {
		d.Err = "dbs_redis was rolled back"
	}
	if outcome == kargo.OutcomeRefused {
		d.Changes, d.Held, d.Err = nil, nil, ".env:3: STACKS is empty"
	}
	if outcome == kargo.OutcomeHeld {
		d.Changes, d.Held[0].Until = nil, kargo.UntilApproved
	}
	return d
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestNotice(t *testing.T) {
	i := newInbox(t)
	if err := i.webhook().Deployment(t.Context(), deployment(42, kargo.OutcomeFailed)); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(<-i.notices, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "notice", string(text), `{
  "text": "Kargo: deployment 42 of main@9c1185a5c5e9 “Raise redis” failed (1 to update, 1 held): dbs_redis was rolled back",
  "event": "deployment",
  "deployment": 42,
  "outcome": "failed",
  "revision": {
    "commit": "9c1185a5c5e9fc54612808977ee8f548b2258d31",
    "ref": "main",
    "subject": "Raise redis"
  },
  "trigger": "interval",
  "started": "2025-03-14T15:09:26Z",
  "finished": "2025-03-14T15:10:26Z",
  "plan": "0f343b0931a1",
  "changes": [
    "update service dbs_redis: new image"
  ],
  "words": [
    "~ service dbs_redis  new image"
  ],
  "held": [
    "hold stack archive: waits for approval"
  ],
  "error": "dbs_redis was rolled back"
}`)
}

// Each outcome is sent once, and a success after a failure says so.
func TestOncePerOutcomeAndRecovery(t *testing.T) {
	i := newInbox(t)
	webhook := i.webhook()
	const of = " of main@9c1185a5c5e9 “Raise redis” "
	for _, step := range []struct {
		number  uint64
		outcome kargo.Outcome
		want    string
	}{
		{1, kargo.OutcomeRunning, ""},
		{1, kargo.OutcomeProgressing, ""},
		{1, kargo.OutcomeSucceeded, "Kargo: deployment 1" + of + "succeeded (1 to update, 1 held)"},
		{1, kargo.OutcomeSucceeded, ""},
		{2, kargo.OutcomeSuperseded, ""},
		{3, kargo.OutcomeFailed, "Kargo: deployment 3" + of + "failed (1 to update, 1 held): dbs_redis was rolled back"},
		{3, kargo.OutcomeFailed, ""},
		{4, kargo.OutcomeSucceeded, "Kargo: deployment 4" + of + "succeeded (1 to update, 1 held), after a failure"},
		{5, kargo.OutcomeSucceeded, "Kargo: deployment 5" + of + "succeeded (1 to update, 1 held)"},
		{3, kargo.OutcomeFailed, ""},
		{6, kargo.OutcomeRefused, "Kargo: revision main@9c1185a5c5e9 “Raise redis” is refused: .env:3: STACKS is empty"},
		{7, kargo.OutcomeHeld, "Kargo: deployment 7" + of + "is held (1 held); somebody has to approve it, see kargo status"},
		{8, kargo.OutcomeSucceeded, "Kargo: deployment 8" + of + "succeeded (1 to update, 1 held), after a failure"},
	} {
		if err := webhook.Deployment(t.Context(), deployment(step.number, step.outcome)); err != nil {
			t.Fatal(err)
		}
		wantText(t, "received", i.received(), step.want)
	}
}

func TestWhatFailedIsSentAgain(t *testing.T) {
	i := newInbox(t)
	webhook := i.webhook()
	i.status.Store(http.StatusBadGateway)
	err := webhook.Deployment(t.Context(), deployment(1, kargo.OutcomeSucceeded))
	wantError(t, err, kargo.Unavailable, "notify "+i.server.URL+": the answer is 502 Bad Gateway")
	i.status.Store(http.StatusOK)
	if err := webhook.Deployment(t.Context(), deployment(1, kargo.OutcomeSucceeded)); err != nil {
		t.Fatal(err)
	}
	if i.received() == "" {
		t.Error("the notice that failed was not sent again")
	}
}

// wantError compares the message, and looks for planted secrets in it.
func wantError(t *testing.T, err error, fault kargo.Fault, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", want)
	}
	wantText(t, "error", kargo.Explain(err), want)
	wantText(t, "fault", kargo.FaultOf(err).String(), fault.String())
	if strings.Contains(kargo.Explain(err), "pl4nt3d") {
		t.Errorf("a secret is in: %v", err)
	}
}

// A redirect must not take a notice to another host.
func TestS12RedirectIsNotFollowed(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+path, status))
		t.Cleanup(server.Close)
		webhook := &notify.Webhook{URL: server.URL + path}
		err := webhook.Deployment(t.Context(), deployment(1, kargo.OutcomeSucceeded))
		wantError(t, err, kargo.Unavailable, "notify "+server.URL+": the answer is "+statusLine(status))
	}
	if asked.Load() != 0 {
		t.Errorf("the other host was asked %d times", asked.Load())
	}
}

func statusLine(status int) string {
	recorder := httptest.NewRecorder()
	recorder.WriteHeader(status)
	return recorder.Result().Status
}

// The URL itself may be a secret, and no error shows it.
func TestS19ErrorsHoldNoSecret(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client has gone
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := (&notify.Webhook{URL: silent.URL + path}).Deployment(ctx, deployment(1, kargo.OutcomeFailed))
	wantError(t, err, kargo.Unavailable, "notify "+silent.URL+": no answer in time")

	gone := httptest.NewServer(nil)
	gone.Close()
	host := strings.TrimPrefix(gone.URL, "http://")
	err = (&notify.Webhook{URL: gone.URL + path}).Deployment(t.Context(), deployment(1, kargo.OutcomeFailed))
	wantError(t, err, kargo.Unavailable, "notify "+gone.URL+": dial tcp "+host+": connect: connection refused")

	unsigned := newInbox(t).webhook()
	unsigned.Secret = func() ([]byte, error) { return nil, errors.New("permission denied") }
	err = unsigned.Deployment(t.Context(), deployment(1, kargo.OutcomeFailed))
	wantError(t, err, kargo.Unavailable, "read the notification secret: permission denied")
}

func TestAddresses(t *testing.T) {
	for url, want := range map[string]string{
		"https://hooks.example" + path:           "",
		"http://localhost:8080" + path:           "",
		"http://[::1]:8080" + path:               "",
		"http://hooks.example" + path:            "notification: the URL is not https (plain http is allowed on this machine only)",
		"http://127.0.0.1.example" + path:        "notification: the URL is not https (plain http is allowed on this machine only)",
		"ftp://hooks.example" + path:             "notification: the URL is not https (plain http is allowed on this machine only)",
		"https://u:pl4nt3d@hooks.example" + path: "notification: the URL holds a user or a password (use a secret to sign instead)",
		"https://":                               "notification: the URL cannot be parsed (give https://host/path)",
		"https://hooks.example/%zz" + path:       "notification: the URL cannot be parsed (give https://host/path)",
		"pl4nt3d":                                "notification: the URL cannot be parsed (give https://host/path)",
	} {
		err := (&notify.Webhook{URL: url}).Validate()
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", url, err)
			}
			continue
		}
		wantError(t, err, kargo.Invalid, want)
	}
}
