package registry_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kargo"
	"kargo/registry"
)

const (
	user     = "ann"
	password = "s3cr3t-pl4nt3d!"
)

// login is a config.json with a credential for one registry.
func login(host string) func() ([]byte, error) {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return func() ([]byte, error) { return fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, host, auth), nil }
}

// serve serves a registry, and returns its host and the requests: the path, and the
// kind of credential that was sent.
func serve(t *testing.T, handle func(w http.ResponseWriter, r *http.Request)) (host string, asked *[]string) {
	t.Helper()
	asked = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		*asked = append(*asked, strings.TrimSpace(r.URL.String()+" "+kind))
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), asked
}

// paged serves four tags on two pages.
func paged(next string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case r.URL.Query().Get("last") == "":
			w.Header().Set("Link", "<"+next+">; rel=\"next\"")
			fmt.Fprint(w, `{"name": "team/app", "tags": ["1.0", "1.1"]}`)
		default:
			fmt.Fprint(w, `{"name": "team/app", "tags": ["2.0", "latest"]}`)
		}
	}
}

func wantTags(t *testing.T, c *registry.Client, image, want string) {
	t.Helper()
	tags, err := c.Tags(t.Context(), image)
	got := strings.Join(tags, " ")
	if err != nil {
		got = kargo.Explain(err)
		if kargo.FaultOf(err) != kargo.Unavailable {
			t.Errorf("%v is %s", err, kargo.FaultOf(err))
		}
	}
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if strings.Contains(got, password) {
		t.Error("that holds the password")
	}
}

func wantAsked(t *testing.T, got *[]string, want ...string) {
	t.Helper()
	if !slices.Equal(*got, want) {
		t.Errorf("asked:\n  %s\nwant:\n  %s", strings.Join(*got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestPageAfterPage(t *testing.T) {
	host, asked := serve(t, paged("/v2/team/app/tags/list?last=1.1&n=1000"))
	wantTags(t, &registry.Client{Credentials: login(host)}, host+"/team/app", "1.0 1.1 2.0 latest")
	wantAsked(t, asked, "/v2/", "/v2/team/app/tags/list?n=1000 Basic", "/v2/team/app/tags/list?last=1.1&n=1000 Basic")
}

// A list without an end is an error.
func TestPagesWithoutEnd(t *testing.T) {
	pages := 0
	host, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		pages++
		w.Header().Set("Link", fmt.Sprintf("</v2/team/app/tags/list?last=%d>; rel=\"next\"", pages))
		fmt.Fprint(w, `{"tags": []}`)
	})
	wantTags(t, &registry.Client{}, host+"/team/app", "list tags of "+host+"/team/app at "+host+": there are more than 50000 tags, or 1000 pages of them")
}

// A token service gets the credential, and the registry the token.
func TestTokens(t *testing.T) {
	tokens, given := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if name, word, _ := r.BasicAuth(); name == user && word == password {
			fmt.Fprint(w, `{"token": "t0ken"}`)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	host, asked := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+tokens+`/token",service="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		paged("/v2/team/app/tags/list?last=1.1")(w, r)
	})
	wantTags(t, &registry.Client{Credentials: login(host)}, host+"/team/app", "1.0 1.1 2.0 latest")
	wantAsked(t, given, "/token?scope=repository%3Ateam%2Fapp%3Apull&service=registry Basic")
	wantAsked(t, asked, "/v2/", "/v2/team/app/tags/list?n=1000 Bearer", "/v2/team/app/tags/list?last=1.1 Bearer")
	wantTags(t, &registry.Client{Credentials: login("other.example")}, host+"/team/app",
		"list tags of "+host+"/team/app at "+host+": the registry refuses access (do its credentials allow reading? see --registry-auth-file)")
}

// Whatever a registry names, a credential is sent to hosts of its own site only.
func TestS12CredentialsStayWithTheRegistry(t *testing.T) {
	stranger, got := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token": "t", "tags": ["9"]}`) })
	// The same machine by another name is another site.
	stranger = strings.Replace(stranger, "127.0.0.1", "localhost", 1)
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"token service": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+stranger+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, "the credentials were to go to " + stranger + ", which is another site than the registry"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" {
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.Redirect(w, r, "http://"+stranger+r.URL.Path, http.StatusTemporaryRedirect)
		}, "the registry sends its readers on to another host, " + stranger},
		"next page": {paged("http://" + stranger + "/v2/team/app/tags/list?last=1.1"), "the registry sends its readers on to another host, " + stranger},
	} {
		t.Run(name, func(t *testing.T) {
			host, _ := serve(t, c.handle)
			wantTags(t, &registry.Client{Credentials: login(host)}, host+"/team/app", "list tags of "+host+"/team/app at "+host+": "+c.want)
			wantAsked(t, got)
		})
	}
}

func TestRefusals(t *testing.T) {
	status := http.StatusNotFound
	host, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			http.Error(w, "\x1b[31mno\nmore "+password, status)
		}
	})
	prefix := "list tags of " + host + "/team/app at " + host + ": "
	for code, want := range map[int]string{
		http.StatusNotFound:        "the registry has no such repository (some say so too where the account may not read it)",
		http.StatusForbidden:       "the registry refuses access (do its credentials allow reading? see --registry-auth-file)",
		http.StatusTooManyRequests: "the registry responds: too many requests (ask less often: --images-interval)",
		http.StatusNotImplemented:  "the registry responds: not implemented",
	} {
		status = code
		wantTags(t, &registry.Client{}, host+"/team/app", prefix+want)
	}
	if _, err := (&registry.Client{}).Tags(context.Background(), "Not An Image"); kargo.FaultOf(err) != kargo.Invalid {
		t.Errorf("a name that no image has: %v", err)
	}
	broken := &registry.Client{Credentials: func() ([]byte, error) { return []byte(password), nil }}
	if _, err := broken.Tags(context.Background(), host+"/team/app"); err == nil || strings.Contains(kargo.Explain(err), password) {
		t.Errorf("a damaged config.json: %v", err)
	}
}

// TestRealRegistry asks Debian's docker-registry. Its tags are created by hand, in
// the form in which a push stores them.
func TestRealRegistry(t *testing.T) {
	if _, err := exec.LookPath("docker-registry"); err != nil {
		if testing.Short() {
			t.Skip("no docker-registry is installed")
		}
		t.Fatal("this test needs docker-registry: test/bed/install registry, or add -short")
	}
	dir := t.TempDir()
	listener := httptest.NewServer(nil) // finds a free port
	host := strings.TrimPrefix(listener.URL, "http://")
	listener.Close()
	out, err := exec.Command("../test/bed/registry", "start", dir, host, user+":"+password).CombinedOutput()
	if err != nil {
		t.Fatalf("start the registry: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("../test/bed/registry", "stop", dir).CombinedOutput(); err != nil {
			t.Errorf("stop the registry: %v\n%s", err, out)
		}
	})
	want := []string{}
	for i := range 1005 { // more than a page
		tag := fmt.Sprintf("1.%d", i)
		want = append(want, tag)
		if err := os.MkdirAll(filepath.Join(dir, "data/docker/registry/v2/repositories/team/app/_manifests/tags", tag), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tags, err := (&registry.Client{Credentials: login(host)}).Tags(t.Context(), host+"/team/app")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(tags)
	if !slices.Equal(tags, want) {
		t.Errorf("%d tags, want %d", len(tags), len(want))
	}
	wantTags(t, &registry.Client{}, host+"/team/app",
		"list tags of "+host+"/team/app at "+host+": the registry refuses access (do its credentials allow reading? see --registry-auth-file)")
}
