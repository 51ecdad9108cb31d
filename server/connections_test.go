package server_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"kargo/server"
)

// Slow clients hold as many connections as they can get, from the address of an
// honest one. They cost a bounded number of connections, and the honest client is
// answered.
func TestS47_SlowConnectionsKeepNobodyOut(t *testing.T) {
	address := listening(t)
	before := runtime.NumGoroutine()
	var slow []net.Conn
	t.Cleanup(func() {
		for _, conn := range slow {
			conn.Close()
		}
	})
	for range 1500 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
		fmt.Fprint(conn, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
	}
	deliver(t, address, push)
	// A connection has one goroutine or two.
	if now := runtime.NumGoroutine() - before; now > 3*512 {
		t.Errorf("%d goroutines serve slow connections", now)
	}
}

// Large bodies that do not end are given up before they take all memory, and an ordinary
// webhook arrives meanwhile.
func TestS47_LargeBodiesKeepNobodyOut(t *testing.T) {
	const senders, fit = 100, 33 // bodies of a megabyte
	address := listening(t)
	answers := make(chan string, senders)
	large := strings.Repeat("x", 1_000_000)
	for range senders {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			fmt.Fprintf(conn, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(large)+1, large)
			status := make([]byte, len("HTTP/1.1 429"))
			_, _ = io.ReadFull(conn, status)
			answers <- string(status)
		}()
	}
	for range senders - fit {
		if answer := <-answers; answer != "HTTP/1.1 429" {
			t.Fatalf("a large body is answered %q", answer)
		}
	}
	deliver(t, address, push)
}

// listening is a server that serves on the address that is returned.
func listening(t *testing.T) string {
	t.Helper()
	s, _ := newServer(healthy())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener, nil, s.Handler(), slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// deliver sends a signed webhook, which must be accepted.
func deliver(t *testing.T, address, body string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/hooks/github", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range hook("github", secret, "push", body).header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusAccepted {
		t.Errorf("the signed webhook is answered %s: %s", response.Status, answer)
	}
}
