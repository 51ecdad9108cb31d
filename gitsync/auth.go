package gitsync

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// The forges take any user name beside a token, but not none.
const defaultHTTPUser = "git"

// httpAuth reads the credential for HTTP anew. It is nil where there is none;
// an interface with a nil pointer in it would be taken for a method.
func (r *Repository) httpAuth(ctx context.Context) (transport.AuthMethod, error) {
	switch {
	case r.opts.Password != nil:
		password, err := readSecret("the password", r.opts.Password)
		if err != nil {
			return nil, err
		}
		return r.basicAuth(cmp.Or(r.opts.Username, defaultHTTPUser), password), nil
	case r.opts.BearerToken != nil:
		token, err := readSecret("the bearer token", r.opts.BearerToken)
		if err != nil {
			return nil, err
		}
		r.sent.add(token)
		return &githttp.TokenAuth{Token: token}, nil
	case r.app != nil:
		token, err := r.app.token(ctx, r)
		if err != nil {
			return nil, err
		}
		return r.basicAuth(appUser, token), nil
	}
	return nil, nil
}

func (r *Repository) basicAuth(user, password string) transport.AuthMethod {
	r.sent.add(password)
	r.sent.add(base64.StdEncoding.EncodeToString([]byte(user + ":" + password)))
	return &githttp.BasicAuth{Username: user, Password: password}
}

// readSecret cuts the line end off that files have.
func readSecret(what string, read func() (string, error)) (string, error) {
	secret, err := read()
	if err != nil {
		return "", unreadable(what, err)
	}
	return strings.TrimRight(secret, "\r\n"), nil
}

// sentSecrets are the secrets that a server has seen and may put into its
// answers. Only the last few are kept: a token is renewed every hour.
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

// hide replaces the secrets in a text, in whichever form a URL has them, too.
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
