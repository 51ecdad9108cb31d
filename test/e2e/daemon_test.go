package e2e_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// daemon is Docker as the controller sees it: a socket of its own before the
// Swarm, which counts what is asked and can misbehave.
type daemon struct {
	t      testing.TB
	socket string
	swarm  http.Handler

	mu        sync.Mutex
	server    *http.Server
	calls     []string
	interfere interference
}

// interference stands between a request and the Swarm.
type interference func(w http.ResponseWriter, r *http.Request, swarm http.Handler)

func newDaemon(t testing.TB, swarm http.Handler) *daemon {
	t.Helper()
	d := &daemon{t: t, socket: filepath.Join(shortTempDir(t), "docker.sock"), swarm: swarm}
	d.up()
	t.Cleanup(d.down)
	return d
}

// toSocket hands requests to the engine behind another socket. Each is read to
// its end first: a server closes what is left of a request when it begins to
// answer, and a proxy that still reads it then cuts the answer off.
func toSocket(path string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}},
		FlushInterval: -1, // events are wanted at once
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		proxy.ServeHTTP(w, r)
	})
}

// up listens; a daemon that was never down does so already.
func (d *daemon) up() {
	d.t.Helper()
	listener, err := net.Listen("unix", d.socket)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server = &http.Server{Handler: d}
	go d.server.Serve(listener)
}

// down refuses connections and ends those there are.
func (d *daemon) down() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server.Close()
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	if !isOfLease(r) {
		d.calls = append(d.calls, describe(r))
	}
	interfere := d.interfere
	d.mu.Unlock()
	if interfere != nil {
		interfere(w, r, d.swarm)
		return
	}
	d.swarm.ServeHTTP(w, r)
}

// meddle puts an interference in force; nil ends it.
func (d *daemon) meddle(interfere interference) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interfere = interfere
}

// mark is a moment, to look at the calls since then.
func (d *daemon) mark() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.calls)
}

func (d *daemon) callsSince(mark int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls[mark:])
}

func (d *daemon) writesSince(mark int) []string {
	return slices.DeleteFunc(d.callsSince(mark), func(call string) bool { return !isWrite(call) })
}

var (
	apiVersion = regexp.MustCompile(`^/v\d+\.\d+`)
	objectID   = regexp.MustCompile(`^(/\w+)/([a-z0-9]{25})\b`)
)

// describe is a request as Docker's reference writes it:
// "POST /services/{id}/update".
func describe(r *http.Request) string {
	path := apiVersion.ReplaceAllString(r.URL.Path, "")
	return r.Method + " " + objectID.ReplaceAllString(path, "$1/{id}")
}

func isWrite(call string) bool {
	return !strings.HasPrefix(call, "GET ") && !strings.HasPrefix(call, "HEAD ")
}

// isOfLease reports whether a request is about the lease of the instance, which is
// read and renewed all the time, whatever plans do.
func isOfLease(r *http.Request) bool { return strings.Contains(r.URL.Path, "/configs/kargo-lease-") }

// silent sends nothing until the client gives up.
func silent(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// outOfSequence refuses the n-th write as Swarm does when somebody else was
// faster.
func outOfSequence(n int64) interference {
	var writes atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
		if isWrite(describe(r)) && !isOfLease(r) && writes.Add(1) == n {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"message":"rpc error: code = Unknown desc = update out of sequence"}`))
			return
		}
		swarm.ServeHTTP(w, r)
	}
}

// killAt kills the controller just before the n-th write reaches Swarm, or
// just after: then Swarm has carried it out, and the controller never knew.
func killAt(n int64, after bool, kill func()) interference {
	var writes atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, swarm http.Handler) {
		if !isWrite(describe(r)) || isOfLease(r) || writes.Add(1) != n {
			swarm.ServeHTTP(w, r)
			return
		}
		if after {
			swarm.ServeHTTP(httptest.NewRecorder(), r)
		}
		kill()
		panic(http.ErrAbortHandler)
	}
}
