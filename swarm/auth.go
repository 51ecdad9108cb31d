package swarm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"

	"kargo"
	"kargo/dockerauth"
)

// registryAuth returns the credential for an image's registry, encoded for Docker's
// API; "" where there is none. It is read at each call, so that a renewed credential
// counts at once.
func (c *Client) registryAuth(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", nil // the daemon says it better
	}
	auth, err := c.credential(reference.Domain(named))
	if err != nil || auth == nil {
		return "", err
	}
	return registry.EncodeAuthConfig(*auth)
}

// credential returns the credential for a registry, or nil.
func (c *Client) credential(domain string) (*registry.AuthConfig, error) {
	if c.credentials == nil {
		return nil, nil
	}
	config, err := c.credentials()
	if err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	return credentialFor(config, domain)
}

// credentialFor returns the entry of a registry in Docker's config.json in the form
// of the API, or nil.
func credentialFor(config []byte, domain string) (*registry.AuthConfig, error) {
	found, err := dockerauth.For(config, domain)
	if err != nil || found == nil {
		return nil, err
	}
	return &registry.AuthConfig{
		ServerAddress: found.Address, Username: found.Username, Password: found.Password, IdentityToken: found.IdentityToken,
	}, nil
}

// Credentials returns a function that says what nodes would receive now with a service of
// an image: the registry, and a digest of the credential under the key. The digest shows
// that a credential has changed, and not what it is. The function is for one look: it
// reads the credential of each registry once. One goroutine may use it.
func (c *Client) Credentials(key []byte) func(image string) (kargo.Credential, error) {
	type answer struct {
		found kargo.Credential
		err   error
	}
	known := map[string]answer{}   // by registry
	byImage := map[string]answer{} // many services have the same image, and a name takes long to parse
	ask := func(image string) (kargo.Credential, error) {
		named, err := reference.ParseNormalizedNamed(image)
		if err != nil {
			return kargo.Credential{Digest: kargo.NoCredential}, nil // the daemon says it better
		}
		domain := reference.Domain(named)
		got, asked := known[domain]
		if !asked {
			got.found, got.err = c.credentialOf(domain, key)
			known[domain] = got
		}
		return got.found, got.err
	}
	return func(image string) (kargo.Credential, error) {
		got, asked := byImage[image]
		if !asked {
			got.found, got.err = ask(image)
			byImage[image] = got
		}
		return got.found, got.err
	}
}

// credentialOf returns what nodes would receive now with a service of a registry.
func (c *Client) credentialOf(domain string, key []byte) (kargo.Credential, error) {
	found := kargo.Credential{Registry: domain, Digest: kargo.NoCredential}
	auth, err := c.credential(found.Registry)
	if err != nil || auth == nil {
		return found, err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%q %q %q", auth.Username, auth.Password, auth.IdentityToken)
	found.Digest = hex.EncodeToString(mac.Sum(nil))[:16]
	return found, nil
}
