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
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// maxErrorPage is how much of an error page is read, in bytes.
const maxErrorPage = 16 << 10

// errRedirect is a redirect that is not followed.
var errRedirect = errors.New("the server redirects to another host")

// fetchHTTP runs one conversation with upload-pack over HTTP.
func (r *Remote) fetchHTTP(ctx context.Context, talk func(Session) error) error {
	return r.overHTTP(ctx, func(client *http.Client, auth transport.AuthMethod) error {
		endpoint := r.address.endpoint()
		session, err := githttp.NewClientWithOptions(client, nil).NewUploadPackSession(endpoint, auth)
		if err != nil {
			return err
		}
		return errors.Join(talk(httpSession{session, client, endpoint.String(), auth}), session.Close())
	})
}

// pushHTTP runs one conversation with receive-pack over HTTP.
func (r *Remote) pushHTTP(ctx context.Context, talk func(transport.ReceivePackSession) error) error {
	return r.overHTTP(ctx, func(client *http.Client, auth transport.AuthMethod) error {
		session, err := githttp.NewClientWithOptions(client, nil).NewReceivePackSession(r.address.endpoint(), auth)
		if err != nil {
			return err
		}
		return errors.Join(talk(session), session.Close())
	})
}

// overHTTP hands a client to talk. The client lives as long as the conversation,
// so that a changed CA or token counts at once, and nothing is installed in go-git
// for the whole process.
func (r *Remote) overHTTP(ctx context.Context, talk func(*http.Client, transport.AuthMethod) error) error {
	carrier, err := r.transport(true)
	if err != nil {
		return err
	}
	defer carrier.CloseIdleConnections()
	auth, err := r.httpAuth(ctx)
	if err != nil {
		return err
	}
	return r.forgetRefused(talk(&http.Client{
		Transport:     limitedTransport{carrier, r.limit},
		CheckRedirect: refuseOtherHosts,
	}, auth))
}

// transport returns the transport for HTTP. The client certificate is shown to the
// repository's host only.
func (r *Remote) transport(toRepository bool) (*http.Transport, error) {
	carrier := &http.Transport{
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
		carrier.TLSClientConfig.RootCAs = pool
	}
	if r.access.ClientCertificate != nil && toRepository {
		certificate, err := r.clientCertificate()
		if err != nil {
			return nil, err
		}
		carrier.TLSClientConfig.Certificates = []tls.Certificate{certificate}
	}
	return carrier, nil
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

// httpSession is go-git's session, with the means for Ask.
type httpSession struct {
	transport.UploadPackSession
	client  *http.Client
	address string
	auth    transport.AuthMethod
}

// Ask implements Session.
func (s httpSession) Ask(ctx context.Context, body []byte) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address+"/"+transport.UploadPackServiceName, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	request.Header.Set("Accept", "application/x-git-upload-pack-result")
	if auth, ok := s.auth.(githttp.AuthMethod); ok {
		auth.SetAuth(request)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	if err := githttp.NewErr(response); err != nil {
		return nil, err
	}
	return response.Body, nil
}

// trust returns the system's certificates and the ones given.
func (r *Remote) trust() (*x509.CertPool, error) {
	bundle, err := r.access.CA()
	if err != nil {
		return nil, unreadable("the CA bundle", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image without certificates
	}
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, unreadable("the CA bundle", errors.New("it holds no certificate in PEM"))
	}
	return pool, nil
}

// refuseOtherHosts follows redirects on one host, and from http to https, because
// forges move repositories in this way. A redirect to another host is refused: the
// operator has not said to trust that one. go-git refuses one from https to http.
func refuseOtherHosts(request *http.Request, via []*http.Request) error {
	from, to := via[0].URL, request.URL
	upgrade := from.Hostname() == to.Hostname() && from.Scheme == "http" && to.Scheme == "https" && to.Port() == ""
	if to.Host == from.Host || upgrade {
		return nil
	}
	return errRedirect
}

// limitedTransport bounds what an answer may hold.
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
