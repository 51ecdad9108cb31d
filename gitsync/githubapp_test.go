package gitsync_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/wire"
)

// appHost is a git host with the API for apps that GitHub documents: it
// authenticates the app, and returns tokens that may read the repository.
type appHost struct {
	key      *rsa.PrivateKey
	lifetime time.Duration
	asked    []string // calls of the API
	current  string   // the token that opens
	git      http.Handler
}

func newAppHost(t *testing.T, git http.Handler) *appHost {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &appHost{key: key, lifetime: time.Hour, git: git}
}

func (h *appHost) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(h.key)})
}

// identified checks the signature and the claims of a request.
func (h *appHost) identified(r *http.Request) bool {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&h.key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		return false
	}
	var claims struct {
		Issuer       string `json:"iss"`
		From, Expiry int64
		Iat          int64 `json:"iat"`
		Exp          int64 `json:"exp"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	now := time.Now().Unix()
	return err == nil && json.Unmarshal(payload, &claims) == nil &&
		claims.Issuer == "Iv1.app" && claims.Iat <= now && now < claims.Exp && claims.Exp-claims.Iat <= 600
}

func (h *appHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isAPI := strings.CutPrefix(r.URL.Path, "/api/v3")
	if !isAPI {
		if user, token, _ := r.BasicAuth(); user != "x-access-token" || token != h.current {
			http.Error(w, "no entry with "+token, http.StatusUnauthorized)
			return
		}
		h.git.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	h.asked = append(h.asked, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
	switch {
	case !h.identified(r):
		http.Error(w, `{"message": "A JSON web token could not be decoded"}`, http.StatusUnauthorized)
	case path == "/repos/team/workspace/installation":
		fmt.Fprint(w, `{"id": 77}`)
	case path == "/app/installations/77/access_tokens":
		h.current = fmt.Sprintf("ghs_pl4nt3d%d", len(h.asked))
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"token": h.current, "expires_at": time.Now().Add(h.lifetime).UTC().Format(time.RFC3339)})
	default:
		http.Error(w, `{"message": "Not Found"}`, http.StatusNotFound)
	}
}

func TestGitHubApp(t *testing.T) {
	t.Parallel()
	const give = `POST /app/installations/77/access_tokens {"permissions":{"contents":"read"},"repositories":["workspace"]}`
	o := newOrigin(t)
	host := newAppHost(t, gitHandler(t, o.root))
	server := httptest.NewServer(host)
	t.Cleanup(server.Close)
	key := host.pem()
	opts := gitsync.Options{URL: server.URL + "/team/workspace.git", Access: wire.Access{GitHubApp: &wire.GitHubApp{
		ID: "Iv1.app", Key: func() ([]byte, error) { return key, nil }, API: server.URL + "/api/v3/",
	}}}
	repository := open(t, opts)
	expect := func(what string, calls ...string) {
		t.Helper()
		wantText(t, what, strings.Join(host.asked, "\n"), strings.Join(calls, "\n"))
		host.asked = nil
	}
	sync(t, repository)
	head(t, repository)
	expect("one token for all", "GET /repos/team/workspace/installation", give)

	host.current = "revoked meanwhile"
	_, err := repository.Head(deadline(t))
	wantError(t, err, kargo.Unavailable, repository.Address(),
		"list the refs of ADDRESS: the server refuses the user name or the password (is the token still valid?)")
	head(t, repository)
	expect("a refused token is renewed", "GET /repos/team/workspace/installation", give)

	opts.GitHubApp.Installation = "77"
	host.lifetime = 4 * time.Minute
	repository = open(t, opts)
	head(t, repository)
	head(t, repository)
	expect("a token that ends soon is renewed", give, give)

	host.lifetime = time.Hour
	head(t, repository)
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8(t, host.key)})
	head(t, repository)
	expect("so is one of another key file", give, give)
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	data, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGitHubAppIsRefused(t *testing.T) {
	t.Parallel()
	host, stranger := newAppHost(t, nil), newAppHost(t, nil)
	server := httptest.NewServer(host)
	t.Cleanup(server.Close)
	for _, c := range []struct {
		name string
		path string
		key  []byte
		want string
	}{
		{"another key", "team/workspace", stranger.pem(), "look up the installation of the GitHub App: GitHub responds with 401 A JSON web token could not be decoded " +
			"(is the private key the app's, and is the clock right?)"},
		{"not installed", "team/other", host.pem(), "look up the installation of the GitHub App: GitHub responds with 404 Not Found (is the app installed where the repository is?)"},
		{"no key", "team/workspace", []byte("garbage"), "read the key of the GitHub App: it holds no key in PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			repository := open(t, gitsync.Options{URL: server.URL + "/" + c.path, Access: wire.Access{GitHubApp: &wire.GitHubApp{
				ID: "Iv1.app", Key: content(c.key), API: server.URL + "/api/v3",
			}}})
			_, err := repository.Head(deadline(t))
			wantError(t, err, kargo.Unavailable, repository.Address(), "list the refs of ADDRESS: "+c.want)
		})
	}
}
