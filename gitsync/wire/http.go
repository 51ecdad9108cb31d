package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// maxErrorPage is how much of an error page is read, in bytes.
const maxErrorPage = 16 << 10

// maxRedirects is how many redirects are followed, one after another.
const maxRedirects = 5

// refusedRedirect is a redirect that is not followed.
type refusedRedirect struct {
	to    string // the scheme and the host alone: the rest may hold what nobody should see
	plain bool   // from https to http
}

func (r refusedRedirect) Error() string { return "the server redirects to " + r.to }

func (r refusedRedirect) hint() string {
	if r.plain {
		return "credentials would be sent unencrypted; the host must redirect to https"
	}
	return "credentials stay with the host that was named; set the URL to where the repository is now"
}

// overHTTP runs one session over HTTP. Its client lives as long as the session, so
// that a changed CA or token counts at once.
func (r *Remote) overHTTP(ctx context.Context, service string, talk func(*Session) error) error {
	transport, err := r.transport(true)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	authorize, err := r.httpAuth(ctx)
	if err != nil {
		return err
	}
	return r.forgetRefused(talk(&Session{&httpCarrier{
		client:  &http.Client{Transport: limitedTransport{transport, r.limit}, CheckRedirect: refuseOtherHosts},
		service: service, address: r.address.httpURL(), authorize: authorize, moved: r.access.Moved,
	}}))
}

// httpCarrier carries a session over HTTP: one request for the list of refs, and
// one for each question.
type httpCarrier struct {
	client    *http.Client
	service   string // "git-upload-pack"
	address   string // without a slash at its end
	authorize func(*http.Request)
	moved     func(from, to string) // nil if nobody wants to know
}

// listPath is the path at which a service lists its refs.
const listPath = "/info/refs"

func (c *httpCarrier) list(ctx context.Context) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address+listPath+"?service="+c.service, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "*/*")
	response, err := c.do(request)
	if err != nil {
		return nil, err
	}
	// If the repository was moved, the rest of the session is with its new address.
	moved := *response.Request.URL
	moved.User, moved.RawQuery, moved.Fragment = nil, "", "" // they may be secrets, and the address is shown
	address, ok := strings.CutSuffix(moved.String(), listPath)
	if !ok {
		return nil, errors.Join(errors.New("the server redirects to what is not a repository"), response.Body.Close())
	}
	if c.moved != nil && strings.TrimSuffix(address, ".git") != strings.TrimSuffix(c.address, ".git") {
		c.moved(c.address, address)
	}
	c.address = address
	return response.Body, nil
}

func (c *httpCarrier) ask(ctx context.Context, question []byte) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address+"/"+c.service, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-"+c.service+"-request")
	request.Header.Set("Accept", "application/x-"+c.service+"-result")
	response, err := c.do(request)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// do sends a request. An answer that is not a success is returned as an error.
func (c *httpCarrier) do(request *http.Request) (*http.Response, error) {
	request.Header.Set("User-Agent", capability.DefaultAgent())
	c.authorize(request)
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	return response, githttp.NewErr(response)
}

// transport returns the transport for HTTP. The client certificate is shown to the
// repository's host only.
func (r *Remote) transport(toRepository bool) (*http.Transport, error) {
	transport := &http.Transport{
		Proxy:               func(request *http.Request) (*url.URL, error) { return r.access.Proxy.find(request.URL) },
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if r.access.CA != nil {
		pool, err := r.trust()
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	if r.access.ClientCertificate != nil && toRepository {
		certificate, err := r.clientCertificate()
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}
	}
	return transport, nil
}

func (r *Remote) clientCertificate() (tls.Certificate, error) {
	certificate, err := r.access.ClientCertificate()
	if err != nil {
		return tls.Certificate{}, unreadable("the client certificate", err)
	}
	key, err := r.access.ClientKey()
	if err != nil {
		return tls.Certificate{}, unreadable("the key of the client certificate", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return tls.Certificate{}, unreadable("the client certificate", err)
	}
	return pair, nil
}

// trust returns the system's certificates and the ones given.
func (r *Remote) trust() (*x509.CertPool, error) {
	bundle, err := r.access.CA()
	if err != nil {
		return nil, unreadable("the CA bundle", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // the system has no certificates
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, unreadable("the CA bundle", errors.New("it holds no certificate in PEM"))
	}
	return pool, nil
}

// refuseOtherHosts follows redirects on one host, and from http to https, because
// forges move repositories in this way. A redirect to another host is refused: the
// operator has not decided to trust that host. So is one from https to http, where
// everybody on the way could read the credentials. Only the request for the list of
// refs follows redirects; the questions after it go to the new address.
func refuseOtherHosts(request *http.Request, via []*http.Request) error {
	if request.Method != http.MethodGet || len(via) >= maxRedirects || via[0].Method != http.MethodGet {
		return http.ErrUseLastResponse
	}
	from, to := via[len(via)-1].URL, request.URL
	upgrade := from.Hostname() == to.Hostname() && from.Scheme == "http" && to.Scheme == "https" && to.Port() == ""
	if to.Host == from.Host && to.Scheme == from.Scheme || upgrade {
		return nil
	}
	return refusedRedirect{to: to.Scheme + "://" + to.Host, plain: from.Scheme == "https" && to.Scheme == "http"}
}

// limitedTransport limits the size of each answer.
type limitedTransport struct {
	http.RoundTripper
	limit int64
}

func (t limitedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body := struct {
		io.Reader
		io.Closer
	}{limited(response.Body, t.limit), response.Body}
	if response.StatusCode >= 400 {
		body.Reader = io.LimitReader(response.Body, maxErrorPage)
	}
	response.Body = body
	return response, nil
}
