// Package registry asks a registry of images which tags a repository has. The
// Docker API cannot: it knows what one tag means, and nothing of the others.
//
// A registry names the host that issues tokens, and can redirect a client to
// another address. A credential is never sent to a host that it is not for.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"kargo"
	"kargo/dockerauth"
)

const (
	timeout  = 30 * time.Second
	pageSize = 1000
	// Limits of one repository. The largest ones of Docker Hub have a few
	// thousand tags.
	maxTags  = 50_000
	maxPages = 1000
	maxPage  = 8 << 20 // bytes
)

// Client lists tags at registries.
type Client struct {
	// Credentials returns the content of Docker's config.json, and is called at
	// each use; nil means that there is none.
	Credentials func() ([]byte, error)
	// Insecure are registries, as image names write them, that may be reached
	// without encryption. Registries on this machine always may.
	Insecure []string
}

// Tags returns the tags of an image's repository, in no particular order. It takes
// 30 seconds at most. A name that is not an image's is Invalid, every other error
// Unavailable. No error holds a credential.
func (c *Client) Tags(ctx context.Context, image string) ([]string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return nil, kargo.Errorf(kargo.Invalid, "list tags of %q: %w", image, err)
	}
	domain := reference.Domain(named)
	var options []name.Option
	if slices.Contains(c.Insecure, domain) {
		options = append(options, name.Insecure)
	}
	repository, err := name.NewRepository(named.Name(), options...)
	if err != nil {
		return nil, kargo.Errorf(kargo.Invalid, "list tags of %q: %w", image, err)
	}
	login, err := c.login(domain)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	guard := newGuard(repository.RegistryStr(), slices.Contains(c.Insecure, domain))
	defer guard.wire.CloseIdleConnections()
	tags, err := list(ctx, repository, remote.WithTransport(guard), remote.WithAuth(login), remote.WithPageSize(pageSize))
	if err != nil {
		return nil, explain(image, domain, err)
	}
	return tags, nil
}

// login returns the credential for one registry.
func (c *Client) login(domain string) (authn.Authenticator, error) {
	if c.Credentials == nil {
		return authn.Anonymous, nil
	}
	config, err := c.Credentials()
	if err != nil {
		return nil, kargo.Errorf(kargo.Unavailable, "read registry credentials: %w", err)
	}
	found, err := dockerauth.For(config, domain)
	if err != nil || found == nil {
		return authn.Anonymous, err
	}
	return authn.FromConfig(authn.AuthConfig{Username: found.Username, Password: found.Password, IdentityToken: found.IdentityToken}), nil
}

// list reads all pages of a list. A list that is too long is an error.
func list(ctx context.Context, repository name.Repository, options ...remote.Option) ([]string, error) {
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, err
	}
	pages, err := puller.Lister(ctx, repository)
	if err != nil {
		return nil, err
	}
	var tags []string
	for page := 0; pages.HasNext(); page++ {
		found, err := pages.Next(ctx)
		if err != nil {
			return nil, err
		}
		tags = append(tags, found.Tags...)
		if len(tags) > maxTags || page >= maxPages {
			return nil, fmt.Errorf("there are more than %d tags, or %d pages of them", maxTags, maxPages)
		}
	}
	return tags, nil
}

// explain returns the reason of an error, with a hint where a remedy is known. It
// quotes at most one line of a server.
func explain(image, domain string, err error) error {
	var refused *refusal
	var answer *transport.Error
	words, hint := kargo.PrintableLine(err.Error()), ""
	switch {
	case errors.As(err, &refused):
		words, hint = refused.Error(), refused.hint
	case errors.Is(err, context.DeadlineExceeded):
		words = fmt.Sprintf("no answer within %s", timeout)
	case errors.As(err, &answer):
		words = "the registry responds: " + strings.ToLower(http.StatusText(answer.StatusCode))
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			words, hint = "the registry refuses access", "do its credentials allow reading? see --registry-auth-file"
		case http.StatusNotFound:
			words, hint = "the registry has no such repository", "some say so too where the account may not read it"
		case http.StatusTooManyRequests:
			hint = "ask less often: --images-interval"
		}
	}
	return &kargo.Error{Fault: kargo.Unavailable, Hint: hint, Err: fmt.Errorf("list tags of %s at %s: %s", image, domain, words)}
}
