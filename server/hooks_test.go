package server_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kargo"
)

const push = `{"ref": "refs/heads/main", "after": "9c1185a5c5e9fc54612808977ee8f548b2258d31"}`

func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// hook is a delivery as the provider sends it, signed with key.
func hook(provider, key, event, body string) request {
	header := map[string]string{"Content-Type": "application/json"}
	switch provider {
	case "github":
		header["X-Hub-Signature-256"] = "sha256=" + sign(key, body)
		header["X-GitHub-Event"] = event
	case "gitlab":
		header["X-Gitlab-Token"] = key
		header["X-Gitlab-Event"] = event
	case "gitea":
		header["X-Gitea-Signature"] = sign(key, body)
		header["X-Gitea-Event"] = event
	case "generic":
		header["X-Signature-256"] = "sha256=" + sign(key, body)
	}
	return request{"POST", "/hooks/" + provider, header, body}
}

func TestWebhooks(t *testing.T) {
	pushes := map[string]string{"github": "push", "gitlab": "Push Hook", "gitea": "push", "generic": ""}
	for provider, event := range pushes {
		for _, c := range []struct {
			name   string
			hook   request
			status int
			want   string
			nudged bool
		}{
			{"push", hook(provider, secret, event, push), 202, `"result": "accepted"`, true},
			{"push of a tag with the name", hook(provider, secret, event, `{"ref": "refs/tags/main"}`), 202, `"result": "accepted"`, true},
			{"push of another branch", hook(provider, secret, event, `{"ref": "refs/heads/other"}`), 202, `"result": "ignored"`, false},
			{"wrong secret", hook(provider, "wrong", event, push), 401, `"error": "webhook refused: unauthorized"`, false},
			{"wrong secret for a ping", hook(provider, "wrong", "ping", "{}"), 401, `"error": "webhook refused: unauthorized"`, false},
			{"no secret", request{"POST", "/hooks/" + provider, nil, push}, 401, `"error": "webhook refused: unauthorized"`, false},
			{"wrong secret, not JSON", hook(provider, "wrong", event, "{"), 401, `"error": "webhook refused: unauthorized"`, false},
			{"not JSON", hook(provider, secret, event, "{"), 400, `"error": "webhook refused: malformed"`, false},
			{"ref of another kind", hook(provider, secret, event, `{"ref": ["refs/heads/main"]}`), 400, `"error": "webhook refused: malformed"`, false},
			{"too large", hook(provider, secret, event, strings.Repeat(" ", 1<<20)+push), 413, `"error": "webhook refused: too_large"`, false},
		} {
			t.Run(provider+"/"+c.name, func(t *testing.T) {
				s, controller := newServer(healthy())
				response, body := send(t, s.Handler(), c.hook)
				wantStatus(t, response, c.status)
				if !strings.Contains(body, c.want) {
					t.Errorf("answer %s, want %s in it", body, c.want)
				}
				want := ""
				if c.nudged {
					want = "nudge: webhook " + provider
				}
				wantText(t, "asked", controller.askedFor(), want)
			})
		}
	}
}

func TestOtherEventsAreAcknowledged(t *testing.T) {
	for provider, event := range map[string]string{"github": "ping", "gitlab": "Issue Hook", "gitea": "issues"} {
		s, controller := newServer(healthy())
		response, _ := send(t, s.Handler(), hook(provider, secret, event, `{"zen": "not a push"}`))
		wantStatus(t, response, http.StatusOK)
		wantText(t, "asked", controller.askedFor(), "")
	}
}

func TestGitHubForm(t *testing.T) {
	s, controller := newServer(healthy())
	r := hook("github", secret, "push", "payload="+url.QueryEscape(push))
	r.header["Content-Type"] = "application/x-www-form-urlencoded"
	response, _ := send(t, s.Handler(), r)
	wantStatus(t, response, http.StatusAccepted)
	wantText(t, "asked", controller.askedFor(), "nudge: webhook github")
}

func TestForgejoAndGogsSign(t *testing.T) {
	for _, header := range []string{"X-Forgejo-Signature", "X-Gogs-Signature"} {
		s, controller := newServer(healthy())
		r := request{"POST", "/hooks/gitea", map[string]string{header: sign(secret, push), "X-Gitea-Event": "push"}, push}
		response, _ := send(t, s.Handler(), r)
		wantStatus(t, response, http.StatusAccepted)
		wantText(t, "asked", controller.askedFor(), "nudge: webhook gitea")
	}
}

// TestS20 has no unsigned webhooks: without a secret there are none at all.
func TestS20NoSecretNoWebhooks(t *testing.T) {
	for name, read := range map[string]func() ([]byte, error){"none": nil, "empty": fixed("\n")} {
		s, controller := newServer(healthy())
		s.WebhookSecret = read
		for _, provider := range []string{"github", "gitlab", "gitea", "generic"} {
			response, body := send(t, s.Handler(), hook(provider, "", "push", push))
			wantStatus(t, response, http.StatusServiceUnavailable)
			wantText(t, name, body, `{
  "fault": "unavailable",
  "error": "webhook refused: unconfigured",
  "hint": "set the file that holds the webhook secret"
}`)
		}
		wantText(t, "asked", controller.askedFor(), "")
	}
}

// TestS22 takes HMAC-SHA256 and nothing weaker.
func TestS22WeakSignatures(t *testing.T) {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(push))
	sum := hex.EncodeToString(mac.Sum(nil))
	for _, header := range []map[string]string{
		{"X-Hub-Signature": "sha1=" + sum},
		{"X-Hub-Signature-256": "sha1=" + sum},
		{"X-Hub-Signature-256": "sha256=" + sum},
		{"X-Hub-Signature-256": "sha256="},
		{"X-Hub-Signature-256": "s"},
		{"X-Hub-Signature-256": sign(secret, push)},
		{"X-Hub-Signature-256": "sha256=zz"},
	} {
		s, controller := newServer(healthy())
		header["X-GitHub-Event"] = "push"
		response, _ := send(t, s.Handler(), request{"POST", "/hooks/github", header, push})
		wantStatus(t, response, http.StatusUnauthorized)
		wantText(t, "asked", controller.askedFor(), "")
	}
}

func TestDeliveriesAreTakenOnce(t *testing.T) {
	s, controller := newServer(healthy())
	handler := s.Handler()
	r := hook("github", secret, "push", push)
	r.header["X-GitHub-Delivery"] = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
	for _, want := range []string{"accepted", "duplicate", "duplicate"} {
		response, body := send(t, handler, r)
		wantStatus(t, response, http.StatusAccepted)
		wantText(t, "answer", body, fmt.Sprintf("{\n  \"result\": %q\n}", want))
	}
	wantText(t, "asked", controller.askedFor(), "nudge: webhook github")
}

// TestS21 lets a flood through at a pace.
func TestS21Flood(t *testing.T) {
	s, _ := newServer(healthy())
	handler := s.Handler()
	codes := map[int]int{}
	for range 200 {
		response, _ := send(t, handler, hook("github", "wrong", "push", push))
		codes[response.StatusCode]++
		if response.StatusCode == http.StatusTooManyRequests && response.Header.Get("Retry-After") == "" {
			t.Error("the sender is not told when to try again")
		}
	}
	if codes[http.StatusTooManyRequests] < 100 || codes[http.StatusUnauthorized] < 60 {
		t.Errorf("answers by status: %v", codes)
	}
}

func TestTrackedRef(t *testing.T) {
	for _, c := range []struct {
		tracked, ref string
		want         bool
	}{
		{"", "refs/heads/anything", true},
		{"main", "refs/heads/main", true},
		{"main", "refs/heads/mainline", false},
		{"main", "refs/heads/feature/main", false},
		{"v1", "refs/tags/v1", true},
		{"refs/heads/main", "refs/heads/main", true},
		{"refs/heads/main", "main", true}, // Gitea's create event
		{"refs/tags/main", "refs/heads/main", false},
		{"semver:~1", "refs/tags/v1.2.3", true},
		{"semver:~1", "v1.2.3", true},
		{"semver:~1", "refs/heads/main", false},
		{"main", "", true},
	} {
		s, controller := newServer(healthy())
		s.Ref = c.tracked
		send(t, s.Handler(), hook("generic", secret, "", fmt.Sprintf(`{"ref": %q}`, c.ref)))
		if nudged := controller.askedFor() != ""; nudged != c.want {
			t.Errorf("tracked %q, pushed %q: nudged %v", c.tracked, c.ref, nudged)
		}
	}
}

// fuzzHook sends signed bodies of all kinds: whatever they hold, the answer is
// one of those that there are, and nothing panics (a panic answers 500).
func fuzzHook(f *testing.F, provider, event string) {
	for _, body := range []string{push, "", "{}", "[]", "null", `{"ref": null}`, `{"ref": 1}`, "payload=%7B%7D", "\x00", `"`, strings.Repeat("[", 20000)} {
		f.Add(event, "application/json", body)
		f.Add(event, "application/x-www-form-urlencoded", body)
	}
	s, _ := newServer(kargo.Status{})
	f.Fuzz(func(t *testing.T, event, contentType, body string) {
		r := hook(provider, secret, event, body)
		r.header["Content-Type"] = contentType
		response, answer := send(t, s.Handler(), r)
		switch response.StatusCode {
		case http.StatusOK, http.StatusAccepted, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		default:
			t.Errorf("status %d: %s", response.StatusCode, answer)
		}
	})
}

func FuzzHookGitHub(f *testing.F)  { fuzzHook(f, "github", "push") }
func FuzzHookGitLab(f *testing.F)  { fuzzHook(f, "gitlab", "Push Hook") }
func FuzzHookGitea(f *testing.F)   { fuzzHook(f, "gitea", "push") }
func FuzzHookGeneric(f *testing.F) { fuzzHook(f, "generic", "") }
