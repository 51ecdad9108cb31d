package server

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// A webhook asks for a round and does nothing else. Its content is not trusted:
// the ref only decides whether git is asked now.
const (
	maxWebhook         = 1 << 20 // bytes
	webhooksAtOnce     = 8
	webhooksPerSecond  = 20
	webhooksInABurst   = 60
	rememberedWebhooks = 1024
	// bodyDeadline is how long the body of a webhook may take to arrive, placeWait
	// how long a whole one waits for a place.
	bodyDeadline = 5 * time.Second
	placeWait    = 2 * time.Second
)

// provider is one sender of webhooks: all that differs between them. Routes,
// tests and the table in docs/operating.md come from the list below, so a new
// one is a row there, a sample in the test and a line in the table.
type provider struct {
	name  string // in the address /hooks/NAME and in the metrics
	title string // for people
	// verify reports whether the request comes from someone who knows the
	// secret: by the signature of the body, or by the header of those that
	// sign nothing.
	verify func(secret []byte, header http.Header, body []byte) bool
	// event is the header with the kind of event; pushes are those that are
	// looked at. Without an event header everything is.
	event  string
	pushes []string
	// delivery is the header that numbers deliveries.
	delivery string
	// read takes the body of an event apart. The error is for a body that is
	// not in the provider's form.
	read func(body []byte) (push, error)
}

// push is what the body of a webhook says. The refs decide whether git is asked;
// who pushed is only told.
type push struct {
	// by is who pushed, in the host's words.
	by string
	// other is set where the body is about something else than a push.
	other bool
	// refs are the branches and tags that were pushed, with or without
	// refs/heads/; none where the body names none.
	refs []string
}

var providers = []provider{
	{
		name: "github", title: "GitHub",
		verify: signedIn("sha256=", "X-Hub-Signature-256"),
		event:  "X-GitHub-Event", pushes: []string{"push", "create"}, delivery: "X-GitHub-Delivery",
		read: oneRef,
	},
	{
		name: "gitlab", title: "GitLab",
		verify: func(secret []byte, header http.Header, _ []byte) bool {
			return sameSecret([]byte(header.Get("X-Gitlab-Token")), secret)
		},
		event: "X-Gitlab-Event", pushes: []string{"Push Hook", "Tag Push Hook"}, delivery: "X-Gitlab-Event-UUID",
		read: oneRef,
	},
	{
		name: "gitea", title: "Gitea, Forgejo, Gogs",
		verify: signedIn("", "X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature"),
		event:  "X-Gitea-Event", pushes: []string{"push", "create"}, delivery: "X-Gitea-Delivery",
		read: oneRef,
	},
	{
		name: "bitbucket", title: "Bitbucket Cloud",
		verify: signedIn("sha256=", "X-Hub-Signature"),
		event:  "X-Event-Key", pushes: []string{"repo:push"}, delivery: "X-Request-UUID",
		read: bitbucketRefs,
	},
	{
		name: "bitbucket-server", title: "Bitbucket Data Center and Server",
		verify: signedIn("sha256=", "X-Hub-Signature"),
		event:  "X-Event-Key", pushes: []string{"repo:refs_changed"}, delivery: "X-Request-Id",
		read: bitbucketServerRefs,
	},
	{
		name: "azure-devops", title: "Azure DevOps",
		verify: func(secret []byte, header http.Header, _ []byte) bool {
			_, password, _ := (&http.Request{Header: header}).BasicAuth()
			return sameSecret([]byte(password), secret)
		},
		read: azureRefs,
	},
	{
		name: "generic", title: "anything else",
		verify: signedIn("sha256=", "X-Signature-256"), delivery: "X-Delivery",
		read: oneRef,
	},
}

// oneRef reads a body with the ref at its top: {"ref": "refs/heads/main"}.
func oneRef(body []byte) (push, error) {
	var pushed struct {
		Ref    string `json:"ref"`
		Pusher struct {
			Login, Username, Name string
		}
		UserUsername string `json:"user_username"` // GitLab's
		UserName     string `json:"user_name"`
	}
	err := json.Unmarshal(body, &pushed)
	by := cmp.Or(pushed.Pusher.Login, pushed.Pusher.Username, pushed.Pusher.Name, pushed.UserUsername, pushed.UserName)
	return push{by: by, refs: refs(pushed.Ref)}, err
}

// bitbucketRefs reads the branches and tags that are new, moved or deleted.
func bitbucketRefs(body []byte) (push, error) {
	type named struct {
		Name string `json:"name"`
	}
	var pushed struct {
		Actor struct {
			Nickname    string
			DisplayName string `json:"display_name"`
		}
		Push struct {
			Changes []struct{ New, Old named }
		}
	}
	err := json.Unmarshal(body, &pushed)
	var names []string
	for _, change := range pushed.Push.Changes {
		names = append(names, change.New.Name, change.Old.Name)
	}
	return push{by: cmp.Or(pushed.Actor.Nickname, pushed.Actor.DisplayName), refs: refs(names...)}, err
}

func bitbucketServerRefs(body []byte) (push, error) {
	var pushed struct {
		Actor   struct{ Name string }
		Changes []struct {
			Ref struct {
				ID string `json:"id"`
			}
		}
	}
	err := json.Unmarshal(body, &pushed)
	var names []string
	for _, change := range pushed.Changes {
		names = append(names, change.Ref.ID)
	}
	return push{by: pushed.Actor.Name, refs: refs(names...)}, err
}

// azureRefs reads a body that says itself which event it is.
func azureRefs(body []byte) (push, error) {
	var event struct {
		Type     string `json:"eventType"`
		Resource struct {
			PushedBy struct {
				DisplayName string `json:"displayName"`
			}
			RefUpdates []struct {
				Name string `json:"name"`
			}
		}
	}
	err := json.Unmarshal(body, &event)
	var names []string
	for _, update := range event.Resource.RefUpdates {
		names = append(names, update.Name)
	}
	return push{by: event.Resource.PushedBy.DisplayName, other: event.Type != "git.push", refs: refs(names...)}, err
}

// refs returns the names that are not empty.
func refs(names ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// signedIn returns a function that verifies an HMAC-SHA256 of the body. It is
// expected in hexadecimal after a prefix, in the first of the headers that the
// request has.
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

// receiver takes webhooks, so many a second and so many at once. Who does not know
// the secret spends nothing of those who do: a place is taken once the whole body has
// arrived, and unsigned requests have a pace of their own.
type receiver struct {
	server *Server
	places chan struct{}
	signed *rate.Limiter
	others *rate.Limiter
	seen   *recent
	bodies *bodies
}

func newReceiver(s *Server) *receiver {
	return &receiver{
		server: s,
		places: make(chan struct{}, webhooksAtOnce),
		signed: rate.NewLimiter(webhooksPerSecond, webhooksInABurst),
		others: rate.NewLimiter(webhooksPerSecond, webhooksInABurst),
		seen:   newRecent(rememberedWebhooks),
		bodies: newBodies(maxBodies),
	}
}

// outcome is the response to a webhook, and its label in the metrics.
type outcome struct {
	label  string
	status int
	hint   string
}

var (
	webhookAccepted     = outcome{"accepted", http.StatusAccepted, ""}
	webhookIgnored      = outcome{"ignored", http.StatusAccepted, ""}
	webhookDuplicate    = outcome{"duplicate", http.StatusAccepted, ""}
	webhookAcknowledged = outcome{"acknowledged", http.StatusOK, ""}
	webhookMalformed    = outcome{"malformed", http.StatusBadRequest, "the body is not the JSON of a push"}
	webhookUnauthorized = outcome{"unauthorized", http.StatusUnauthorized, ""}
	webhookTooLarge     = outcome{"too_large", http.StatusRequestEntityTooLarge, ""}
	webhookBroken       = outcome{"incomplete", http.StatusBadRequest, ""}
	webhookLimited      = outcome{"limited", http.StatusTooManyRequests, ""}
	webhookUnconfigured = outcome{"unconfigured", http.StatusServiceUnavailable, "set the file that holds the webhook secret"}
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

// receive does the cheap checks first. It does not parse a body before its
// signature was verified.
func (h *receiver) receive(w http.ResponseWriter, r *http.Request, p provider) outcome {
	secret := readSecret(h.server.WebhookSecret)
	if len(secret) == 0 {
		return webhookUnconfigured
	}
	body, refused := h.readBody(w, r)
	if refused != nil {
		return *refused
	}
	defer serve(r.Context())()
	wait, cancel := context.WithTimeout(r.Context(), placeWait)
	defer cancel()
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	case <-wait.Done():
		return webhookLimited
	}
	switch known := p.verify(secret, r.Header, body); {
	case !known && h.others.Allow():
		return webhookUnauthorized
	case !known, !h.signed.Allow():
		return webhookLimited
	}
	return h.act(r.Header, body, p)
}

// readBody reads the body of a webhook, or returns why it does not.
func (h *receiver) readBody(w http.ResponseWriter, r *http.Request) (content []byte, refused *outcome) {
	// A response that has no connection, as in tests, has no deadlines.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyDeadline))
	body := h.bodies.add(http.MaxBytesReader(w, r.Body, maxWebhook), network(r.RemoteAddr), func() {
		_ = connection.SetReadDeadline(time.Unix(1, 0))
	})
	content, err := io.ReadAll(body)
	lost := body.close()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &webhookTooLarge
	case lost:
		return nil, &webhookLimited
	case err != nil:
		return nil, &webhookBroken
	}
	return content, nil
}

// act decides on a webhook that was verified.
func (h *receiver) act(header http.Header, body []byte, p provider) outcome {
	if p.event != "" && !slices.Contains(p.pushes, header.Get(p.event)) {
		return webhookAcknowledged
	}
	pushed, err := p.pushed(header, body)
	switch {
	case err != nil:
		return webhookMalformed
	case pushed.other:
		return webhookAcknowledged
	case !followsAny(h.server.Ref, pushed.refs):
		return webhookIgnored
	}
	if id := header.Get(p.delivery); id != "" && !h.seen.add(p.name+" "+id) {
		return webhookDuplicate
	}
	trigger := "webhook " + p.name
	if by := shortName(pushed.by); by != "" {
		trigger += ", which says: pushed by " + by
	}
	h.server.Controller.Nudge(trigger)
	return webhookAccepted
}

// pushed reads a body. One that is empty says that something was pushed.
func (p provider) pushed(header http.Header, body []byte) (push, error) {
	// The default of GitHub is a form with the JSON in a field.
	if strings.HasPrefix(header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return push{}, err
		}
		body = []byte(form.Get("payload"))
	}
	if len(body) == 0 {
		return push{}, nil
	}
	return p.read(body)
}

// followsAny reports whether a push of these refs concerns who tracks tracked.
// Where no ref is named, it may.
func followsAny(tracked string, refs []string) bool {
	return len(refs) == 0 || slices.ContainsFunc(refs, func(ref string) bool { return follows(tracked, ref) })
}

// follows reports whether a push of ref concerns who tracks tracked.
func follows(tracked, ref string) bool {
	return tracked == "" || ref == tracked ||
		ref == "refs/heads/"+tracked || ref == "refs/tags/"+tracked ||
		"refs/heads/"+ref == tracked || "refs/tags/"+ref == tracked ||
		strings.HasPrefix(tracked, "semver:") && !strings.HasPrefix(ref, "refs/heads/") // any tag may be a version
}
