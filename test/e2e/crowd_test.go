package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	crowd     = 10_000 // connections that are held at once
	addresses = 2_000  // from which they come: more than the server keeps connections
	crowdTime = 10 * time.Second
)

// Ten thousand clients hold connections for ten seconds. Some say nothing, some send a
// header or a body slowly, some send large bodies without an end, some send unsigned
// webhooks; whoever is cut off comes again.
// Meanwhile signed webhooks are answered, and the process has a bounded number of
// descriptors and of bytes. The figures are in docs/performance.md.
func TestS47_TenThousandConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("holds 10,000 connections for ten seconds")
	}
	s := inMemory(t, webhookSecretFile(t)...)
	s.begin(s.workspace().stack("web", "site").service("site"))
	raiseDescriptors(t, crowd+1000)
	before := s.footprint()

	ctx, cancel := context.WithTimeout(t.Context(), crowdTime)
	defer cancel()
	target := strings.TrimPrefix(s.address(), "http://")
	var clients sync.WaitGroup
	var made, refused atomic.Int64
	dialing := make(chan struct{}, 200)
	for number := range crowd {
		clients.Go(func() { bother(ctx, target, number, dialing, &made, &refused) })
	}
	highest, slowest, answered := before, time.Duration(0), 0
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		code := s.deliverFrom(fmt.Sprintf("127.0.0.%d", 1+n%2), fmt.Sprintf(`{"n": %d}`, n))
		slowest = max(slowest, time.Since(began))
		if code == http.StatusAccepted {
			answered++
		} else {
			t.Errorf("signed webhook %d was answered %d after %s", n, code, time.Since(began))
		}
		highest = highest.max(s.footprint())
		time.Sleep(100 * time.Millisecond)
	}
	clients.Wait()
	t.Logf("%d connections, %d unsigned webhooks answered; %d signed ones answered, the slowest after %s; descriptors %d, before %d; memory %d MiB, before %d MiB",
		made.Load(), refused.Load(), answered, slowest.Round(time.Millisecond), highest.descriptors, before.descriptors, highest.memory>>20, before.memory>>20)
	switch {
	case made.Load() < crowd:
		t.Errorf("only %d connections were made", made.Load())
	case refused.Load() == 0:
		t.Error("no unsigned webhook was answered")
	case answered < 2: // each that was not answered is an error already
		t.Errorf("only %d signed webhooks were answered", answered)
	case slowest > crowdTime: // half a second on a machine that does nothing else
		t.Errorf("a signed webhook was answered after %s", slowest)
	case highest.descriptors > before.descriptors+600: // 512 connections
		t.Errorf("%d descriptors are open, and %d were", highest.descriptors, before.descriptors)
	case highest.memory > before.memory+256<<20:
		t.Errorf("the process has %d MiB, and had %d", highest.memory>>20, before.memory>>20)
	}
}

// largeBody is as long as that of a webhook may be, but for its end.
var largeBody = strings.Repeat("x", 1<<20-1)

// bother holds a connection to the server in one of four ways, and makes a new one some
// seconds after it was cut off, until ctx ends.
func bother(ctx context.Context, target string, number int, dialing chan struct{}, made, refused *atomic.Int64) {
	from := net.IPv4(127, 1, byte(number%addresses/250), byte(1+number%addresses%250))
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: crowdTime}
	said := []string{
		"",
		"POST /hooks/generic HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"POST /hooks/generic HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
		"POST /hooks/generic HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
	}[number%4]
	if number%40 == 0 {
		said = fmt.Sprintf("POST /hooks/generic HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(largeBody)+1, largeBody)
	}
	for ctx.Err() == nil {
		dialing <- struct{}{}
		conn, err := dialer.DialContext(ctx, "tcp", target)
		<-dialing
		if err == nil {
			made.Add(1)
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			_, _ = io.WriteString(conn, said)
			status := make([]byte, 12)
			if n, _ := io.ReadFull(conn, status); strings.HasPrefix(string(status[:n]), "HTTP/1.1 4") {
				refused.Add(1)
			}
			_, _ = io.Copy(io.Discard, conn) // until one of both closes it
			stop()
			conn.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(crowdTime / 3):
		}
	}
}

// deliverFrom sends a signed webhook from an address of this machine, on a connection of
// its own, and returns the status, or 0 if there was no answer.
func (s *scene) deliverFrom(address, body string) int {
	s.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	response, err := client.Do(s.signed(body, webhookSecret))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// raiseDescriptors lets this process have as many open files. Processes that it started
// before are not affected.
func raiseDescriptors(t *testing.T, wanted uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: wanted, Max: wanted}
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	if now.Cur >= wanted {
		return
	}
	limit.Max = max(limit.Max, now.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("this test needs %d open files: %v", wanted, err)
	}
}

// footprint is what a process has of its machine.
type footprint struct {
	descriptors int
	memory      int64 // resident, in bytes
}

func (f footprint) max(other footprint) footprint {
	return footprint{max(f.descriptors, other.descriptors), max(f.memory, other.memory)}
}

var residentMemory = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// footprint is what the controller's process has now.
func (c *controller) footprint() (now footprint) {
	c.t.Helper()
	cmd, _ := c.process()
	proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	open, err := os.ReadDir(proc + "fd")
	if err != nil {
		c.t.Fatal(err)
	}
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		c.t.Fatal(err)
	}
	kilobytes, err := strconv.ParseInt(string(residentMemory.FindSubmatch(status)[1]), 10, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	return footprint{len(open), kilobytes << 10}
}
