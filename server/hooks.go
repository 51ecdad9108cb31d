package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/time/rate"
)

// A webhook says "look now" and no more. Nothing of it is believed beyond
// that: the ref only decides whether to look.
const (
	maxHook         = 1 << 20 // bytes
	hooksAtOnce     = 8
	hooksPerSecond  = 20
	hooksInABurst   = 60
	rememberedHooks = 1024
)

// provider is what differs between the senders of webhooks.
type provider struct {
	name string
	// verify holds the body, or the header for those that sign nothing,
	// against the secret.
	verify func(secret []byte, header http.Header, body []byte) bool
	// event is the header with the kind of event; pushes are those that are
	// looked at. Without an event header everything is.
	event  string
	pushes []string
	// delivery is the header that numbers deliveries.
	delivery string
}

var (
	github = provider{
		name:     "github",
		verify:   signedIn("sha256=", "X-Hub-Signature-256"),
		event:    "X-GitHub-Event",
		pushes:   []string{"push", "create"},
		delivery: "X-GitHub-Delivery",
	}
	// gitlab sends the secret itself.
	gitlab = provider{
		name: "gitlab",
		verify: func(secret []byte, header http.Header, _ []byte) bool {
			return sameSecret([]byte(header.Get("X-Gitlab-Token")), secret)
		},
		event:    "X-Gitlab-Event",
		pushes:   []string{"Push Hook", "Tag Push Hook"},
		delivery: "X-Gitlab-Event-UUID",
	}
	// gitea is Forgejo and Gogs, too.
	gitea = provider{
		name:     "gitea",
		verify:   signedIn("", "X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature"),
		event:    "X-Gitea-Event",
		pushes:   []string{"push", "create"},
		delivery: "X-Gitea-Delivery",
	}
	generic = provider{
		name:     "generic",
		verify:   signedIn("sha256=", "X-Signature-256"),
		delivery: "X-Delivery",
	}
)

// signedIn verifies an HMAC-SHA256 of the body, in hexadecimal after a prefix,
// in the first of the headers that is there.
func signedIn(prefix string, headers ...string) func([]byte, http.Header, []byte) bool {
	return func(secret []byte, header http.Header, body []byte) bool {
		for _, name := range headers {
			value := header.Get(name)
			if value == "" {
				continue
			}
			signature, hasPrefix := strings.CutPrefix(value, prefix)
			given, err := hex.DecodeString(signature)
			mac := hmac.New(sha256.New, secret)
			mac.Write(body)
			return hasPrefix && err == nil && hmac.Equal(given, mac.Sum(nil))
		}
		return false
	}
}

// receiver takes webhooks, not more than it can chew.
type receiver struct {
	server *Server
	places chan struct{}
	pace   *rate.Limiter
	seen   *recent
}

func newReceiver(s *Server) *receiver {
	return &receiver{
		server: s,
		places: make(chan struct{}, hooksAtOnce),
		pace:   rate.NewLimiter(hooksPerSecond, hooksInABurst),
		seen:   newRecent(rememberedHooks),
	}
}

// outcome is the answer to a webhook, and its label in the metrics.
type outcome struct {
	label  string
	status int
	hint   string
}

var (
	hookAccepted     = outcome{"accepted", http.StatusAccepted, ""}
	hookIgnored      = outcome{"ignored", http.StatusAccepted, ""}
	hookDuplicate    = outcome{"duplicate", http.StatusAccepted, ""}
	hookAcknowledged = outcome{"acknowledged", http.StatusOK, ""}
	hookMalformed    = outcome{"malformed", http.StatusBadRequest, "the body is not the JSON of a push"}
	hookUnauthorized = outcome{"unauthorized", http.StatusUnauthorized, ""}
	hookTooLarge     = outcome{"too_large", http.StatusRequestEntityTooLarge, ""}
	hookBroken       = outcome{"incomplete", http.StatusBadRequest, ""}
	hookLimited      = outcome{"limited", http.StatusTooManyRequests, ""}
	hookUnconfigured = outcome{"unconfigured", http.StatusServiceUnavailable, "set the file that holds the webhook secret"}
)

func (h *receiver) handler(p provider) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		outcome := h.receive(w, r, p)
		h.server.Metrics.webhook(p.name, outcome.label)
		switch {
		case outcome.status == http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "5")
			turnAway(w, outcome.status, "webhook refused: "+outcome.label, outcome.hint)
		case outcome.status >= 500:
			turnAway(w, outcome.status, "webhook refused: "+outcome.label, outcome.hint)
		case outcome.status >= 400:
			reject(w, outcome.status, "webhook refused: "+outcome.label, outcome.hint)
		default:
			answer(w, outcome.status, result{outcome.label})
		}
	}
}

// receive does the cheap checks first, and reads nothing into the body before
// its signature is right.
func (h *receiver) receive(w http.ResponseWriter, r *http.Request, p provider) outcome {
	if !h.pace.Allow() {
		return hookLimited
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return hookLimited
	}
	secret := readSecret(h.server.WebhookSecret)
	if len(secret) == 0 {
		return hookUnconfigured
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return hookTooLarge
	}
	if err != nil {
		return hookBroken
	}
	if !p.verify(secret, r.Header, body) {
		return hookUnauthorized
	}
	return h.act(r.Header, body, p)
}

// act decides on a webhook that was verified.
func (h *receiver) act(header http.Header, body []byte, p provider) outcome {
	if !p.isPush(header) {
		return hookAcknowledged
	}
	ref, err := pushedRef(header, body)
	if err != nil {
		return hookMalformed
	}
	if !follows(h.server.Ref, ref) {
		return hookIgnored
	}
	if id := header.Get(p.delivery); id != "" && !h.seen.add(p.name+" "+id) {
		return hookDuplicate
	}
	h.server.Controller.Nudge("webhook " + p.name)
	return hookAccepted
}

func (p provider) isPush(header http.Header) bool {
	if p.event == "" {
		return true
	}
	event := header.Get(p.event)
	for _, push := range p.pushes {
		if event == push {
			return true
		}
	}
	return false
}

// pushedRef is the ref that a body speaks of; empty where it speaks of none.
func pushedRef(header http.Header, body []byte) (string, error) {
	// GitHub's default is a form with the JSON in a field.
	if strings.HasPrefix(header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return "", err
		}
		body = []byte(form.Get("payload"))
	}
	if len(body) == 0 {
		return "", nil
	}
	var push struct {
		Ref string `json:"ref"`
	}
	return push.Ref, json.Unmarshal(body, &push)
}

// follows tells whether a push of ref concerns who tracks tracked.
func follows(tracked, ref string) bool {
	return tracked == "" || ref == "" || ref == tracked ||
		ref == "refs/heads/"+tracked || ref == "refs/tags/"+tracked ||
		"refs/heads/"+ref == tracked || "refs/tags/"+ref == tracked ||
		strings.HasPrefix(tracked, "semver:") && !strings.HasPrefix(ref, "refs/heads/") // any tag may be a version
}
