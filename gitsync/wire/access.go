package wire

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"kargo"
)

// Access says how a remote is reached, how Kargo authenticates itself and how it
// verifies the other side. The functions are called at each use, so that a
// credential may change while the program runs; nil means that there is none.
type Access struct {
	// Username is the user name for HTTP; "git" if it is empty and there is a
	// Password.
	Username string
	// Password is a password or token for HTTP. BearerToken is for hosts that
	// expect a token in this form. A line end is removed from either. GitHubApp
	// gets tokens of its own. At most one of the three is given.
	Password, BearerToken func() (string, error)
	GitHubApp             *GitHubApp
	// ClientCertificate and ClientKey, in PEM, authenticate Kargo to https hosts.
	ClientCertificate, ClientKey func() ([]byte, error)

	// SSHKey is a private key in PEM, KnownHosts the content of a known_hosts
	// file. Both are mandatory for SSH.
	SSHKey, SSHPassphrase, KnownHosts func() ([]byte, error)

	// CA is a PEM bundle to trust in addition to the system's.
	CA func() ([]byte, error)

	// Proxy is the proxy through which the host is reached.
	Proxy Proxy

	// Moved is told if the host redirects to another address of a repository. It is nil if
	// nobody wants to know. An address that only has .git at its end is no other one.
	Moved func(from, to string)
}

// WithoutCredentials returns the access for another host, which must not see the
// credentials for this one.
func (a Access) WithoutCredentials() Access {
	a.Username, a.Password, a.BearerToken, a.GitHubApp = "", nil, nil, nil
	a.ClientCertificate, a.ClientKey = nil, nil
	a.SSHKey, a.SSHPassphrase = nil, nil
	return a
}

// check refuses to send a secret unencrypted, more than one way to authenticate,
// and SSH without a key or without known hosts.
func (a Access) check(to Address) error {
	ways := 0
	for _, given := range []bool{a.Password != nil, a.BearerToken != nil, a.GitHubApp != nil} {
		if given {
			ways++
		}
	}
	certificate := a.ClientCertificate != nil
	switch {
	case ways > 1:
		return invalid("a password, a bearer token and a GitHub App exclude each other", "")
	case certificate != (a.ClientKey != nil):
		return invalid("a client certificate and its key go together", "")
	case certificate && to.scheme != schemeHTTPS:
		return invalid("a client certificate is for https", "use https://")
	case to.scheme == schemeHTTP && (!kargo.IsLoopback(to.host) || a.Proxy.URL != "") && (ways > 0 || a.Username != ""):
		return invalid("credentials would be sent unencrypted over http", "use https://")
	case to.scheme == schemeSSH && a.SSHKey == nil:
		return invalid("SSH needs a private key", "set the file that holds the key")
	case to.scheme == schemeSSH && a.KnownHosts == nil:
		return invalid("SSH needs a known_hosts file", "make one with `kargo known-hosts HOST`, and compare the fingerprints with the forge's page")
	}
	return a.Proxy.check()
}

// defaultHTTPUser is sent with a token: the forges accept any user name except an
// empty one.
const defaultHTTPUser = "git"

// httpAuth reads the credential for HTTP and returns a function that adds it to a
// request.
func (r *Remote) httpAuth(ctx context.Context) (authorize func(*http.Request), err error) {
	switch {
	case r.access.Password != nil:
		password, err := readSecret("the password", r.access.Password)
		if err != nil {
			return nil, err
		}
		return r.basicAuth(cmp.Or(r.access.Username, defaultHTTPUser), password), nil
	case r.access.BearerToken != nil:
		token, err := readSecret("the bearer token", r.access.BearerToken)
		if err != nil {
			return nil, err
		}
		r.sent.add(token)
		return func(request *http.Request) { request.Header.Set("Authorization", "Bearer "+token) }, nil
	case r.app != nil:
		token, err := r.app.token(ctx, r)
		if err != nil {
			return nil, err
		}
		return r.basicAuth(appUser, token), nil
	}
	return func(*http.Request) {}, nil
}

func (r *Remote) basicAuth(user, password string) func(*http.Request) {
	r.sent.add(password)
	r.sent.add(base64.StdEncoding.EncodeToString([]byte(user + ":" + password)))
	return func(request *http.Request) { request.SetBasicAuth(user, password) }
}

// readSecret reads a secret and removes the line end that files have.
func readSecret(what string, read func() (string, error)) (string, error) {
	secret, err := read()
	if err != nil {
		return "", unreadable(what, err)
	}
	return strings.TrimRight(secret, "\r\n"), nil
}

// sentSecrets are the secrets that were sent to a server, which may repeat them in
// its answers. Only the last few are kept: a token is renewed every hour.
type sentSecrets struct {
	mu      sync.Mutex
	secrets []string
}

func (s *sentSecrets) add(secret string) {
	const most = 16
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret == "" || slices.Contains(s.secrets, secret) {
		return
	}
	s.secrets = append(s.secrets, secret)
	if len(s.secrets) > most {
		s.secrets = s.secrets[1:]
	}
}

// hide replaces the secrets in a text, also where they are escaped for a URL.
func (s *sentSecrets) hide(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return text
}
