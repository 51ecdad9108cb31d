package gitsync_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/wire"
)

const (
	account  = "kargo"
	password = "s3cr3t-pl4nt3d!"
)

// gitHandler returns git's own smart HTTP server.
func gitHandler(t *testing.T, root string) http.Handler {
	t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("git --exec-path: %v (these tests need git)", err)
	}
	return &cgi.Handler{
		Path:   strings.TrimSpace(string(execPath)) + "/git-http-backend",
		Env:    []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
		Stderr: io.Discard,
	}
}

// private requires the account.
func private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, given, _ := r.BasicAuth()
		if user != account || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no entry for "+given, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/team/workspace.git"
}

func TestFetchOverHTTP(t *testing.T) {
	o := newOrigin(t)
	repository := open(t, gitsync.Options{
		URL: serve(t, private(gitHandler(t, o.root))), Access: wire.Access{Username: account, Password: secret(password + "\n")},
	})
	revision, files := sync(t, repository)
	wantText(t, "revision", revision.String(), "main@"+o.head()[:12]+" “first”")
	wantText(t, "author", revision.Author, "Ada Lovelace")
	wantText(t, "time", revision.Time.UTC().Format(time.RFC3339), "2024-05-06T07:08:09Z")
	wantText(t, "files", listing(t, files), ".env: STACKS=redis\ndeploy/redis.yml: services: {}\n")
}

func TestHTTPCredentials(t *testing.T) {
	o := newOrigin(t)
	address := serve(t, private(gitHandler(t, o.root)))
	for _, c := range []struct {
		name string
		opts gitsync.Options
		want string
	}{
		{"none", gitsync.Options{},
			"list the refs of ADDRESS: the server asks for a password (give a user name and a token)"},
		{"wrong", gitsync.Options{Access: wire.Access{Username: account, Password: secret("wrong-" + password)}},
			"list the refs of ADDRESS: the server refuses the user name or the password (is the token still valid?)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.URL = address
			_, err := open(t, c.opts).Head(deadline(t))
			wantError(t, err, kargo.Unavailable, address, c.want)
		})
	}
}

// A token may be renewed while the program runs.
func TestPasswordIsReadAtEachUse(t *testing.T) {
	o := newOrigin(t)
	current := "expired"
	repository := open(t, gitsync.Options{
		URL: serve(t, private(gitHandler(t, o.root))), Access: wire.Access{Username: account, Password: func() (string, error) { return current, nil }},
	})
	if _, err := repository.Head(deadline(t)); err == nil {
		t.Fatal("the expired password was accepted")
	}
	current = password
	wantText(t, "head", head(t, repository), o.head())
}

func TestMissingRepositoryOverHTTP(t *testing.T) {
	o := newOrigin(t)
	address := strings.Replace(serve(t, gitHandler(t, o.root)), "workspace", "other", 1)
	_, err := open(t, gitsync.Options{URL: address}).Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address,
		"list the refs of ADDRESS: repository not found (or this account may not read it: many hosts give the same answer)")
}

// Credentials and requests stay with the host that the operator named.
func TestS12RedirectToAnotherHostIsNotFollowed(t *testing.T) {
	o := newOrigin(t)
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		gitHandler(t, o.root).ServeHTTP(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.RequestURI(), http.StatusFound)
	}))
	_, err := open(t, gitsync.Options{URL: address, Access: wire.Access{Username: account, Password: secret(password)}}).Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address,
		"list the refs of ADDRESS: the server redirects to "+elsewhere.URL+" (credentials stay with the host that was named; set the URL to where the repository is now)")
	if asked.Load() != 0 {
		t.Errorf("the other host was asked %d times", asked.Load())
	}
}

func TestRedirectOnTheSameHostIsFollowed(t *testing.T) {
	o := newOrigin(t)
	handler := gitHandler(t, o.root)
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if moved := strings.TrimPrefix(r.URL.RequestURI(), "/old"); moved != r.URL.RequestURI() {
			// What a host adds to the address, such as a password, is nobody's to read.
			http.Redirect(w, r, "http://somebody:planted-password@"+r.Host+moved+"&token=planted-token", http.StatusMovedPermanently)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	var moved []string
	note := func(from, to string) { moved = append(moved, from+" to "+to) }
	old := strings.Replace(address, "/team", "/old/team", 1)
	repository := open(t, gitsync.Options{URL: old, Access: wire.Access{Moved: note}})
	revision, _ := sync(t, repository)
	wantText(t, "commit", revision.Commit, o.head())
	if want := old + " to " + address; len(moved) == 0 || moved[0] != want {
		t.Errorf("told was %q, want %q", moved, want)
	}
	moved = nil
	sync(t, open(t, gitsync.Options{URL: address, Access: wire.Access{Moved: note}}))
	if len(moved) > 0 {
		t.Errorf("without a redirect was told %q", moved)
	}
}

// A peer that accepts a connection and does not answer must not block a poll.
func TestSilentHTTPServer(t *testing.T) {
	address := "http://" + silentPeer(t) + "/team/workspace.git"
	repository := open(t, gitsync.Options{URL: address, Timeout: 50 * time.Millisecond})
	_, err := repository.Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address,
		"list the refs of ADDRESS: no answer within 50ms (is the host up, and does a firewall let it through?)")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = repository.Head(ctx)
	wantError(t, err, kargo.Unavailable, address, "list the refs of ADDRESS: context canceled")
}

// silentPeer returns the address of a listener that never answers.
func silentPeer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// If the server stops in the middle of a pack, nothing is left that looks like a
// commit, and the next fetch works.
func TestAnswerBreaksOff(t *testing.T) {
	o := newOrigin(t)
	handler := gitHandler(t, o.root)
	var broken atomic.Bool
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() && r.Method == http.MethodPost {
			recorded := httptest.NewRecorder()
			handler.ServeHTTP(recorded, r)
			w.Header().Set("Content-Type", recorded.Header().Get("Content-Type"))
			_, _ = w.Write(recorded.Body.Bytes()[:recorded.Body.Len()/2])
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, r)
	}))
	dir := t.TempDir()
	repository := open(t, gitsync.Options{URL: address, Dir: dir})
	broken.Store(true)
	_, _, err := repository.Fetch(deadline(t), o.head())
	if kargo.FaultOf(err) != kargo.Unavailable {
		t.Errorf("error %v, want one that is Unavailable", err)
	}
	wantText(t, "left behind", names(t, dir), "")
	broken.Store(false)
	revision, _ := sync(t, repository)
	wantText(t, "commit", revision.Commit, o.head())
}

// Verification of certificates cannot be turned off: a private server needs its CA.
func TestS11PrivateCA(t *testing.T) {
	o := newOrigin(t)
	server := httptest.NewUnstartedServer(private(gitHandler(t, o.root)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake is expected
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.URL + "/team/workspace.git"
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})

	opts := gitsync.Options{URL: address, Access: wire.Access{Username: account, Password: secret(password)}}
	_, err := open(t, opts).Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address, "list the refs of ADDRESS: x509: certificate signed by unknown authority "+
		"(give the CA of a private server; verification cannot be turned off)")

	opts.CA = content([]byte("not a certificate"))
	_, err = open(t, opts).Head(deadline(t))
	wantError(t, err, kargo.Unavailable, address,
		"list the refs of ADDRESS: read the CA bundle: it holds no certificate in PEM")

	opts.CA = content(ca)
	revision, _ := sync(t, open(t, opts))
	wantText(t, "commit", revision.Commit, o.head())
}

// The server repeats the password wherever it can, and no error shows it.
func TestS13ErrorsHoldNoCredentials(t *testing.T) {
	for _, status := range []int{401, 403, 404, 418, 500, 200} {
		address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, given, _ := r.BasicAuth()
			w.Header().Set("Location", "https://"+account+":"+given+"@other.example/?token="+given)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(given + " " + r.Header.Get("Authorization") + " https://u:" + given + "@h/x?sas=" + given))
		}))
		_, err := open(t, gitsync.Options{URL: address, Access: wire.Access{Username: account, Password: secret(password)}}).Head(deadline(t))
		if err == nil {
			t.Fatalf("status %d: no error", status)
		}
		encoded := "a2FyZ286"
		for _, part := range []string{password, encoded, "sas=", "token="} {
			if strings.Contains(kargo.Explain(err), part) {
				t.Errorf("status %d: %q in: %v", status, part, err)
			}
		}
	}
}
