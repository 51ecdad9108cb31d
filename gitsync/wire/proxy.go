package wire

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"
)

// Proxy is a proxy through which hosts are reached. The zero value uses the
// environment: HTTPS_PROXY, ALL_PROXY and NO_PROXY.
type Proxy struct {
	// URL is http://, https://, socks5:// or socks5h://HOST:PORT. It holds no
	// user and no password.
	URL      string
	Username string
	Password func() (string, error)
}

func (p Proxy) check() error {
	if p.URL == "" {
		if p.Username != "" || p.Password != nil {
			return invalid("a user or a password is given for a proxy, but no proxy", "")
		}
		return nil
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return invalid("the proxy's URL cannot be parsed", "http://proxy.example.com:3128 or socks5://proxy.example.com:1080")
	}
	switch {
	case u.User != nil:
		return invalid("the proxy's URL holds a user or a password", "give them separately")
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		return invalid("the proxy's URL has a scheme that is not supported", "use http://, https:// or socks5://")
	case u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return invalid("the proxy's URL is not a host with a port", "http://proxy.example.com:3128")
	}
	return nil
}

// find returns the proxy for a target, with its credentials; nil means none.
func (p Proxy) find(target *url.URL) (*url.URL, error) {
	if p.URL == "" {
		return proxyOfEnvironment(target)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, err
	}
	if p.Username == "" && p.Password == nil {
		return u, nil
	}
	u.User = url.User(p.Username)
	if p.Password != nil {
		password, err := readSecret("the proxy's password", p.Password)
		if err != nil {
			return nil, err
		}
		u.User = url.UserPassword(p.Username, password)
	}
	return u, nil
}

// proxyOfEnvironment uses the variables that curl and git use. For SSH this is
// ALL_PROXY alone.
func proxyOfEnvironment(target *url.URL) (*url.URL, error) {
	all := cmp.Or(os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
	config := httpproxy.FromEnvironment()
	config.HTTPSProxy, config.HTTPProxy = cmp.Or(config.HTTPSProxy, all), cmp.Or(config.HTTPProxy, all)
	if target.Scheme == schemeSSH {
		config.HTTPSProxy = all
		target = &url.URL{Scheme: schemeHTTPS, Host: target.Host}
	}
	return config.ProxyFunc()(target)
}

// dial connects to a host by TCP, through the proxy if there is one.
func (p Proxy) dial(ctx context.Context, address string) (net.Conn, error) {
	through, err := p.find(&url.URL{Scheme: schemeSSH, Host: address})
	if err != nil {
		return nil, err
	}
	var direct net.Dialer
	switch {
	case through == nil:
		return direct.DialContext(ctx, "tcp", address)
	case strings.HasPrefix(through.Scheme, "socks5"):
		dialer, err := proxy.FromURL(through, &direct)
		if err != nil {
			return nil, err
		}
		return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	}
	conn, err := direct.DialContext(ctx, "tcp", proxyAddress(through))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if through.Scheme == schemeHTTPS {
		conn = tls.Client(conn, &tls.Config{ServerName: through.Hostname(), MinVersion: tls.VersionTLS12})
	}
	tunnel, err := connectThrough(conn, through, address)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return tunnel, nil
}

func proxyAddress(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := "80"
	if u.Scheme == schemeHTTPS {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// connectThrough asks an HTTP proxy for a tunnel.
func connectThrough(conn net.Conn, through *url.URL, address string) (net.Conn, error) {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if through.User != nil {
		password, _ := through.User.Password()
		auth := &http.Request{Header: http.Header{}}
		auth.SetBasicAuth(through.User.Username(), password)
		request.Header.Set("Proxy-Authorization", auth.Header.Get("Authorization"))
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request) //nolint:bodyclose // the answer to CONNECT has no body
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the proxy refuses to connect: %s", response.Status)
	}
	return &bufferedConn{conn, reader}, nil
}

// bufferedConn is a connection whose first bytes are in a buffer already.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *bufferedConn) Read(into []byte) (int, error) { return c.reader.Read(into) }
