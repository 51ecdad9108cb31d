package wire

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"kargo"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// GitHubApp is an installation of an app at GitHub, or at a GitHub Enterprise
// Server, that may read the repository. Each of its tokens is valid for an hour.
type GitHubApp struct {
	// ID is the app's ID or client ID. Installation is the number of its
	// installation; if it is empty, it is looked up for the repository.
	ID, Installation string
	// Key is the app's private key in PEM.
	Key func() ([]byte, error)
	// API is the address of the API. If it is empty, it is https://api.github.com
	// for repositories on github.com, and https://HOST/api/v3 for others.
	API string
}

const (
	// appUser is the user name that GitHub expects with the token of an app.
	appUser = "x-access-token"
	// tokenMargin is how long before its end a token is renewed, so that it does
	// not expire during a download.
	tokenMargin = 5 * time.Minute
	// maxAPIAnswer is how much of an answer of the API is read, in bytes.
	maxAPIAnswer = 1 << 20
)

// githubApp is a GitHubApp with its last token.
type githubApp struct {
	GitHubApp
	api               string // without a slash at its end
	owner, repository string

	mu      sync.Mutex
	current string
	expires time.Time
	key     [sha256.Size]byte // of the key that the token was requested with
}

// newGitHubApp checks the options of an app.
func newGitHubApp(app GitHubApp, at Address) (*githubApp, error) {
	owner, repository, ok := strings.Cut(strings.TrimSuffix(strings.Trim(at.path, "/"), ".git"), "/")
	switch {
	case at.scheme != schemeHTTPS && at.scheme != schemeHTTP:
		return nil, invalid("a GitHub App reads repositories over https only", "use the https:// address")
	case app.ID == "" || app.Key == nil:
		return nil, invalid("a GitHub App needs its ID and its private key", "")
	case !ok || strings.Contains(repository, "/"):
		return nil, invalid("the path is not that of a repository at GitHub", "https://github.com/OWNER/REPOSITORY.git")
	case strings.ContainsFunc(app.Installation, func(r rune) bool { return r < '0' || '9' < r }):
		return nil, invalid("the installation of the GitHub App is not a number", "leave it empty to look it up")
	}
	a := &githubApp{GitHubApp: app, api: strings.TrimSuffix(app.API, "/"), owner: owner, repository: repository}
	if a.api == "" {
		a.api = "https://" + at.hostPort() + "/api/v3"
		if at.host == "github.com" {
			a.api = "https://api.github.com"
		}
	}
	u, err := url.Parse(a.api)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && (u.Scheme != "http" || !kargo.IsLoopback(u.Hostname())) {
		return nil, invalid("the address of GitHub's API is not usable", "https://github.example.com/api/v3")
	}
	return a, nil
}

// token returns the last token, or a new one if that expires soon or the key has
// changed.
func (a *githubApp) token(ctx context.Context, r *Remote) (string, error) {
	data, err := a.Key()
	if err != nil {
		return "", unreadable("the key of the GitHub App", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	digest := sha256.Sum256(data)
	if a.current != "" && a.key == digest && time.Until(a.expires) > tokenMargin {
		return a.current, nil
	}
	a.current = ""
	key, err := parseRSAKey(data)
	if err != nil {
		return "", unreadable("the key of the GitHub App", err)
	}
	if err := a.renew(ctx, r, key); err != nil {
		return "", err
	}
	a.key = digest
	return a.current, nil
}

// forget drops a token that the host has refused.
func (a *githubApp) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current = ""
}

// renew requests a token that can read the content of this repository and nothing
// else.
func (a *githubApp) renew(ctx context.Context, r *Remote, key *rsa.PrivateKey) error {
	identity, err := signIdentity(a.ID, key, time.Now())
	if err != nil {
		return err
	}
	r.sent.add(identity)
	carrier, err := r.transport(false)
	if err != nil {
		return err
	}
	defer carrier.CloseIdleConnections()
	client := &http.Client{Transport: carrier, CheckRedirect: refuseOtherHosts}

	installation := a.Installation
	if installation == "" {
		var found struct {
			ID int64 `json:"id"`
		}
		path := "/repos/" + url.PathEscape(a.owner) + "/" + url.PathEscape(a.repository) + "/installation"
		if err := a.call(ctx, client, identity, http.MethodGet, path, nil, &found); err != nil {
			return whileDoing("look up the installation of the GitHub App", err)
		}
		installation = strconv.FormatInt(found.ID, 10)
	}
	var given struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	wanted := map[string]any{"repositories": []string{a.repository}, "permissions": map[string]string{"contents": "read"}}
	if err := a.call(ctx, client, identity, http.MethodPost, "/app/installations/"+installation+"/access_tokens", wanted, &given); err != nil {
		return whileDoing("get a token for the GitHub App", err)
	}
	if given.Token == "" {
		return errors.New("get a token for the GitHub App: the response has none")
	}
	r.sent.add(given.Token)
	a.current, a.expires = given.Token, given.Expires
	return nil
}

func (a *githubApp) call(ctx context.Context, client *http.Client, identity, method, path string, body, into any) error {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.api+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+identity)
	request.Header.Set("Accept", "application/vnd.github+json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAPIAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return refusedByAPI(response.StatusCode, data)
	}
	return json.Unmarshal(data, into)
}

// refusedByAPI returns the error of a refused call, with a hint.
func refusedByAPI(status int, data []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(data, &said) // the error page of a proxy is not JSON
	hint := ""
	switch status {
	case http.StatusUnauthorized:
		hint = "is the private key the app's, and is the clock right?"
	case http.StatusNotFound:
		hint = "is the app installed where the repository is?"
	case http.StatusForbidden, http.StatusUnprocessableEntity:
		hint = "may the app read contents of this repository?"
	}
	return &kargo.Error{Fault: kargo.Unavailable, Hint: hint, Err: fmt.Errorf("GitHub responds with %d %s", status, kargo.PrintableLine(said.Message))}
}

// whileDoing adds to an error what was being done, and keeps its hint.
func whileDoing(what string, err error) error {
	var known *kargo.Error
	if errors.As(err, &known) {
		return &kargo.Error{Fault: known.Fault, Hint: known.Hint, Err: fmt.Errorf("%s: %w", what, known.Err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// signIdentity creates the token with which the app authenticates itself: a JWT
// signed with RS256, valid for ten minutes at most. It begins one minute ago,
// because clocks differ.
func signIdentity(id string, key *rsa.PrivateKey, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": id, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(8 * time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return text + "." + encode(signature), nil
}

func parseRSAKey(data []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it holds no key in PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it holds no private key that can be read")
	}
	key, isRSA := parsed.(*rsa.PrivateKey)
	if !isRSA {
		return nil, errors.New("it is not an RSA key")
	}
	return key, nil
}

// forgetRefused drops the app's token if the host refused it, so that the next
// request uses a new one.
func (r *Remote) forgetRefused(err error) error {
	if r.app != nil && (errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed)) {
		r.app.forget()
	}
	return err
}
