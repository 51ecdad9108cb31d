package swarm_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dockerclient "github.com/docker/docker/client"

	"kargo"
	"kargo/swarm"
)

// allowed is one line of docs/docker-proxy.cfg.
type allowed struct {
	method string
	path   *regexp.Regexp
	used   map[string]bool // by what the line's first list of words stands for
}

var allowLine = regexp.MustCompile(`^\s*http-request allow if \{ method ([A-Z]+) \} \{ path -m reg (\S+) \}$`)

func readAllowList(t *testing.T) []*allowed {
	t.Helper()
	file, err := os.Open("../docs/docker-proxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list []*allowed
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if match := allowLine.FindStringSubmatch(lines.Text()); match != nil {
			list = append(list, &allowed{match[1], regexp.MustCompile(match[2]), map[string]bool{}})
		} else if strings.Contains(lines.Text(), "allow") {
			t.Errorf("not understood: %s", lines.Text())
		}
	}
	return list
}

// proxy passes what the list allows, as HAProxy would, and records what it passed and
// denied.
type proxy struct {
	list   []*allowed
	mu     sync.Mutex
	denied map[string]bool
}

func (p *proxy) pass(r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.list {
		if match := line.path.FindStringSubmatch(r.URL.EscapedPath()); match != nil && line.method == r.Method && !strings.Contains(r.URL.Path, "..") {
			line.used[strings.Join(match[1:], "")] = true
			return true
		}
	}
	p.denied[r.Method+" "+r.URL.Path] = true
	return false
}

// bed is a Swarm in memory whose client sits behind the proxy.
func (p *proxy) bed(t *testing.T) *bed {
	t.Helper()
	b := memoryBed()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.pass(r) {
			http.Error(w, "denied by the proxy", http.StatusForbidden)
			return
		}
		b.engine.ServeHTTP(w, r)
	}))
	api, err := dockerclient.NewClientWithOpts(dockerclient.WithHost("tcp://"+server.Listener.Addr().String()), dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.engine.Disconnect()
		_ = api.Close()
		server.Close()
	})
	b.client = swarm.New(api)
	return b
}

// TestS37_AllowListProxy has everything that this package promises done through
// the proxy that docs/docker-proxy.cfg describes: nothing is denied, and nothing
// is allowed that was not needed.
func TestS37_AllowListProxy(t *testing.T) {
	p := &proxy{list: readAllowList(t), denied: map[string]bool{}}
	for _, c := range contracts() {
		t.Run(c.name, func(t *testing.T) { c.check(t, p.bed(t)) })
	}
	// The two calls that no contract makes: there is no registry for them on a
	// real engine, and no log in memory.
	b := p.bed(t)
	_, _ = b.client.Images(t.Context(), "redis:7")
	_, _ = b.client.LogTail(t.Context(), "a1b2", 1)
	p.readBack(t)
}

// readBack reports what was denied, and what no call needed.
func (p *proxy) readBack(t *testing.T) {
	t.Helper()
	for call := range p.denied {
		t.Errorf("%s is called and not allowed", call)
	}
	for _, line := range p.list {
		words := []string{""}
		if list := regexp.MustCompile(`\(([a-z|]+)\)`).FindStringSubmatch(line.path.String()); list != nil {
			words = strings.Split(list[1], "|")
		}
		for _, word := range words {
			if !line.used[word] {
				t.Errorf("%s %s is allowed for %q and never called", line.method, line.path, word)
			}
		}
	}
}

// beyond are calls of Docker's API that stay out of reach.
func beyond() []string {
	return []string{
		"POST /v1.41/containers/create", "POST /v1.41/containers/x/exec", "GET /v1.41/containers/x/archive", "GET /v1.41/containers/json",
		"POST /v1.41/plugins/pull", "POST /v1.41/swarm/leave", "POST /v1.41/swarm/update", "GET /v1.41/swarm", "POST /v1.41/images/create",
		"POST /v1.41/build", "POST /v1.41/volumes/create", "POST /v1.41/session", "POST /v1.41/networks/x/connect", "DELETE /v1.41/nodes/x",
		"GET /v1.41/services/../containers/json", "GET /v1.41/distribution/../../containers/json", "GET /services", "GET /v1.41/swarm/unlockkey",
		"POST /v1.41/configs/../containers/create", "GET /v1.41/info", "POST /v1.41/configs/x/update", "POST /v1.41/secrets/x/update",
		"GET /v1.41/distribution/%2e%2e/%2E%2E/containers/json",
	}
}

// What else Docker's API can do stays out of reach.
func TestS37_ProxyDenies(t *testing.T) {
	p := &proxy{list: readAllowList(t), denied: map[string]bool{}}
	for _, call := range beyond() {
		method, path, _ := strings.Cut(call, " ")
		request := httptest.NewRequest(method, "http://docker"+path, nil)
		if p.pass(request) {
			t.Errorf("%s is allowed", call)
		}
	}
}

// TestS48_HAProxy runs docs/docker-proxy.cfg in HAProxy itself: between a client and an
// engine, each behind a unix socket.
func TestS48_HAProxy(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		if testing.Short() {
			t.Skip("no haproxy")
		}
		t.Fatal("this test needs haproxy")
	}
	dir, err := os.MkdirTemp("", "proxy") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := memoryBed()
	reached := serveOn(t, dir+"/engine.sock", b.engine)
	config, err := os.ReadFile("../docs/docker-proxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	// Not every machine has these users, and tests need not be root.
	text := strings.NewReplacer("    user haproxy\n", "", "    group docker\n", "", " user kargo ", " ",
		"/run/kargo-docker.sock", dir+"/kargo.sock", "/var/run/docker.sock", dir+"/engine.sock").Replace(string(config))
	if err := os.WriteFile(dir+"/haproxy.cfg", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	haproxy := exec.Command(program, "-db", "-f", dir+"/haproxy.cfg")
	var said bytes.Buffer
	haproxy.Stdout, haproxy.Stderr = &said, &said
	if err := haproxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = haproxy.Process.Kill()
		_ = haproxy.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	api, err := dockerclient.NewClientWithOpts(dockerclient.WithHost("unix://"+dir+"/kargo.sock"), dockerclient.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	for until := time.Now().Add(30 * time.Second); ; { // HAProxy makes its socket when it is ready
		if _, err = api.Ping(t.Context()); err == nil || time.Now().After(until) {
			break
		}
		runtime.Gosched()
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	info, err := os.Stat(dir + "/kargo.sock")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	client := swarm.New(api)
	if _, err := client.Observe(t.Context()); err != nil {
		t.Errorf("observe: %v", err)
	}
	if _, err := client.WriteLease(t.Context(), "default", kargo.Lease{Holder: "a"}); err != nil {
		t.Errorf("create the lease: %v", err)
	}
	direct := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", dir+"/kargo.sock")
	}}}
	before := reached.Load()
	for _, call := range beyond() {
		method, path, _ := strings.Cut(call, " ")
		request, err := http.NewRequestWithContext(t.Context(), method, "http://docker"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := direct.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", call, response.Status)
		}
	}
	if more := reached.Load() - before; more != 0 {
		t.Errorf("%d denied calls reached the engine", more)
	}
}

// serveOn serves on a unix socket until the test ends, and counts the requests.
func serveOn(t *testing.T, path string, handler http.Handler) *atomic.Int64 {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var reached atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		handler.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return &reached
}
