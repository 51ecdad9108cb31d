package swarm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"

	"kargo"
)

// dockerHub is the name under which `docker login` keeps its credentials for
// images without a registry in their name.
const dockerHub = "https://index.docker.io/v1/"

// registryAuth is the credential for an image's registry, encoded as Docker's
// API wants it; empty where there is none. It is read anew each time, so a
// renewed one counts at once.
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

// credential is the one for a registry now, or nil.
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

// credentialFor finds a registry in Docker's config.json. Entries may be
// written with a scheme and a path. Nothing of the file is ever in an error.
func credentialFor(config []byte, domain string) (*registry.AuthConfig, error) {
	file, err := parseCredentials(config)
	if err != nil {
		return nil, err
	}
	for address, entry := range file.Auths {
		if registryHost(address) != domain {
			continue
		}
		auth := &registry.AuthConfig{ServerAddress: address, IdentityToken: entry.IdentityToken}
		if entry.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(entry.Auth)
			user, password, found := strings.Cut(string(plain), ":")
			if err != nil || !found {
				return nil, kargo.Errorf(kargo.Invalid, "read registry credentials: the entry of %s is damaged", domain)
			}
			auth.Username, auth.Password = user, strings.TrimRight(password, "\x00")
		}
		return auth, nil
	}
	return nil, nil
}

// credentialsFile is what counts here of Docker's config.json.
type credentialsFile struct {
	Auths map[string]struct {
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
}

func parseCredentials(config []byte) (file credentialsFile, err error) {
	if len(config) > 0 && json.Unmarshal(config, &file) != nil {
		err = kargo.Errorf(kargo.Invalid, "read registry credentials: not in the form of Docker's config.json")
	}
	return file, err
}

// registriesOf are the addresses in Docker's config.json.
func registriesOf(config []byte) ([]string, error) {
	file, err := parseCredentials(config)
	return slices.Sorted(maps.Keys(file.Auths)), err
}

// registryHost is the registry that an entry is for, as image names have it.
func registryHost(address string) string {
	if address == dockerHub {
		return "docker.io"
	}
	_, rest, hasScheme := strings.Cut(address, "://")
	if !hasScheme {
		rest = address
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// Credential is what nodes get with a service of this image now, as a digest
// under a key: that it changed shows, what it is does not.
func (c *Client) Credential(key []byte, image string) (kargo.Credential, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return kargo.Credential{Digest: kargo.NoCredential}, nil // the daemon says it better
	}
	found := kargo.Credential{Registry: reference.Domain(named), Digest: kargo.NoCredential}
	auth, err := c.credential(found.Registry)
	if err != nil || auth == nil {
		return found, err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%q %q %q", auth.Username, auth.Password, auth.IdentityToken)
	found.Digest = hex.EncodeToString(mac.Sum(nil))[:16]
	return found, nil
}
