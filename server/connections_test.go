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
	before := runtime.NumGoroutine()
	var slow []net.Conn
	t.Cleanup(func() {
		for _, conn := range slow {
			conn.Close()
		}
	})
	for range 1500 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
		fmt.Fprint(conn, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequest(http.MethodPost, "http://"+listener.Addr().String()+"/hooks/github", strings.NewReader(push))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range hook("github", secret, "push", push).header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusAccepted {
		t.Errorf("the signed webhook is answered %s: %s", response.Status, body)
	}
	// A connection has one goroutine or two.
	if now := runtime.NumGoroutine() - before; now > 3*512 {
		t.Errorf("%d goroutines serve slow connections", now)
	}
}
