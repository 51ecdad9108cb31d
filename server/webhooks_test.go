package server_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/server"
)

const push = `{"ref": "refs/heads/main", "after": "9c1185a5c5e9fc54612808977ee8f548b2258d31"}`

// The body says who pushed. That is told, and decides nothing.
func TestWhoPushedIsTold(t *testing.T) {
	for provider, body := range map[string]string{
		"github":           `{"ref": "refs/heads/main", "pusher": {"name": "ada"}}`,
		"gitlab":           `{"ref": "refs/heads/main", "user_username": "ada", "user_name": "Ada Lovelace"}`,
		"gitea":            `{"ref": "refs/heads/main", "pusher": {"login": "ada", "full_name": "Ada Lovelace"}}`,
		"bitbucket":        `{"actor": {"nickname": "ada"}, "push": {"changes": [{"new": {"name": "main"}}]}}`,
		"bitbucket-server": `{"actor": {"name": "ada"}, "changes": [{"ref": {"id": "refs/heads/main"}}]}`,
		"azure-devops":     `{"eventType": "git.push", "resource": {"pushedBy": {"displayName": "ada"}, "refUpdates": [{"name": "refs/heads/main"}]}}`,
		"generic":          `{"ref": "main", "pusher": {"name": "a\u0007da\n"}}`,
	} {
		s, controller := newServer(healthy())
		header := samples[provider].header(secret, body)
		if event := samples[provider].event; event != "" {
			header[event] = samples[provider].push
		}
		response, _ := send(t, s.Handler(), request{"POST", "/hooks/" + provider, header, body})
		wantStatus(t, response, http.StatusAccepted)
		asked := controller.askedFor()
		if !strings.HasPrefix(asked, "nudge: webhook "+provider+", which says: pushed by ") || strings.ContainsAny(asked, "\n\a") {
			t.Errorf("%s: asked %q", provider, asked)
		}
	}
}

func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// delivered is how one provider sends a push.
type delivered struct {
	header func(key, body string) map[string]string // proof of the secret
	event  string                                   // the header of the event; empty where there is none
	push   string                                   // its value for a push
	other  string                                   // its value, or the body, of another event
	body   string                                   // of a push of the branch main
	tag    string                                   // of a push of the tag main
	branch string                                   // of a push of another branch
	odd    string                                   // JSON in another form
}

// samples has a push of each provider of the server's table.
var samples = map[string]delivered{
	"github": {
		header: func(key, body string) map[string]string {
			return map[string]string{"X-Hub-Signature-256": "sha256=" + sign(key, body)}
		},
		event: "X-GitHub-Event", push: "push", other: "ping",
		body: push, tag: `{"ref": "refs/tags/main"}`, branch: `{"ref": "refs/heads/other"}`, odd: `{"ref": ["refs/heads/main"]}`,
	},
	"gitlab": {
		header: func(key, _ string) map[string]string { return map[string]string{"X-Gitlab-Token": key} },
		event:  "X-Gitlab-Event", push: "Push Hook", other: "Issue Hook",
		body: push, tag: `{"ref": "refs/tags/main"}`, branch: `{"ref": "refs/heads/other"}`, odd: `{"ref": ["refs/heads/main"]}`,
	},
	"gitea": {
		header: func(key, body string) map[string]string {
			return map[string]string{"X-Gitea-Signature": sign(key, body)}
		},
		event: "X-Gitea-Event", push: "push", other: "issues",
		body: push, tag: `{"ref": "refs/tags/main"}`, branch: `{"ref": "refs/heads/other"}`, odd: `{"ref": ["refs/heads/main"]}`,
	},
	"bitbucket": {
		header: func(key, body string) map[string]string {
			return map[string]string{"X-Hub-Signature": "sha256=" + sign(key, body)}
		},
		event: "X-Event-Key", push: "repo:push", other: "issue:created",
		body:   `{"push": {"changes": [{"new": {"type": "branch", "name": "other"}, "old": null}, {"new": {"type": "branch", "name": "main"}, "old": {"type": "branch", "name": "main"}}]}}`,
		tag:    `{"push": {"changes": [{"new": {"type": "tag", "name": "main"}, "old": null}]}}`,
		branch: `{"push": {"changes": [{"new": null, "old": {"type": "branch", "name": "other"}}]}}`,
		odd:    `{"push": {"changes": {"new": "main"}}}`,
	},
	"bitbucket-server": {
		header: func(key, body string) map[string]string {
			return map[string]string{"X-Hub-Signature": "sha256=" + sign(key, body)}
		},
		event: "X-Event-Key", push: "repo:refs_changed", other: "pr:opened",
		body:   `{"eventKey": "repo:refs_changed", "changes": [{"ref": {"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"}, "type": "UPDATE"}]}`,
		tag:    `{"eventKey": "repo:refs_changed", "changes": [{"ref": {"id": "refs/tags/main", "displayId": "main", "type": "TAG"}, "type": "ADD"}]}`,
		branch: `{"eventKey": "repo:refs_changed", "changes": [{"ref": {"id": "refs/heads/other", "displayId": "other", "type": "BRANCH"}, "type": "DELETE"}]}`,
		odd:    `{"changes": [{"ref": "refs/heads/main"}]}`,
	},
	"azure-devops": {
		header: func(key, _ string) map[string]string {
			return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("kargo:"+key))}
		},
		other:  `{"eventType": "workitem.created", "resource": {}}`,
		body:   `{"eventType": "git.push", "resource": {"refUpdates": [{"name": "refs/heads/main", "newObjectId": "9c1185a5"}]}}`,
		tag:    `{"eventType": "git.push", "resource": {"refUpdates": [{"name": "refs/tags/main"}]}}`,
		branch: `{"eventType": "git.push", "resource": {"refUpdates": [{"name": "refs/heads/other"}]}}`,
		odd:    `{"eventType": "git.push", "resource": {"refUpdates": "refs/heads/main"}}`,
	},
	"generic": {
		header: func(key, body string) map[string]string {
			return map[string]string{"X-Signature-256": "sha256=" + sign(key, body)}
		},
		body: push, tag: `{"ref": "refs/tags/main"}`, branch: `{"ref": "refs/heads/other"}`, odd: `{"ref": ["refs/heads/main"]}`,
	},
}

// hook is a delivery as the provider sends it, with the proof of key.
func hook(provider, key, event, body string) request {
	sample := samples[provider]
	header := sample.header(key, body)
	header["Content-Type"] = "application/json"
	if sample.event != "" {
		header[sample.event] = event
	}
	return request{"POST", "/hooks/" + provider, header, body}
}

func TestEachProviderHasASample(t *testing.T) {
	wantText(t, "providers with a sample", strings.Join(slices.Sorted(maps.Keys(samples)), " "), strings.Join(slices.Sorted(slices.Values(server.ProviderNames())), " "))
}

func TestWebhooks(t *testing.T) {
	for provider, sample := range samples {
		event := sample.push
		for _, c := range []struct {
			name   string
			hook   request
			status int
			want   string
			nudged bool
		}{
			{"push", hook(provider, secret, event, sample.body), 202, `"result": "accepted"`, true},
			{"push of a tag with the name", hook(provider, secret, event, sample.tag), 202, `"result": "accepted"`, true},
			{"push of another branch", hook(provider, secret, event, sample.branch), 202, `"result": "ignored"`, false},
			{"nothing but the event", hook(provider, secret, event, ""), 202, `"result": "accepted"`, true},
			{"wrong secret", hook(provider, "wrong", event, sample.body), 401, `"error": "webhook refused: unauthorized"`, false},
			{"wrong secret for a ping", hook(provider, "wrong", "ping", "{}"), 401, `"error": "webhook refused: unauthorized"`, false},
			{"no secret", request{"POST", "/hooks/" + provider, nil, sample.body}, 401, `"error": "webhook refused: unauthorized"`, false},
			{"wrong secret, not JSON", hook(provider, "wrong", event, "{"), 401, `"error": "webhook refused: unauthorized"`, false},
			{"not JSON", hook(provider, secret, event, "{"), 400, `"error": "webhook refused: malformed"`, false},
			{"JSON in another form", hook(provider, secret, event, sample.odd), 400, `"error": "webhook refused: malformed"`, false},
			{"too large", hook(provider, secret, event, strings.Repeat(" ", 1<<20)+sample.body), 413, `"error": "webhook refused: too_large"`, false},
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
	for provider, sample := range samples {
		if sample.other == "" {
			continue // generic has no events
		}
		event, body := sample.other, `{"zen": "not a push"}`
		if sample.event == "" {
			event, body = "", sample.other
		}
		s, controller := newServer(healthy())
		response, _ := send(t, s.Handler(), hook(provider, secret, event, body))
		wantStatus(t, response, http.StatusOK)
		wantText(t, provider, controller.askedFor(), "")
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
		for provider := range samples {
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

// A flood of those who do not know the secret spends nothing of those who do.
func TestS47_UnsignedRequestsSpendNothingOfSignedOnes(t *testing.T) {
	s, controller := newServer(healthy())
	handler := s.Handler()
	for range 500 {
		send(t, handler, hook("github", "wrong", "push", push))
	}
	response, _ := send(t, handler, hook("github", secret, "push", push))
	wantStatus(t, response, http.StatusAccepted)
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

// FuzzWebhook sends bodies of all kinds with the right secret. The response
// must be one of the known ones, and nothing may panic (a panic responds with
// 500).
func FuzzWebhook(f *testing.F) {
	for provider, sample := range samples {
		for _, body := range []string{sample.body, sample.odd, "", "{}", "[]", "null", `{"ref": null}`, "payload=%7B%7D", "\x00", `"`, strings.Repeat("[", 20000)} {
			f.Add(provider, sample.push, "application/json", body)
			f.Add(provider, sample.push, "application/x-www-form-urlencoded", body)
		}
	}
	f.Fuzz(func(t *testing.T, provider, event, contentType, body string) {
		s, _ := newServer(kargo.Status{})
		if samples[provider].header == nil {
			t.Skip("there is no such provider")
		}
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
