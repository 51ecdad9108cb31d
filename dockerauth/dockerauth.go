// Package dockerauth reads the credentials of image registries in Docker's
// config.json, as `docker login` writes it. It reads bytes and no file, and none
// of them is ever in an error. Errors are [kargo.Invalid].
package dockerauth

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"kargo"
)

// Credential is what `docker login` keeps for one registry.
type Credential struct {
	Address            string // as the file has it
	Username, Password string
	IdentityToken      string
}

// dockerHub is the name under which `docker login` keeps its credentials for
// images without a registry in their name.
const dockerHub = "https://index.docker.io/v1/"

// For returns the credential of a registry, named as in image names
// ("docker.io"), or nil where there is none. Entries may be written with a
// scheme and a path.
func For(config []byte, domain string) (*Credential, error) {
	file, err := parseCredentials(config)
	if err != nil {
		return nil, err
	}
	for address, entry := range file.Auths {
		if Host(address) != domain {
			continue
		}
		found := &Credential{Address: address, IdentityToken: entry.IdentityToken}
		if entry.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(entry.Auth)
			user, password, separated := strings.Cut(string(plain), ":")
			if err != nil || !separated {
				return nil, kargo.Errorf(kargo.Invalid, "read registry credentials: the entry of %s is damaged", domain)
			}
			found.Username, found.Password = user, strings.TrimRight(password, "\x00")
		}
		return found, nil
	}
	return nil, nil
}

// Addresses returns the addresses of registries as the file has them, sorted.
func Addresses(config []byte) ([]string, error) {
	file, err := parseCredentials(config)
	return slices.Sorted(maps.Keys(file.Auths)), err
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

// Host returns the registry that an address is for, as image names have it.
func Host(address string) string {
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
