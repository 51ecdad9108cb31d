package gitsync_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	gosync "sync"
	"testing"

	"kargo"
	"kargo/gitsync"
	"kargo/gitsync/wire"
)

const proxyPassword = "pr0xy-pl4nt3d"

// visits are the addresses that were requested from a proxy.
type visits struct {
	mu   gosync.Mutex
	list []string
}

func (v *visits) add(address string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list = append(v.list, address)
}

func (v *visits) count(address string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	count := 0
	for _, visited := range v.list {
		if visited == address {
			count++
		}
	}
	return count
}

// httpProxy opens tunnels for clients with the password.
func httpProxy(t *testing.T) (address string, seen *visits) {
	seen = &visits{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
		if user, password, _ := login.BasicAuth(); user != "kargo" || password != proxyPassword {
			http.Error(w, "no way with "+password, http.StatusProxyAuthRequired)
			return
		}
		if r.Method != http.MethodConnect || r.Header.Get("Authorization") != "" {
			http.Error(w, "tunnels only, and nobody's credentials", http.StatusBadRequest)
			return
		}
		seen.add(r.Host)
		upstream, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, kargo.Explain(err), http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			upstream.Close()
			return
		}
		pipe(conn, buffered, upstream)
	}))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return server.URL, seen
}

// pipe carries bytes both ways until one side ends.
func pipe(client net.Conn, fromClient io.Reader, upstream net.Conn) {
	var both gosync.WaitGroup
	both.Go(func() { _, _ = io.Copy(upstream, fromClient); upstream.Close() })
	both.Go(func() { _, _ = io.Copy(client, upstream); client.Close() })
	both.Wait()
}

// socksProxy implements what a client needs of SOCKS 5 (RFC 1928, RFC 1929).
func socksProxy(t *testing.T) (address string, seen *visits) {
	t.Helper()
	seen = &visits{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serveSocks(conn, seen)
			}()
		}
	}()
	return "socks5://" + listener.Addr().String(), seen
}

func serveSocks(conn net.Conn, seen *visits) {
	read := func(n int) []byte {
		data := make([]byte, n)
		_, _ = io.ReadFull(conn, data)
		return data
	}
	read(int(read(2)[1])) // the methods
	_, _ = conn.Write([]byte{5, 2})
	user := read(int(read(2)[1]))
	password := read(int(read(1)[0]))
	if string(user) != "kargo" || string(password) != proxyPassword {
		_, _ = conn.Write([]byte{1, 1})
		return
	}
	_, _ = conn.Write([]byte{1, 0})
	host := ""
	switch read(4)[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = net.IP(read(16)).String()
	}
	target := net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(read(2)))))
	seen.add(target)
	upstream, err := net.Dial("tcp", target)
	if err != nil {
		_, _ = conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	pipe(conn, conn, upstream)
}

// Both kinds of proxy work with both kinds of host, and do not see the credentials
// for the host.
func TestProxies(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	client, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	server := newSSHServer(t, o.root, client.PublicKey(), host)
	address, ca := serveTLS(t, private(gitHandler(t, o.root)), nil)
	targets := map[string]gitsync.Options{
		strings.Split(address, "/")[2]: {URL: address, Access: wire.Access{CA: content(ca), Username: account, Password: secret(password)}},
		server.address:                 {URL: server.url(), Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content(server.knownHosts(host.PublicKey()))}},
	}
	for _, start := range []func(*testing.T) (string, *visits){httpProxy, socksProxy} {
		proxy, seen := start(t)
		for target, opts := range targets {
			t.Run(proxy[:5]+" to "+opts.URL[:5], func(t *testing.T) {
				opts.Proxy = wire.Proxy{URL: proxy, Username: "kargo", Password: secret(proxyPassword + "\n")}
				revision, _ := sync(t, open(t, opts))
				wantText(t, "commit", revision.Commit, o.head())
				if seen.count(target) == 0 {
					t.Error("the proxy was passed by")
				}
				opts.Proxy.Password = secret("wrong-" + proxyPassword)
				_, err := open(t, opts).Head(deadline(t))
				if err == nil || kargo.FaultOf(err) != kargo.Unavailable || strings.Contains(kargo.Explain(err), proxyPassword) {
					t.Errorf("with a wrong password: %v", err)
				}
			})
		}
	}
	proxy, _ := socksProxy(t)
	keys, err := wire.HostKeys(deadline(t), server.address, wire.Proxy{URL: proxy, Username: "kargo", Password: secret(proxyPassword)}, 0)
	if err != nil || len(keys) != 1 {
		t.Errorf("host keys through a proxy: %v, %v", keys, err)
	}
}

// The proxies of the environment are used for hosts elsewhere, except those in
// NO_PROXY.
func TestProxiesOfTheEnvironment(t *testing.T) {
	proxy, seen := httpProxy(t)
	through := strings.Replace(proxy, "http://", "http://kargo:"+proxyPassword+"@", 1)
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "all_proxy", "no_proxy"} {
		t.Setenv(name, "")
	}
	_, clientPEM := newKey(t, "")
	host, _ := newKey(t, "")
	https := gitsync.Options{URL: "https://git.invalid/team/workspace.git"}
	ssh := gitsync.Options{URL: "ssh://git@git.invalid:2222/r", Access: wire.Access{SSHKey: content(clientPEM), KnownHosts: content([]byte("[git.invalid]:2222 " + publicLine(host)))}}
	for _, c := range []struct {
		variable, target string
		opts             gitsync.Options
		want             int // visits in all
	}{
		{"HTTPS_PROXY", "git.invalid:443", https, 1},
		{"ALL_PROXY", "git.invalid:443", https, 2},
		{"HTTPS_PROXY", "git.invalid:2222", ssh, 0}, // it is for https alone
		{"ALL_PROXY", "git.invalid:2222", ssh, 1},
	} {
		t.Run(c.variable+" "+c.target, func(t *testing.T) {
			t.Setenv(c.variable, through)
			_, err := open(t, c.opts).Head(deadline(t))
			if err == nil || strings.Contains(kargo.Explain(err), proxyPassword) {
				t.Errorf("a host that is not there: %v", err)
			}
			t.Setenv("NO_PROXY", "git.invalid")
			_, _ = open(t, c.opts).Head(deadline(t))
			if got := seen.count(c.target); got != c.want {
				t.Errorf("the proxy was asked %d times, want %d", got, c.want)
			}
		})
	}
}
