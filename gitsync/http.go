package gitsync

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

// An error page is read for its first words only.
const maxErrorPage = 16 << 10

// errRedirect is the redirect that was not followed.
var errRedirect = errors.New("the server redirects to another host")

// talkHTTP runs one conversation over HTTP.
func (r *Repository) talkHTTP(ctx context.Context, talk func(transport.UploadPackSession) error) error {
	return r.overHTTP(ctx, func(client *http.Client, auth transport.AuthMethod) error {
		endpoint := r.place.endpoint()
		session, err := githttp.NewClientWithOptions(client, nil).NewUploadPackSession(endpoint, auth)
		if err != nil {
			return err
		}
		return errors.Join(talk(httpSession{session, client, endpoint.String(), auth}), session.Close())
	})
}

// pushHTTP runs one conversation with the receiving end over HTTP.
func (r *Repository) pushHTTP(ctx context.Context, talk func(transport.ReceivePackSession) error) error {
	return r.overHTTP(ctx, func(client *http.Client, auth transport.AuthMethod) error {
		session, err := githttp.NewClientWithOptions(client, nil).NewReceivePackSession(r.place.endpoint(), auth)
		if err != nil {
			return err
		}
		return errors.Join(talk(session), session.Close())
	})
}

// overHTTP hands out a client. It lives as long as the conversation: a changed
// CA or token counts at once, and nothing is installed in go-git for the whole
// process.
func (r *Repository) overHTTP(ctx context.Context, talk func(*http.Client, transport.AuthMethod) error) error {
	wire, err := r.wire(true)
	if err != nil {
		return err
	}
	defer wire.CloseIdleConnections()
	auth, err := r.httpAuth(ctx)
	if err != nil {
		return err
	}
	return r.forgetRefused(talk(&http.Client{
		Transport:     limitedTransport{wire, r.opts.Limits.Bytes},
		CheckRedirect: refuseOtherHosts,
	}, auth))
}

// wire is the way to a host over HTTP. The client certificate is shown to the
// repository's host only.
func (r *Repository) wire(toRepository bool) (*http.Transport, error) {
	wire := &http.Transport{
		Proxy:               func(request *http.Request) (*url.URL, error) { return r.opts.Proxy.find(request.URL) },
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if r.opts.CA != nil {
		pool, err := r.trust()
		if err != nil {
			return nil, err
		}
		wire.TLSClientConfig.RootCAs = pool
	}
	if r.opts.ClientCertificate != nil && toRepository {
		certificate, err := r.clientCertificate()
		if err != nil {
			return nil, err
		}
		wire.TLSClientConfig.Certificates = []tls.Certificate{certificate}
	}
	return wire, nil
}

func (r *Repository) clientCertificate() (tls.Certificate, error) {
	certificate, err := r.opts.ClientCertificate()
	if err != nil {
		return tls.Certificate{}, unreadable("the client certificate", err)
	}
	key, err := r.opts.ClientKey()
	if err != nil {
		return tls.Certificate{}, unreadable("the key of the client certificate", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return tls.Certificate{}, unreadable("the client certificate", err)
	}
	return pair, nil
}

// httpSession is go-git's, and the means to say what go-git cannot.
type httpSession struct {
	transport.UploadPackSession
	client  *http.Client
	address string
	auth    transport.AuthMethod
}

func (s httpSession) ask(ctx context.Context, question []byte) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address+"/"+transport.UploadPackServiceName, bytes.NewReader(question))
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

// trust is the system's certificates and the ones given.
func (r *Repository) trust() (*x509.CertPool, error) {
	bundle, err := r.opts.CA()
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

// refuseOtherHosts lets a forge move a repository about on itself, or from
// http to https, but never hand the client, and with it the reader's trust,
// to somebody else. go-git refuses the way from https to http.
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
	wire  http.RoundTripper
	bytes int64
}

func (t limitedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.wire.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body := struct {
		io.Reader
		io.Closer
	}{limitDownload(response.Body, t.bytes), response.Body}
	if response.StatusCode >= 400 {
		body.Reader = io.LimitReader(response.Body, maxErrorPage)
	}
	response.Body = body
	return response, nil
}

// talk opens a conversation with the remote's upload-pack and ends it.
func (r *Repository) talk(ctx context.Context, talk func(transport.UploadPackSession) error) error {
	if r.place.scheme == schemeSSH {
		return r.talkSSH(ctx, talk)
	}
	return r.talkHTTP(ctx, talk)
}
