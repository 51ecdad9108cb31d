// Package notify reports how deployments ended, and which revisions are refused: it posts
// one JSON document to one address, signed. Chat services that read a "text" field (Slack, Mattermost,
// Rocket.Chat) show its summary of one line; other receivers can verify the
// signature and read the rest.
//
// A notification that fails is for the caller to log. It does not fail a
// deployment.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"kargo"
)

const (
	timeout    = 10 * time.Second
	remembered = 256 // notices that are not sent again
)

// Webhook sends notices to one address. It is used by pointer and is safe for
// concurrent use; notices are sent one after the other. It remembers in memory what
// was sent, so the last notice may be repeated after a restart.
type Webhook struct {
	// URL is https://, or http:// on this machine. It may itself be a secret, as
	// Slack's are, so errors show only its host.
	URL string
	// Secret returns the key that signs the body, and is called at each use; nil
	// means unsigned.
	Secret func() ([]byte, error)
	// Client provides the Transport; nil means the default. Redirects are never
	// followed.
	Client *http.Client

	mu      sync.Mutex
	sent    []string // newest last
	failing bool     // the last notice was "failed"
}

// Notice is the body of a notification.
type Notice struct {
	Text       string         `json:"text"`
	Event      string         `json:"event"` // "deployment"
	Deployment uint64         `json:"deployment"`
	Outcome    kargo.Outcome  `json:"outcome"`
	Recovered  bool           `json:"recovered,omitempty"` // succeeded, after a failure
	Revision   kargo.Revision `json:"revision"`
	Trigger    string         `json:"trigger"`
	Started    time.Time      `json:"started"`
	Finished   time.Time      `json:"finished,omitzero"`
	Plan       string         `json:"plan"`
	Changes    []string       `json:"changes"` // the plan's lines, masked
	Words      []string       `json:"words"`   // the same in the words of compose files
	Held       []string       `json:"held,omitempty"`
	Error      string         `json:"error,omitempty"`
}

// Validate returns an Invalid error if the address cannot be used. It does not
// repeat the URL.
func (w *Webhook) Validate() error {
	_, err := w.address()
	return err
}

func (w *Webhook) address() (*url.URL, error) {
	address, err := url.Parse(w.URL)
	switch {
	case err != nil || address.Host == "":
		return nil, invalid("the URL cannot be parsed", "give https://host/path")
	case address.User != nil:
		return nil, invalid("the URL holds a user or a password", "use a secret to sign instead")
	case address.Scheme == "https", address.Scheme == "http" && kargo.IsLoopback(address.Hostname()):
		return address, nil
	}
	return nil, invalid("the URL is not https", "plain http is allowed on this machine only")
}

func invalid(message, hint string) error {
	return &kargo.Error{Fault: kargo.Invalid, Where: kargo.Place{File: "notification"}, Hint: hint, Err: errors.New(message)}
}

// Deployment sends how a deployment ended: it succeeded or failed, or waits for the
// approval of a person, or its revision is refused. Other outcomes are not sent. Each
// deployment is sent once, however often this is called; after an error it counts as not
// sent. An error is Invalid if the address cannot be used, and Unavailable otherwise. It
// holds no secret.
func (w *Webhook) Deployment(ctx context.Context, deployment kargo.Deployment) error {
	if !concernsPeople(deployment) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id := fmt.Sprintf("%d-%s", deployment.Number, deployment.Outcome)
	if slices.Contains(w.sent, id) {
		return nil
	}
	recovered := w.failing && deployment.Outcome == kargo.OutcomeSucceeded
	if err := w.send(ctx, id, newNotice(deployment, recovered)); err != nil {
		return err
	}
	if deployment.Outcome != kargo.OutcomeHeld {
		w.failing = deployment.Outcome != kargo.OutcomeSucceeded
	}
	w.sent = append(w.sent, id)
	w.sent = w.sent[max(0, len(w.sent)-remembered):]
	return nil
}

// concernsPeople reports whether people want to hear of a deployment.
func concernsPeople(d kargo.Deployment) bool {
	switch d.Outcome {
	case kargo.OutcomeSucceeded, kargo.OutcomeFailed, kargo.OutcomeRefused:
		return true
	case kargo.OutcomeHeld:
		return awaitsApproval(d)
	case kargo.OutcomeRunning, kargo.OutcomeProgressing, kargo.OutcomeSuperseded:
	}
	return false
}

// awaitsApproval reports whether something waits for a person who approves it.
func awaitsApproval(d kargo.Deployment) bool {
	return slices.ContainsFunc(d.Held, func(hold kargo.Hold) bool { return hold.Until == kargo.UntilApproved })
}

func newNotice(d kargo.Deployment, recovered bool) Notice {
	notice := Notice{
		Event: "deployment", Deployment: d.Number, Outcome: d.Outcome, Recovered: recovered,
		Revision: d.Revision, Trigger: d.Trigger, Started: d.Started, Finished: d.Finished,
		Plan: d.PlanID, Changes: []string{}, Words: []string{}, Error: d.Err,
	}
	for _, change := range d.Changes {
		notice.Changes = append(notice.Changes, change.String())
		notice.Words = append(notice.Words, change.InWords())
	}
	for _, hold := range d.Held {
		notice.Held = append(notice.Held, hold.String())
	}
	notice.Text = summary(d, recovered)
	return notice
}

// summary says in one line what happened, and what a person has to do.
func summary(d kargo.Deployment, recovered bool) string {
	text := fmt.Sprintf("Kargo: deployment %d of %s %s (%s)", d.Number, d.Revision, outcome(d), kargo.Plan{Changes: d.Changes, Held: d.Held}.Summary())
	if d.Outcome == kargo.OutcomeRefused {
		text = fmt.Sprintf("Kargo: revision %s is refused", d.Revision)
	}
	if recovered {
		text += ", after a failure"
	}
	if d.Err != "" {
		text += ": " + d.Err
	}
	if awaitsApproval(d) {
		text += "; somebody has to approve it, see kargo status"
	}
	return text
}

func outcome(d kargo.Deployment) string {
	if d.Outcome == kargo.OutcomeHeld {
		return "is held"
	}
	return string(d.Outcome)
}

func (w *Webhook) send(ctx context.Context, id string, notice Notice) error {
	address, err := w.address()
	if err != nil {
		return err
	}
	body, err := json.Marshal(notice)
	if err != nil {
		return fmt.Errorf("encode notification: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return invalid("the URL cannot be used", "")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "kargo")
	request.Header.Set("X-Delivery", id)
	if err := w.sign(request, body); err != nil {
		return err
	}
	response, err := w.client().Do(request)
	if err != nil {
		return unavailable(address, w.reason(err))
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be reused
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return unavailable(address, "the answer is "+response.Status)
	}
	return nil
}

// sign adds the HMAC-SHA256 of the body, as GitHub does.
func (w *Webhook) sign(request *http.Request, body []byte) error {
	if w.Secret == nil {
		return nil
	}
	secret, err := w.Secret()
	if err != nil {
		return kargo.Errorf(kargo.Unavailable, "read the notification secret: %w", err)
	}
	mac := hmac.New(sha256.New, bytes.TrimRight(secret, "\r\n"))
	mac.Write(body)
	request.Header.Set("X-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return nil
}

// client returns the given client without redirects, which could send the notice to
// another host.
func (w *Webhook) client() *http.Client {
	client := http.Client{}
	if w.Client != nil {
		client = *w.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// reason returns the reason of the client's error without the URL.
func (w *Webhook) reason(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return strings.ReplaceAll(err.Error(), w.URL, "the URL")
}

func unavailable(address *url.URL, reason string) error {
	return kargo.Errorf(kargo.Unavailable, "notify %s://%s: %s", address.Scheme, address.Host, reason)
}
